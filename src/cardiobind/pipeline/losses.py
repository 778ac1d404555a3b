"""What a cohort kept and what it lost, in a few lines for the terminal."""

from __future__ import annotations

from typing import Any

from cardiobind.cohort import Cohort
from cardiobind.cohort.left_out import explain
from cardiobind.tasks import TASKS

REASONS_TOLD = 3
LOUD_SHARE = 0.2
_LOST = {
    "not_understood", "unknown_category", "wrong_unit", "out_of_range", "not_a_number", "not_a_flag",
}  # fmt: skip


def kept_and_lost(cohort: Cohort, task: str) -> list[str]:
    """Return lines on the records kept and set aside, on columns that lost much, and on the labels of a task.

    Args:
        cohort: as prepared.
        task: endpoint of the experiment.
    """
    lines = [_records(modality, counts, cohort.summary["quarantine"]) for modality, counts in cohort.counts.items()]
    names = TASKS.get(task).members or (task,)
    return [*lines, *_columns(cohort.summary), *(_labels(name, cohort.summary["tasks"].get(name)) for name in names)]


def _records(modality: str, counts: Any, quarantine: Any) -> str:
    line = f"  {modality:<8} read {counts['read']:,}, kept {counts['kept']:,}, set aside {counts['quarantined']:,}"
    reasons = sorted(quarantine.get(modality, {}).items(), key=lambda item: -item[1])
    told = "; ".join(f"{count:,} {explain(reason)[0]}" for reason, count in reasons[:REASONS_TOLD])
    return f"{line}: {told}" + (" ..." if len(reasons) > REASONS_TOLD else "") if reasons else line


def _columns(summary: Any) -> list[str]:
    lost: dict[str, int] = {}
    for issue in summary["table_issues"]:
        if issue["reason"] in _LOST:
            lost[issue["column"]] = lost.get(issue["column"], 0) + issue["count"]
    observed = {name: facts["observed"] for name, facts in summary["features"].items()}
    return [
        f"  ! {name}: {count:,} of {count + observed[name]:,} values could not be used and are missing"
        for name, count in lost.items()
        if name in observed and count > LOUD_SHARE * (count + observed[name])
    ]


def _labels(task: str, found: Any) -> str:
    if not found or not found["labelled"]:
        return f"  ! {task}: nobody has a label"
    unlabelled = sum(found["unlabelled"].values())
    positive = f", {found['positive']:,} positive" if found.get("positive") is not None else ""
    return f"  {task}: {found['labelled']:,} labelled{positive}, {unlabelled:,} without a label"
