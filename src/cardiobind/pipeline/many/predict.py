"""A score for each of many subjects, and for each without one the reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from cardiobind import artifact, inference
from cardiobind.cohort.ingest.guard import Limits
from cardiobind.errors import ArtifactError, ConfigError
from cardiobind.inference import NOTICE, Predictor
from cardiobind.inference.prediction import OnDoubt
from cardiobind.pipeline.many.cases import Cases, cases_of
from cardiobind.pipeline.many.chunks import CODE, Row, finish, refuse_existing, rows_of, work_folder
from cardiobind.pipeline.many.columns import prediction_columns
from cardiobind.pipeline.many.output import writer_of
from cardiobind.pipeline.many.work import Job
from cardiobind.pipeline.progress import Quiet, Reporter

STAGE = "predict"


@dataclass(frozen=True)
class Told:
    """What became of all subjects.

    Attributes:
        out: the table.
        read: subjects in all; `scored` and those set aside are as many.
        scored: who has a row with a score, those of whom the bundle abstains among them.
        abstained: of how many of the scored the bundle says nothing but why.
        set_aside: how many have none, by reason code.
        passed_over: files of a folder that are no ECG.
        without_facts: who has no fact in the table that was given apart; scored without, where there is a recording.
        left_out: columns that are no fact and were ignored.
    """

    out: Path
    read: int
    scored: int
    abstained: int = 0
    set_aside: Mapping[str, int] = field(default_factory=dict)
    passed_over: int = 0
    without_facts: int = 0
    left_out: int = 0

    def __str__(self) -> str:
        aside = sum(self.set_aside.values())
        why = ", ".join(f"{reason} {count}" for reason, count in sorted(self.set_aside.items()))
        words = f"{self.read} read = {self.scored} scored + {aside} set aside" + (f" ({why})" if why else "")
        words += f"; abstained: {self.abstained}" if self.abstained else ""
        words += f"; without facts in the table: {self.without_facts}" if self.without_facts else ""
        words += f"; columns that are no fact: {self.left_out}" if self.left_out else ""
        return words + (f"; {self.passed_over} files are no ECG" if self.passed_over else "")


def predict_many(
    bundle: Path | str | Predictor,
    out: Path | str,
    *,
    subjects: Path | str | None = None,
    folder: Path | str | None = None,
    source: str | None = None,
    root: Path | str | None = None,
    table: Path | str | None = None,
    inputs: Sequence[str] | None = None,
    ignore_unknown: bool = False,
    on_doubt: OnDoubt = "abstain",
    workers: int = 2,
    limits: Limits | None = None,
    reporter: Reporter | None = None,
) -> Told:
    """Write a table with one row for each of many subjects: the score, or why there is none.

    The scores are those of `Predictor.predict` to the bit. A killed call, made again, goes on where it was, and its
    output has the bytes of an uninterrupted one.

    Args:
        bundle: folder of the bundle, or an opened one.
        out: ``.parquet``, ``.csv``, ``.jsonl`` or ``.json``; must not exist.
        subjects: a list, as of `cardiobind.pipeline.many.cases_of`.
        folder: each ECG file below it is one subject, named by its path from there.
        source: a kind of data set such as ``ukb`` or ``ptbxl``, in the folder `root`.
        root: of the data set.
        table: medical facts of all subjects, apart from the list.
        inputs: modalities to use; None for all that the bundle knows.
        ignore_unknown: go on without columns of list and table that are no medical fact.
        on_doubt: as of `cardiobind.load`; an opened bundle keeps its own.
        workers: processes that read files; 0 works in this one, where a file that kills its reader kills the call.
        limits: time and memory of one subject.
        reporter: hears of the progress.

    Raises:
        ConfigError: arguments that do not go together, an unknown ending of `out`, or workers that cannot start.
        InputError: something is at `out`, a file is not there, there is nobody to score, or `table` has nobody of them.
        ArtifactError: another call is at work on `out`, or the disk is full.
        DataContractError, RecordError: a column that nobody knows, or a list or table that cannot be read.
    """
    out, shown = Path(out), reporter or Quiet()
    write = writer_of(out)
    refuse_existing(out)
    _check_workers(workers)
    predictor = bundle if isinstance(bundle, Predictor) else inference.load(bundle, on_doubt=on_doubt)
    known = tuple(predictor.contract.inputs)
    cases = cases_of(
        known, subjects=subjects, folder=folder, source=source, root=root, table=table, inputs=inputs,
        ignore_unknown=ignore_unknown,
    )  # fmt: skip
    shown.start(STAGE)
    with _rows(predictor, cases, work_folder(out), workers, limits or Limits(), shown) as rows:
        counted, partial = Counted(rows), work_folder(out) / f"partial{out.suffix}"
        write(partial, counted, prediction_columns(known), _facts(predictor, len(cases.rows)))
        told = counted.told(out, cases)
        finish(partial, out)
    shown.finish(STAGE, cached=False)
    return told


def _check_workers(workers: int) -> None:
    if workers < 0:
        raise ConfigError("the number of workers is negative", where="workers", expected=">= 0", got=workers)


def _rows(
    predictor: Predictor, cases: Cases, work: Path, workers: int, limits: Limits, shown: Reporter
) -> AbstractContextManager[Iterator[Row]]:
    job = Job(cases.reader, predictor.contract, limits)
    key = f"{predictor.artifact.digest} {predictor.precision} {predictor.on_doubt} {limits}"
    return rows_of(
        job, cases.rows, work, lambda ready: [found.to_json() for found in predictor.score_many(ready)], key=key,
        workers=workers, progress=lambda done, total: shown.advance(STAGE, done, total),
    )  # fmt: skip


def _facts(predictor: Predictor, subjects: int) -> dict[str, Any]:
    return {
        "kind": "predictions", "bundle": predictor.artifact.digest, "task": predictor.contract.task,
        "title": predictor.contract.title, "subjects": subjects, "code_version": metadata.version("cardiobind"),
        "code": artifact.code_digest(CODE), "notice": NOTICE,
    }  # fmt: skip


class Counted:
    """Rows that are counted as they pass."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows, self.scored, self.abstained = rows, 0, 0
        self.set_aside: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Row]:
        for row in self._rows:
            self.scored += row["told"] is not None
            self.set_aside.update([row["set_aside"]] if row["set_aside"] is not None else [])
            self.abstained += bool(row["told"] and row["told"].get("abstained"))
            yield row

    def told(self, out: Path, cases: Cases) -> Told:
        """Return the counts.

        Raises:
            ArtifactError: subjects were lost.
        """
        read, aside = len(cases.rows), sum(self.set_aside.values())
        if read != self.scored + aside:
            got = f"{read} read, {self.scored} scored, {aside} set aside"
            raise ArtifactError("subjects were lost: read is not scored + set aside", got=got)
        why = dict(sorted(self.set_aside.items()))
        return Told(out, read, self.scored, self.abstained, why, cases.passed_over, cases.without_facts, cases.left_out)
