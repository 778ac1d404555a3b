"""How many rows a second `cardiobind predict` makes of many subjects: python benchmarks/predict_many.py RUN [...].

RUN is the folder of a finished demo (its bundle and raw files are read). Each kind of row is scored twice in the same
minutes: by `predict_many`, and by the bare model, which is `prepare_subject` and `Predictor.score` of the first rows in
a loop in this process. Memory is that of this process and of all its workers, sampled twenty times a second.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from cardiobind import inference
from cardiobind.inference.predictor import Predictor
from cardiobind.pipeline.many import predict_many
from cardiobind.pipeline.progress import Quiet
from cardiobind.sources import SOURCES

FACTS = 12
MB = 1e6


def resident_mb(process: int) -> float:
    """Return the memory of a process; 0 once it has ended."""
    try:
        words = Path(f"/proc/{process}/statm").read_text().split()
    except OSError:
        return 0.0
    return int(words[1]) * os.sysconf("SC_PAGE_SIZE") / MB


def descendants(process: int) -> list[int]:
    """Return the processes that a process has started, and those that they have."""
    try:
        tasks = [Path(f"/proc/{process}/task/{t}/children").read_text() for t in os.listdir(f"/proc/{process}/task")]
    except OSError:
        return []
    own = [int(child) for words in tasks for child in words.split()]
    return own + [below for child in own for below in descendants(child)]


class Watch(Quiet):
    """Progress, and the memory at each tenth of it."""

    def __init__(self) -> None:
        self.peak_mb = self.peak_workers_mb = 0.0
        self.tenths: dict[int, float] = {}

    def advance(self, stage: str, done: int, total: int) -> None:
        """Keep the memory of this process at each tenth."""
        self.tenths.setdefault(10 * done // max(total, 1), resident_mb(os.getpid()))

    @contextmanager
    def sampled(self) -> Iterator[None]:
        """Sample memory for the length of the block."""
        ended = threading.Event()

        def sample() -> None:
            while not ended.wait(0.05):
                self.peak_mb = max(self.peak_mb, resident_mb(os.getpid()))
                self.peak_workers_mb = max(self.peak_workers_mb, sum(map(resident_mb, descendants(os.getpid()))))

        thread = threading.Thread(target=sample)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def listed(run: Path, predictor: Predictor, rows: int, *, ecgs: bool) -> pd.DataFrame:
    """Return a list of subjects: facts of the demo's table over and over, each with an ECG if wanted."""
    table = SOURCES.get("ukb")(root=run / "raw").table()
    names = [name for name in predictor.contract.inputs["tabular"].names if name in table][:FACTS]
    known = table[table[names].notna().sum(axis=1) >= FACTS // 2]
    facts = known.iloc[[i % len(known) for i in range(rows)]][names].reset_index(drop=True)
    frame = pd.DataFrame({"subject": [f"S{i}" for i in range(rows)]})
    if ecgs:
        files = itertools.cycle(sorted((run / "raw" / "bulk").glob("*_20205_2_0.xml")))
        frame["ecg"] = [str(file) for _, file in zip(range(rows), files, strict=False)]
    return pd.concat([frame, facts], axis=1)


def bare(predictor: Predictor, frame: pd.DataFrame, rows: int) -> float:
    """Return rows a second of the bare model."""
    given: list[dict[str, Any]] = []
    for _, row in frame.head(rows).iterrows():
        facts = row.drop(["subject", "ecg"], errors="ignore").dropna().to_dict()
        given.append({"table": facts} | ({"ecg": row["ecg"]} if "ecg" in row else {}))
    predictor.predict(**given[0])
    began = time.perf_counter()
    for one in given:
        predictor.predict(**one)
    return len(given) / (time.perf_counter() - began)


def main(run: Path, rows: int, ecgs: int, workers: int, alone: int) -> None:
    """Print the table, and the memory of this process at each tenth of the longer run."""
    predictor = inference.load(run / "bundle")
    print("| rows | workers | rows a second | bare model, a second | ratio | peak, this process | peak, workers |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    for count, with_ecg in ((rows, False), (ecgs, True)):
        frame = listed(run, predictor, count, ecgs=with_ecg)
        with tempfile.TemporaryDirectory() as folder:
            frame.to_csv(f"{folder}/list.csv", index=False)
            watch = Watch()
            before = bare(predictor, frame, alone)
            with watch.sampled():
                began = time.perf_counter()
                told = predict_many(
                    predictor, f"{folder}/out.parquet", subjects=f"{folder}/list.csv", workers=workers, reporter=watch
                )
                seconds = time.perf_counter() - began
            reached, usual = told.scored / seconds, (before + bare(predictor, frame, alone)) / 2
        what = f"{told.scored:,} of {FACTS} facts" + (" and an ECG file" if with_ecg else "")
        print(
            f"| {what} | {workers} | {reached:.1f} | {usual:.1f} | {reached / usual:.2f} | {watch.peak_mb:.0f} MB "
            f"| {watch.peak_workers_mb:.0f} MB |", flush=True,
        )  # fmt: skip
        print("  at each tenth: " + ", ".join(f"{mb:.0f}" for _, mb in sorted(watch.tenths.items())) + " MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--ecgs", type=int, default=1_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--alone", type=int, default=200)
    asked = parser.parse_args()
    main(asked.run, asked.rows, asked.ecgs, asked.workers, asked.alone)
