"""Which models a picture shows where there are too many for one, and how each looks in all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cardiobind.evaluation.cells import Cell
from cardiobind.evaluation.figures.style import MOST_COLOURED, Look, looks
from cardiobind.evaluation.tables import HEADLINES, estimate_text


def prominent(metrics: Mapping[str, Any]) -> list[str]:
    """Return all arms: first those that the comparisons are about, then their baselines, then by the first metric.

    What is best on test subjects decides alone which of the others are drawn in colour, never what is measured.
    """
    compared = metrics.get("comparisons", ())
    named = [str(entry[key]) for key in ("arm", "baseline") for entry in compared]
    ranked = sorted(metrics["cells"], key=_rank)
    return list(dict.fromkeys([*named, *(str(cell["arm"]) for cell in ranked)]))


def shown_arms(metrics: Mapping[str, Any]) -> list[str]:
    """Return the arms that pictures show in colour, at most six."""
    return prominent(metrics)[:MOST_COLOURED]


def looks_of(metrics: Mapping[str, Any]) -> dict[str, Look]:
    """Return the look of each arm, the same in every picture of a report."""
    return looks(prominent(metrics))


def baselines_of(metrics: Mapping[str, Any]) -> list[str]:
    """Return the arms that others are compared with."""
    return list(dict.fromkeys(str(entry["baseline"]) for entry in metrics.get("comparisons", ())))


def choose(metrics: Mapping[str, Any], cells: Sequence[Cell]) -> list[Cell]:
    """Return the cells of the most prominent arms, at most six, in their order."""
    order = {arm: place for place, arm in enumerate(prominent(metrics))}
    return sorted(cells, key=lambda cell: order.get(cell.arm, len(order)))[:MOST_COLOURED]


def left_out(metrics: Mapping[str, Any], shown: Sequence[str]) -> str:
    """Return a sentence that names the arms which a picture leaves to the tables, or nothing."""
    others = [arm for arm in prominent(metrics) if arm not in shown]
    return f" Not drawn, in the tables alone: {', '.join(others)}." if others else ""


def value_text(metrics: Mapping[str, Any], cell: Cell, name: str) -> str:
    """Return the value of a metric of a cell as text."""
    key = (cell.task, cell.arm, cell.inputs, cell.fraction)
    for entry in metrics["cells"]:
        if (entry["task"], entry["arm"], entry["inputs"], entry["fraction"]) == key:
            return estimate_text({"value": entry["metrics"].get(name, {}).get("value")})
    return "–"


def _rank(cell: Mapping[str, Any]) -> float:
    name = HEADLINES[str(cell.get("kind", "binary"))][0]
    value = cell["metrics"].get(name, {}).get("value")
    return 0.0 if value is None else -float(value)
