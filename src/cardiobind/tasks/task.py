"""What an endpoint is, and the registry of all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cardiobind.errors import ConfigError
from cardiobind.registry import Registry
from cardiobind.tasks.codes import CodeSet

Timing = Literal["any", "prevalent", "incident"]
KINDS = ("binary", "survival", "regression", "multilabel")
TRAINABLE_KINDS = ("binary",)
"""Kinds for which there is a head that can be trained and metrics to score it."""


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


TASKS: Registry[Task] = Registry("task")


def check_trainable(name: str) -> None:
    """Refuse an endpoint that has labels, but no head that learns them.

    Args:
        name: of a registered task.

    Raises:
        UnknownNameError: there is no such task.
        ConfigError: nothing can be trained on its kind yet; the message names a binary task of the same codes.
    """
    task = TASKS.get(name)
    if task.kind in TRAINABLE_KINDS:
        return
    binary = [other for other in TASKS if TASKS.get(other).kind in TRAINABLE_KINDS]
    same = list(task.members) or [o for o in binary if task.positive.codes == TASKS.get(o).positive.codes]
    raise ConfigError(
        f"a {task.kind} task has labels, but no network can be trained on it yet", where=f"protocol.task = {name!r}",
        expected=f"a task of kind {' | '.join(TRAINABLE_KINDS)}: {', '.join(same or binary)}", got=task.kind,
        hint="`Cohort.label_table` and `Cohort.survival` give its labels to models of your own",
    )  # fmt: skip
