"""The endpoints as a table for people."""

from __future__ import annotations

import pandas as pd

from cardiobind.tasks.codes import CodeSet
from cardiobind.tasks.endpoints import SOURCES_OF_CODES
from cardiobind.tasks.task import TASKS, Task

DESCRIPTION_COLUMNS = ["task", "kind", "timing", "title", "positive", "negative", "metric", "source"]


def describe_tasks() -> pd.DataFrame:
    """Return every registered endpoint in words, one a row: the columns `DESCRIPTION_COLUMNS`."""
    rows = [_describe(TASKS.get(name)) for name in TASKS]
    return pd.DataFrame(rows, columns=DESCRIPTION_COLUMNS)


def describe_codes(codes: CodeSet) -> str:
    """Return a set of codes in words: ``ICD10 I21, I22; SELF REPORT 1075``."""
    by_system: dict[str, list[str]] = {}
    for system, code in codes.codes:
        by_system.setdefault(system, []).append(code)
    listed = "; ".join(f"{system.upper().replace('_', ' ')} {', '.join(found)}" for system, found in by_system.items())
    return listed + (f", with none of {', '.join(code for _, code in codes.alone)} beside it" if codes.alone else "")


def _describe(task: Task) -> tuple[str, ...]:
    what = {"regression": f"column {task.column}", "multilabel": f"tasks {', '.join(task.members)}"}
    positive = what.get(task.kind, describe_codes(task.positive))
    negative = "" if task.kind in what else "everybody else" if task.negative is None else describe_codes(task.negative)
    timing = "" if task.kind in what else task.timing
    source = SOURCES_OF_CODES.get(task.source, task.source)
    return (task.name, task.kind, timing, task.title, positive, negative, task.metric, source)
