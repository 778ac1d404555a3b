"""Throughput of the paper's shapes on a GPU: python benchmarks/gpu.py OUT [--device cuda] [--seconds 150] [--tiny].

Works in float32, TF32 and bfloat16 with their share of the measured matmul peak and peak memory, batch sweeps, whether
the cores that read data keep up, and what large cohorts would cost. Writes OUT/gpu.json and OUT/gpu.md. A section that
fails is recorded with its error and the others go on: time on a lent machine is too short to lose all to one.
"""

from __future__ import annotations

import argparse
import json
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from cardiobind.errors import CardiobindError
from gpu_page import page
from gpu_works import WORKS, Shapes

PRECISIONS = ("fp32", "tf32", "bf16")
TIMED_S = 1.2
RECORDED = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, ImportError, OSError, CardiobindError)


class Bench:
    """One run: device, time left, what was found.

    Args:
        device: ``cuda`` or ``cpu``.
        seconds: after which no further measurement begins.
        tiny: small shapes, to test the script on a CPU.
    """

    def __init__(self, device: str, seconds: float, *, tiny: bool) -> None:
        self.device, self.tiny = torch.device(device), tiny
        self.until = time.monotonic() + seconds
        self.found: dict[str, Any] = {"machine": machine(self.device), "rows": [], "errors": []}
        self.peaks: dict[str, float] = {}

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        """Record an error of a section and go on."""
        try:
            yield
        except RECORDED as error:
            where = traceback.format_exc().splitlines()[-3:]
            self.found["errors"].append({"section": name, "error": f"{type(error).__name__}: {error}", "where": where})
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def wait(self) -> None:
        """Wait for the device."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def timed(self, run: Callable[[], Any], warm: int = 3) -> float:
        """Return the seconds of a repetition, the mean over about a second."""
        for _ in range(1 if self.tiny else warm):
            run()
        self.wait()
        began, count = time.perf_counter(), 0
        while count < 2 or (time.perf_counter() - began < TIMED_S and not self.tiny):
            run()
            self.wait()
            count += 1
        return (time.perf_counter() - began) / count

    def measure_peaks(self) -> None:
        """Measure the products of square matrices in each precision, operations a second."""
        size = 256 if self.tiny else 8192
        for precision in PRECISIONS:
            with arithmetic(precision, self.device):
                kind = torch.bfloat16 if precision == "bf16" else torch.float32
                a, b = (torch.randn(size, size, device=self.device, dtype=kind) for _ in range(2))
                self.peaks[precision] = 2 * size**3 / self.timed(lambda a=a, b=b: a @ b)
        self.found["matmul_tflops"] = {name: peak / 1e12 for name, peak in self.peaks.items()}

    def work(self, name: str, batch: int, precision: str) -> None:
        """Measure one work at a batch size in a precision."""
        if time.monotonic() > self.until:
            self.found["errors"].append({"section": f"{name} {batch} {precision}", "error": "skipped: out of time"})
            return
        with self.section(f"{name} {batch} {precision}"), arithmetic(precision, self.device):
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
            half = precision == "bf16"
            run = WORKS[name](Shapes.of(tiny=self.tiny), batch, self.device, half)
            seconds = self.timed(run)
            memory = torch.cuda.max_memory_allocated() / 1e9 if self.device.type == "cuda" else None
            small = WORKS[name](Shapes.of(tiny=self.tiny), 4, self.device, half)
            row = {"work": name, "batch": batch, "precision": precision, "per_s": batch / seconds, "gb": memory}
            if precision in self.peaks:
                row["share_of_peak"] = operations(small) / 4 * batch / seconds / self.peaks[precision]
            self.found["rows"].append(row)
            print(json.dumps(row), flush=True)

    def readers(self) -> None:
        """Measure how many ECGs and frames a second the cores of this machine turn from stored bytes into floats."""
        from concurrent.futures import ThreadPoolExecutor

        from cardiobind.data.dataset import scale_cmr
        from cardiobind.modalities.ecg.preparation import normalise_by_lead_group

        cores, batch = min(16, torch.get_num_threads() if self.tiny else 16), 16 if self.tiny else 64
        ecg = np.random.default_rng(0).integers(-999, 999, (batch, 12, 5000), dtype=np.int16)
        cmr = np.zeros((batch, 3, 210, 210), dtype=np.uint8)
        for name, run in {"ecg": lambda: normalise_by_lead_group(ecg), "cmr": lambda: scale_cmr(cmr)}.items():
            with ThreadPoolExecutor(cores) as pool:
                began = time.perf_counter()
                list(pool.map(lambda _, run=run: run(), range(2 * cores)))
                rate = 2 * cores * batch / (time.perf_counter() - began)
            self.found.setdefault("readers", {})[name] = {"threads": cores, "per_s": rate}


def machine(device: torch.device) -> dict[str, Any]:
    """Return what the machine is."""
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    return {"device": name, "torch": torch.__version__, "cuda": torch.version.cuda, "threads": torch.get_num_threads()}


@contextmanager
def arithmetic(precision: str, device: torch.device) -> Iterator[None]:
    """Let products of float32 be exact or TF32 within the block."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.benchmark = device.type == "cuda"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = before[1:]


def operations(run: Callable[[], Any]) -> float:
    """Return the floating-point operations of the products and convolutions of one repetition."""
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        run()
    return float(counter.get_total_flops())


PLAN = (
    ("ecg_mae", (256,), PRECISIONS), ("simclr", (128,), PRECISIONS), ("align", (64,), PRECISIONS),
    ("finetune", (64,), PRECISIONS), ("ecg_embedding", (256,), PRECISIONS), ("cmr_embedding", (256,), PRECISIONS),
    ("ecg_mae", (64, 1024), ("bf16",)), ("simclr", (32, 512), ("bf16",)), ("align", (256,), ("bf16",)),
    ("ecg_mae_fast", (256, 1024), ("bf16",)),
)  # fmt: skip


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seconds", type=float, default=130.0, help="no measurement begins later")
    parser.add_argument("--tiny", action="store_true", help="small shapes, to try the script")
    parser.add_argument("--cpu", type=Path, default=Path("docs/results/speed.json"), help="rates of two cores")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    bench = Bench(chosen.device, chosen.seconds, tiny=chosen.tiny)
    with bench.section("peaks"):
        bench.measure_peaks()
    for name, batches, precisions in PLAN:
        for batch in batches:
            for precision in precisions:
                bench.work(name, min(batch, 4) if chosen.tiny else batch, precision)
    with bench.section("readers"):
        bench.readers()
    found = bench.found
    with bench.section("two cores"):
        found["two_cores"] = json.loads(chosen.cpu.read_text()) if chosen.cpu.exists() else None
    (chosen.out / "gpu.json").write_text(json.dumps(found, indent=1) + "\n")
    with bench.section("page"):
        (chosen.out / "gpu.md").write_text(page(found))
    print(f"{len(found['rows'])} rows, {len(found['errors'])} errors: {found['errors']}")


if __name__ == "__main__":
    main()
