"""What an endpoint is, and the registry of all of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from cardiobind.registry import Registry
from cardiobind.tasks.codes import CodeSet

Timing = Literal["any", "prevalent", "incident"]

NO_CODES = CodeSet()


@dataclass(frozen=True)
class Task:
    """One endpoint.

    Attributes:
        name: as configs and reports name it.
        kind: ``"binary"``; ``"survival"`` (time from the visit to the first event or to the end of follow-up);
            ``"regression"`` (a number of the table); ``"multilabel"`` (several binary tasks at once).
        metric: headline metric.
        title: for people.
        positive: events that make a label 1.
        negative: events that make it 0; None means that the absence of a positive event does.
        timing: ``"any"`` at any time; ``"prevalent"`` on the visit's day or before; ``"incident"`` after it, those with
            an earlier event excluded. A survival task is incident.
        column: of the table, for regression; its unit is in its name.
        members: names of the binary tasks of a multilabel task, in order.
        source: where the definition is from, a key of `cardiobind.tasks.SOURCES_OF_CODES`.
    """

    name: str
    kind: str
    metric: str
    title: str
    positive: CodeSet = NO_CODES
    negative: CodeSet | None = None
    timing: Timing = "any"
    column: str = ""
    members: tuple[str, ...] = ()
    source: str = ""

    @property
    def unit(self) -> str:
        """Unit of a regression's value, which ends its title in brackets; nothing where there is none."""
        found = re.search(r"\(([^()]+)\)$", self.title) if self.column else None
        return found[1] if found else ""


TASKS: Registry[Task] = Registry("task")


def kind_of(name: str | None) -> str:
    """Return the kind of a task; ``"binary"`` for labels of a cohort whose task is not registered."""
    return TASKS.get(name).kind if name is not None and name in TASKS else "binary"
