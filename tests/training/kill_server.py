"""Kills the training of one method again and again, in forked processes that need no imports.

Usage: ``python kill_server.py METHOD KILLS WORK``; prints what happened as one line of JSON.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import torch

from cardiobind import rng
from cardiobind.methods import learn
from cardiobind.training import TrainingSettings, engine, weights_digest

SETTINGS = TrainingSettings(
    steps=30, batch_size=8, round_steps=4, accelerator="cpu", precision="32-true", checkpoint_interval_s=0.001,
    learning_rate=1e-3,
)  # fmt: skip
SAVING_EVERY = 5
"""Of so many kills one waits until a checkpoint is being written."""


def tiny_methods() -> ModuleType:
    """Return what builds a tiny instance of any registered method; it fails where a method has no recipe."""
    place = Path(__file__).parents[1] / "methods" / "conftest.py"
    spec = importlib.util.spec_from_file_location("tiny_methods", place)
    module = importlib.util.module_from_spec(spec)
    sys.modules["tiny_methods"] = module
    spec.loader.exec_module(module)
    return module


def train(name: str, work: Path, precision: str) -> None:
    tiny = tiny_methods()
    method = tiny.make_method(name)
    train, validation = (tiny.TinyCohort(size, seed=seed) for size, seed in ((40, 0), (12, 1)))
    settings = replace(SETTINGS, precision=precision)
    learn(method, train, validation, settings, seed=3, work=work, title=name)
    (work / "done").write_text(weights_digest(method.state_dict()))


def start(name: str, work: Path, precision: str) -> int:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            train(name, work, precision)
            status = 0
        finally:
            sys.stderr.flush()
            os._exit(status)
    return pid


def ends(pid: int) -> None:
    status = os.waitpid(pid, 0)[1]
    if status != 0:
        raise SystemExit(f"training ended with status {status}")


def finished(work: Path) -> dict[str, str]:
    return {name: (work / name).read_text() for name in ("done", "history.jsonl", "history.csv")}


def still_runs(pid: int, instant: float, saves: Path | None) -> bool:
    """Wait until an instant, then until a checkpoint is being written in `saves`; return whether the run goes on."""
    while os.waitpid(pid, os.WNOHANG)[0] == 0:
        if time.monotonic() >= instant and (saves is None or any((saves / "checkpoints").glob(".*partial*"))):
            return True
        time.sleep(1e-4)
    return False


def main(name: str, kills: int, work: Path, precision: str) -> None:
    began = time.monotonic()
    ends(start(name, work / "whole", precision))
    whole_s = time.monotonic() - began
    expected = finished(work / "whole")
    broken, killed, saving, within, runs, differing = work / "broken", 0, 0, 0, 0, 0
    while killed < kills:
        pid = start(name, broken, precision)
        instant = time.monotonic() + whole_s * (0.05 + 0.45 * rng.uniform(7, "kill", name, killed))
        if still_runs(pid, instant, broken if killed % SAVING_EVERY == 0 else None):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            killed += 1
            saving += any((broken / "checkpoints").glob(".*partial*"))
            within += any((broken / "checkpoints").glob("round-*-step-*"))
        if (broken / "done").exists():
            runs, differing = runs + 1, differing + (finished(broken) != expected)
            shutil.rmtree(broken)
    ends(start(name, broken, precision))
    runs, differing = runs + 1, differing + (finished(broken) != expected)
    left = [f.name for f in (broken / "checkpoints").glob(".*partial*")]
    found = {"method": name, "kills": killed, "while saving": saving, "with checkpoints within a round": within}
    print(json.dumps(found | {"runs": runs, "differing": differing, "left": left}))


if __name__ == "__main__":
    torch.set_num_threads(1)
    engine.logging.disable(engine.logging.WARNING)
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
