"""Who a model works for: one metric in each subgroup beside that of everybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from cardiobind.errors import InputError
from cardiobind.evaluation.figures.style import COLOURS, MUTED, new_figure, quiet_grid, styled
from cardiobind.evaluation.metrics import METRICS
from cardiobind.evaluation.tables import estimate_text


@styled
def subgroup_forest(cell: Mapping[str, Any], *, metric: str, title: str = "") -> Figure:
    """Return a metric of one model in each subgroup with its interval and counts; the dashed line is everybody.

    A group in which the metric is undefined is named, with its counts and without a mark.

    Args:
        cell: of ``metrics.json``, with ``subgroups``.
        metric: which.
        title: above.

    Raises:
        InputError: the metric is defined in no group.
    """
    groups: Sequence[Mapping[str, Any]] = cell.get("subgroups", ())
    estimates = [group.get("metrics", {}).get(metric, {}) for group in groups]
    if all(estimate.get("value") is None for estimate in estimates):
        raise InputError("the metric is defined in no group", where="subgroup_forest", got=metric)
    figure = new_figure(8.2, 1.3 + 0.3 * len(groups))
    axes = figure.subplots()
    axes.axvline(
        cell["metrics"][metric]["value"], color=MUTED, linewidth=1.0, linestyle="--", label="all test subjects"
    )
    for y, estimate in enumerate(reversed(estimates)):
        value = estimate.get("value")
        if value is not None:
            low, high = (value if estimate.get(end) is None else estimate[end] for end in ("low", "high"))
            axes.plot([low, high], [y, y], color=COLOURS[0], linewidth=1.6, solid_capstyle="butt")
            axes.plot(value, y, "s", color=COLOURS[0], markersize=4.5)
        words = estimate_text(estimate) if value is not None else "too few"
        axes.text(1.02, y, words, transform=axes.get_yaxis_transform(), va="center", fontsize=8)
    axes.set_yticks(range(len(groups)), [_name(group) for group in reversed(groups)])
    axes.set(ylim=(-0.7, len(groups) - 0.3), xlabel=f"{METRICS[metric].title} (95 % interval)", title=title)
    quiet_grid(axes)
    axes.grid(visible=False, axis="y")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower right")
    return figure


def _name(group: Mapping[str, Any]) -> str:
    kind = str(group["group"]).removeprefix("group_").replace("_", " ")
    counts = f"{group['n']:,}" if group.get("positives") is None else f"{group['positives']:,}/{group['n']:,}"
    return f"{kind}: {group['level']}  ({counts})"
