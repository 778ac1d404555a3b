"""Memory and time of one step of alignment with 512 subjects, whole and in chunks: ``python chunked_alignment.py``.

Each size runs in a process of its own, since a process's peak memory never falls.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time

SUBJECTS = 512


def measure(chunk: int | None) -> None:
    import torch

    from cardiobind.data import Batch
    from cardiobind.methods import METHODS
    from cardiobind.modalities.spec import InputSpec
    from cardiobind.models import MeanPool, Tower, build_encoder

    torch.manual_seed(0)
    torch.set_num_threads(1)
    ecg = InputSpec("ecg", (12, 1000), rate_hz=100.0)
    table = InputSpec("tabular", (33, 2), cardinalities=(0,) * 33)
    vit = build_encoder("vit", ecg, patch=(12, 20), width=192, depth=4, heads=6)
    mlp = build_encoder("tabular_mlp", table, width=64)
    towers = {"ecg": Tower(vit, MeanPool()), "tabular": Tower(mlp, MeanPool())}
    method = METHODS.get("align_all_pairs")(towers, chunk=chunk).train()
    everyone = torch.ones(SUBJECTS, dtype=torch.bool)
    rows = torch.stack([torch.randn(SUBJECTS, 33), torch.ones(SUBJECTS, 33)], dim=2)
    signals = {"ecg": torch.randn(SUBJECTS, 12, 1000), "tabular": rows}
    batch = Batch(torch.arange(SUBJECTS), signals, dict.fromkeys(signals, everyone))
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    method.training_step(batch).loss.backward()
    seconds = time.process_time() - started
    mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"chunk {chunk or 'none'}: {mb:.0f} MB above the start, {seconds:.1f} s of one core")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(int(sys.argv[1]) or None)
    else:
        for size in (0, 64, 32):
            subprocess.run([sys.executable, "-W", "ignore", __file__, str(size)], check=True)
