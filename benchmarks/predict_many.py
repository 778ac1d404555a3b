"""How many rows a second `cardiobind predict` makes of many subjects: python benchmarks/predict_many.py RUN [...].

RUN is the folder of a finished demo (its bundle and raw files are read). Each kind of row is scored twice in the same
minutes: by `predict_many`, and by the bare model, which is `prepare_subject` and `Predictor.score` of the first rows in
a loop in this process. Speed is compared in processor time, for other work on the machine does not count in it. Memory
is that of this process and of all its workers, sampled twenty times a second.
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
HEAD = """# Predicting many

Written by `python benchmarks/predict_many.py RUN --write docs/results/predicting.md`, {date}, with
`{asked}`: what `cardiobind predict` does with a list of
rows made of a finished demo (RUN), into Parquet. The bundle knows {used} facts and is the mean of {members} networks.
{cores} cores, {workers} workers, load {load:.1f} at the start: where other work ran beside it, read processor time.

| rows | rows a second | processor time of a row, ms | bare model, ms | ratio | peak memory, MB | workers, MB |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
"""
NOTES = """
Rows a second are by the clock, the start of the workers included. Processor time is that of the call and its workers,
start included, over the rows. The bare model is `Predictor.predict` of one row after the other in one process, from
facts as a mapping, without a list, an output or anything kept over a kill; the ratio is its processor time over that of
the call. Peak memory is that of the calling process, the model and Python's libraries included, and of all workers
together.

Rows of facts alone start no worker: there is no file that could hang or kill its reader. A row is checked and encoded
cell by cell; until 2026-11-28 it went through one-row columns of pandas, twice, which took 9.7 ms of processor time
where the two networks of the demo take 0.7 to 1 ms; the answers of both ways have the same bytes. What a list costs
beside the network is the commit of each 64 rows to the disk, from which a killed call goes on, and the output.
"""


def resident_mb(process: int) -> float:
    """Return the memory of a process; 0 once it has ended."""
    try:
        words = Path(f"/proc/{process}/statm").read_text().split()
    except OSError:
        return 0.0
    return int(words[1]) * os.sysconf("SC_PAGE_SIZE") / MB


def processor_s(process: int) -> float:
    """Return the processor time of a process; 0 once it has ended."""
    try:
        words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def descendants(process: int) -> list[int]:
    """Return the processes that a process has started, and those that they have."""
    try:
        tasks = [Path(f"/proc/{process}/task/{t}/children").read_text() for t in os.listdir(f"/proc/{process}/task")]
    except OSError:
        return []
    own = [int(child) for words in tasks for child in words.split()]
    return own + [below for child in own for below in descendants(child)]


class Watch(Quiet):
    """Progress, the memory at each tenth of it, and the processor time of each worker."""

    def __init__(self) -> None:
        self.peak_mb = self.peak_workers_mb = 0.0
        self.tenths: dict[int, float] = {}
        self.cpu_s: dict[int, float] = {}

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
                workers = descendants(os.getpid())
                self.peak_workers_mb = max(self.peak_workers_mb, sum(map(resident_mb, workers)))
                self.cpu_s.update({one: seconds for one in workers if (seconds := processor_s(one))})

        thread = threading.Thread(target=sample)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def listed(run: Path, predictor: Predictor, rows: int, *, ecgs: bool) -> pd.DataFrame:
    """Return a list of subjects: facts of the demo's table over and over, each with an ECG if wanted."""
    raw = (run / "raw").resolve()
    table = SOURCES.get("ukb")(root=raw).table()
    names = [name for name in predictor.contract.inputs["tabular"].names if name in table][:FACTS]
    known = table[table[names].notna().sum(axis=1) >= FACTS // 2]
    facts = known.iloc[[i % len(known) for i in range(rows)]][names].reset_index(drop=True)
    frame = pd.DataFrame({"subject": [f"S{i}" for i in range(rows)]})
    if ecgs:
        files = itertools.cycle(sorted((raw / "bulk").glob("*_20205_2_0.xml")))
        frame["ecg"] = [str(file) for _, file in zip(range(rows), files, strict=False)]
    return pd.concat([frame, facts], axis=1)


def bare(predictor: Predictor, frame: pd.DataFrame, rows: int) -> float:
    """Return the processor time of a row of the bare model, in ms."""
    given: list[dict[str, Any]] = []
    for _, row in frame.head(rows).iterrows():
        facts = row.drop(["subject", "ecg"], errors="ignore").dropna().to_dict()
        given.append({"table": facts} | ({"ecg": row["ecg"]} if "ecg" in row else {}))
    predictor.predict(**given[0])
    began = time.process_time()
    for one in given:
        predictor.predict(**one)
    return 1e3 * (time.process_time() - began) / len(given)


def line(predictor: Predictor, frame: pd.DataFrame, workers: int, alone: int) -> str:
    """Return the line of the table of one list of subjects, and print the memory as it went."""
    watch, before = Watch(), bare(predictor, frame, alone)
    with tempfile.TemporaryDirectory() as folder:
        frame.to_csv(f"{folder}/list.csv", index=False)
        with watch.sampled():
            began, cpu_began = time.perf_counter(), time.process_time()
            told = predict_many(
                predictor, f"{folder}/out.parquet", subjects=f"{folder}/list.csv", workers=workers, reporter=watch
            )
            seconds, own_cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
    if not told.scored:
        raise SystemExit(f"nobody was scored: {told}")
    many_ms = 1e3 * (own_cpu_s + sum(watch.cpu_s.values())) / told.scored
    bare_ms = (before + bare(predictor, frame, alone)) / 2
    print("at each tenth: " + ", ".join(f"{mb:.0f}" for _, mb in sorted(watch.tenths.items())) + " MB", flush=True)
    what = f"{told.scored:,} of {FACTS} facts" + (" and an ECG file" if "ecg" in frame else "")
    return (
        f"| {what} | {told.scored / seconds:.0f} | {many_ms:.2f} | {bare_ms:.2f} | {bare_ms / many_ms:.2f} "
        f"| {watch.peak_mb:.0f} | {watch.peak_workers_mb:.0f} |\n"
    )


def main(run: Path, rows: int, ecgs: int, workers: int, alone: int, write: Path | None) -> None:
    """Print the page, and write it if asked."""
    predictor = inference.load(run / "bundle")
    text = HEAD.format(
        date=time.strftime("%Y-%m-%d"), members=len(predictor.members), cores=len(os.sched_getaffinity(0)),
        workers=workers, load=os.getloadavg()[0], used=len(predictor.contract.inputs["tabular"].names),
        asked=f"--rows {rows} --ecgs {ecgs} --workers {workers} --alone {alone}",
    )  # fmt: skip
    for count, with_ecg in ((rows, False), (ecgs, True)):
        text += line(predictor, listed(run, predictor, count, ecgs=with_ecg), workers, alone)
    print(text + NOTES)
    if write is not None:
        write.write_text(text + NOTES)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--ecgs", type=int, default=1_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--alone", type=int, default=200)
    parser.add_argument("--write", type=Path)
    asked = parser.parse_args()
    main(asked.run, asked.rows, asked.ecgs, asked.workers, asked.alone, asked.write)
