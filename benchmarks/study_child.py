"""One job of methods_study.py in a process of its own: python benchmarks/study_child.py JOB_FOLDER."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch

from cardiobind import pipeline
from cardiobind.artifact import Artifact
from cardiobind.config import parse_experiment
from cardiobind.pipeline.networks import load_state
from cardiobind.pipeline.rehearsal import check_words

SHARED = ("protocol-", "pretrain-")


class Log:
    """Writes progress to a file, and how long each stage took."""

    def __init__(self, file: Path) -> None:
        self._stream, self._shown, self._began = file.open("a", buffering=1), 0.0, 0.0
        self.seconds: dict[str, float] = {}

    def say(self, line: str) -> None:
        self._stream.write(f"{time.strftime('%H:%M:%S')} {line}\n")

    def start(self, stage: str) -> None:
        self._began = time.monotonic()
        self.say(stage)

    def advance(self, stage: str, done: int, total: int) -> None:
        self._sometimes(f"{stage} {done}/{total}")

    def update(self, title: str, step: int, total: int, loss: float, seconds_left: float) -> None:
        self._sometimes(f"{title}: step {step}/{total}, loss {loss:.4f}, {seconds_left:.0f} s left")

    def finish(self, stage: str, *, cached: bool) -> None:
        if not cached:
            self.seconds[stage] = time.monotonic() - self._began
        self.say(f"{stage}: {'found' if cached else 'done'}")

    def _sometimes(self, line: str) -> None:
        if time.monotonic() - self._shown > 5.0:
            self._shown = time.monotonic()
            self.say(line)


def work(folder: Path) -> None:
    """Do a job and leave its predictions and costs beside `job.json`; what was done before is not done again."""
    job, log = json.loads((folder / "job.json").read_text()), Log(folder / "log.txt")
    experiment = parse_experiment(job["tree"])
    check_words(experiment)
    _take_over(folder, job["after"])
    torch.set_num_threads(1)
    made = pipeline.run_until(
        job["stage"], experiment, folder, reporter=log, ingest=pipeline.Ingest(cohort=Path(job["cohort"]))
    )
    if job["stage"] == "finetune":
        frames = [pd.read_parquet(found.file("predictions.parquet")) for found in made]
        pd.concat(frames, ignore_index=True).to_parquet(folder / "predictions.parquet.part", index=False)
        (folder / "predictions.parquet.part").replace(folder / "predictions.parquet")
    _note(folder, log.seconds, _encoder_weights(made))


def _take_over(folder: Path, other: str) -> None:
    """Let the folder see the protocol and the encoders of the job before."""
    for found in sorted((folder.parent / other).glob("*")) if other else []:
        link = folder / found.name
        if found.name.startswith(SHARED) and found.is_dir() and not link.exists():
            link.symlink_to(found.resolve())


def _encoder_weights(made: Sequence[Artifact]) -> int:
    """Return how many numbers the encoders of the first network hold, statistics of batch norms included."""
    for found in made:
        if "weights.safetensors" in found.manifest["files"]:
            state = load_state(found)
            return sum(value.numel() for name, value in state.items() if found.kind == "encoder" or ".encoder." in name)
    return 0


def _note(folder: Path, seconds: dict[str, float], weights: int) -> None:
    """Write what the job cost; stages of an earlier, interrupted call keep their entry."""
    file = folder / "costs.json"
    before = json.loads(file.read_text())["seconds"] if file.exists() else {}
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU, 1 thread"
    costs = {"device": device, "encoder_weights": weights, "seconds": before | seconds}
    file.write_text(json.dumps(costs, indent=1))


if __name__ == "__main__":
    work(Path(sys.argv[1]))
