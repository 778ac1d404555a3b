"""What a worker does: make one subject's data ready within limits, or say in a code and words why not."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from dataclasses import dataclass, field, fields, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from cardiobind.cohort.ingest.guard import Limits, end_process_after, time_limit
from cardiobind.cohort.ingest.prepare import (
    READER_CRASHED,
    TIMED_OUT,
    Settings,
    explained,
    in_words,
    read_record,
)
from cardiobind.cohort.ingest.workers import start_workers, work_through
from cardiobind.errors import CardiobindError, DataContractError, InputError
from cardiobind.inference import BundleContract, PreparedSubject, prepare_subject
from cardiobind.inference.facts import check_one_row
from cardiobind.pipeline.many.cases import Case, Reader

BREAKS_CONTRACT = "breaks_contract"
NOT_USABLE = "not_usable"
NOTHING_GIVEN = "nothing_given"
REASONS = {
    BREAKS_CONTRACT: "a medical fact is out of its range, or of no known category",
    NOT_USABLE: "the facts are not one row of those that the network uses",
    NOTHING_GIVEN: "the subject has neither a recording nor a fact",
}
"""Reason codes beside those of readers (`cardiobind.formats.reasons.REASONS`), of preparation and of the workers."""
AHEAD = 8
"""Subjects that wait for each worker, so that none is idle while the network is at work."""


@dataclass(frozen=True)
class Job:
    """What every worker needs.

    Attributes:
        reader: of the recordings.
        contract: of the network.
        limits: of one subject.
        expendable: whether the process may be ended to get rid of a reader that hangs outside Python.
    """

    reader: Reader
    contract: BundleContract
    limits: Limits = field(default_factory=Limits)
    expendable: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of one subject: data, or a reason code and words.

    Attributes:
        noticed: all but the signals; None of a subject that is set aside.
        arrays: the signals by modality: tensors would travel in shared files.
        reason, detail: why there are none.
    """

    noticed: PreparedSubject | None = None
    arrays: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    reason: str = ""
    detail: str = ""

    @classmethod
    def of(cls, prepared: PreparedSubject) -> Outcome:
        """Return the outcome of a subject whose data are ready."""
        drawn = {f.name: None for f in fields(prepared) if not f.repr}  # records that were read, which no score needs
        arrays = {m: signal.numpy() for m, signal in prepared.signals.items()}
        return cls(replace(prepared, signals={}, **drawn), arrays)  # type: ignore[arg-type]

    @property
    def prepared(self) -> PreparedSubject | None:
        """The data as the network takes them; None of a subject that is set aside."""
        signals = {m: torch.from_numpy(array) for m, array in self.arrays.items()}
        return None if self.noticed is None else replace(self.noticed, signals=signals)


def outcomes(job: Job, cases: Sequence[Case], workers: int) -> Iterator[tuple[int, Outcome]]:
    """Yield the place of each case and what became of it, as they are done.

    Args:
        job: what workers need.
        cases: of whom.
        workers: processes that read the files, none where there are none; 0 works in this process, where a file that
            kills its reader kills the run.

    Raises:
        ConfigError: worker processes cannot start.
    """
    items = list(enumerate(cases))
    if not workers or not any(case.signals for case in cases):  # facts are no file that can kill its reader
        yield from ((place, make_ready(job, case)) for place, case in items)
        return
    suspects: list[tuple[int, Case]] = []
    start = partial(_start, job)
    for item, outcome in work_through(start, _make_ready_here, items, workers=workers, ahead=AHEAD):
        if outcome is None:
            suspects.append(item)
        else:
            yield item[0], outcome
    while suspects:
        with _start(job, 1) as pool:
            yield from _until_one_kills(pool, job, suspects)


def make_ready(job: Job, case: Case) -> Outcome:
    """Make one subject's data ready; whatever goes wrong becomes a reason."""
    if not case.signals and case.facts is None:
        return Outcome(reason=NOTHING_GIVEN, detail=REASONS[NOTHING_GIVEN])
    try:
        with end_process_after(job.limits.hard_seconds) if job.expendable else nullcontext():
            with time_limit(job.limits.seconds):
                return Outcome.of(_prepared(job, case))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a reader may raise anything; the others must go on
        reason, detail = _told(error, job.limits)
        return Outcome(reason=reason, detail=detail.replace(case.subject, "*") if len(case.subject) > 3 else detail)


def _prepared(job: Job, case: Case) -> PreparedSubject:
    contract = job.contract
    wanted = {"ecg": contract.ecg, "cmr": contract.cmr}
    settings: Settings = {m: s for m, s in wanted.items() if s is not None}
    records = {m: read_record(job.reader, ref, settings) for m, ref in case.signals.items()}  # type: ignore[arg-type]
    if case.facts is not None:
        check_one_row(case.rows)
    return prepare_subject(contract, table=case.facts, **records)  # type: ignore[arg-type]


def _told(error: BaseException, limits: Limits) -> tuple[str, str]:
    if isinstance(error, DataContractError):
        return BREAKS_CONTRACT, f"{error.where}: {in_words(error)}"
    if isinstance(error, InputError):
        return NOT_USABLE, in_words(error)
    if isinstance(error, CardiobindError) and not hasattr(error, "reason"):
        return NOT_USABLE, in_words(error)
    return explained(error, limits)


def _until_one_kills(
    pool: ProcessPoolExecutor, job: Job, suspects: list[tuple[int, Case]]
) -> Iterator[tuple[int, Outcome]]:
    while suspects:
        item = suspects.pop(0)
        began = time.monotonic()
        try:
            yield item[0], pool.submit(_make_ready_here, item).result()
        except BrokenProcessPool:
            late = time.monotonic() - began >= job.limits.hard_seconds
            words = f"not done after {job.limits.seconds:g} s" if late else "the process that read it died"
            yield item[0], Outcome(reason=TIMED_OUT if late else READER_CRASHED, detail=words)
            return


def _start(job: Job, workers: int) -> ProcessPoolExecutor:
    preload = [__name__, "cardiobind.sources", type(job.reader).__module__]
    return start_workers(workers, job.limits.memory_bytes, preload, _begin_worker, job)


_JOB: list[Job] = []


def _begin_worker(job: Job) -> None:
    torch.set_num_threads(1)
    _JOB[:] = [replace(job, expendable=True)]


def _make_ready_here(item: tuple[int, Case]) -> Outcome:
    return make_ready(_JOB[0], item[1])
