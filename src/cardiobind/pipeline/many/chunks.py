"""Rows of many subjects, computed in chunks that are committed one by one and kept over a kill."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cardiobind import artifact
from cardiobind.artifact import canonical_json
from cardiobind.cohort.ingest.locks import exclusive
from cardiobind.errors import ArtifactError, InputError
from cardiobind.inference import PreparedSubject
from cardiobind.pipeline.many.cases import Case
from cardiobind.pipeline.many.work import Job, Outcome, outcomes

KIND = "rows"
CHUNK = 64
CODE = ("formats", "inference", "modalities", "pipeline/many", "sources")
"""Rooms whose code decides the rows."""

Row = dict[str, Any]
Tell = Callable[[Sequence[PreparedSubject]], Sequence[Any]]
Progress = Callable[[int, int], None]


def work_folder(out: Path) -> Path:
    """Return the folder, beside the output, that holds what a killed run goes on from."""
    return out.parent / f".{out.name}.work"


@contextmanager
def rows_of(
    job: Job, cases: Sequence[Case], work: Path, tell: Tell, *, key: str, workers: int, progress: Progress
) -> Iterator[Iterator[Row]]:
    """Give a row for each case, in their order: subject, visit, set_aside, detail and what is told of them.

    Nobody else is at work in the folder for the length of the block.

    Args:
        job: what workers need.
        cases: of whom.
        work: folder of the chunks; those of an earlier run with the same key and files are used.
        tell: says, of each of several subjects, what is JSON-compatible.
        key: of all else that decides what is told.
        workers: processes.
        progress: called with (subjects done, subjects to do in this run).

    Raises:
        ArtifactError: another run is at work in `work`, or its disk is full.
        ConfigError: worker processes cannot start.
    """
    plan = [cases[start : start + CHUNK] for start in range(0, len(cases), CHUNK)]
    code = artifact.code_digest(CODE)
    with exclusive(work):
        places = [work / f"{i:06d}-{_digest([key, code, [c.key for c in chunk]])}" for i, chunk in enumerate(plan)]
        _make(job, [(p, c) for p, c in zip(places, plan, strict=True) if not _there(p)], tell, workers, progress)
        yield (row for place in places for row in _read(place))


def refuse_existing(out: Path) -> None:
    """Refuse to write over a file that an earlier run has finished.

    Raises:
        InputError: there is one, or no folder for it.
    """
    if out.exists() and not work_folder(out).exists():
        raise InputError("there is something at that path already", where=out.name, hint="choose another path")
    if not out.absolute().parent.is_dir():
        raise InputError("no folder to write into", where=out.name, hint="make it first")


def finish(partial: Path, out: Path) -> None:
    """Put a whole file in its place and forget what it was made from."""
    with partial.open("rb") as stream:
        os.fsync(stream.fileno())
    partial.replace(out)
    gone = out.parent / f".{out.name}.done"
    work_folder(out).rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def _make(
    job: Job, missing: Sequence[tuple[Path, Sequence[Case]]], tell: Tell, workers: int, progress: Progress
) -> None:
    cases = [case for _, chunk in missing for case in chunk]
    home = [(at, i) for at, (_, chunk) in enumerate(missing) for i in range(len(chunk))]
    found: list[dict[int, Outcome]] = [{} for _ in missing]
    done = 0
    progress(0, len(cases))
    for place, outcome in outcomes(job, cases, workers):
        at, i = home[place]
        found[at][i] = outcome
        path, chunk = missing[at]
        if len(found[at]) == len(chunk):
            _commit(path, _rows(chunk, [found[at][i] for i in range(len(chunk))], tell))
            found[at] = {}
            done += len(chunk)
            progress(done, len(cases))


def _rows(chunk: Sequence[Case], made: Sequence[Outcome], tell: Tell) -> list[Row]:
    told = iter(tell([ready for outcome in made if (ready := outcome.prepared) is not None]))
    return [
        {"subject": case.subject, "visit": case.visit, "set_aside": outcome.reason or None,
         "detail": outcome.detail or None, "told": None if outcome.noticed is None else next(told)}
        for case, outcome in zip(chunk, made, strict=True)
    ]  # fmt: skip


def _commit(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with artifact.commit(path, KIND) as folder:
        lines = [json.dumps(row, allow_nan=False, ensure_ascii=False) for row in rows]
        (folder / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")


def _read(path: Path) -> Iterator[Row]:
    lines = artifact.open_artifact(path, KIND).file("rows.jsonl").read_text(encoding="utf-8").split("\n")
    return map(json.loads, lines)


def _there(path: Path) -> bool:
    try:
        artifact.open_artifact(path, KIND)
    except ArtifactError:
        shutil.rmtree(path, ignore_errors=True)
        return False
    return True


def _digest(value: object) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]
