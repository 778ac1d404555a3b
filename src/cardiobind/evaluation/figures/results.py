"""Pictures of ``metrics.json``: models beside one another, and what more labels bring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cardiobind.errors import InputError
from cardiobind.evaluation.figures.style import (
    COLOURS,
    MOST_COLOURED,
    MUTED,
    OTHERS,
    Look,
    looks,
    new_figure,
    quiet_grid,
    styled,
)
from cardiobind.evaluation.metrics import METRICS
from cardiobind.evaluation.tables import estimate_text, percent

CHANCE = {"auroc": 0.5, "balanced_accuracy": 0.5, "balanced_accuracy_at_half": 0.5, "concordance": 0.5}
_MOST_COLUMNS = 2


@styled
def forest(metrics: Mapping[str, Any], *, metric: str = "auroc", title: str = "") -> Figure:
    """Return every model's metric with its interval, a row a model; the best possible, where known, as a diamond.

    With several shares of the labels there is a panel for each, and the numbers are left to the tables.

    Args:
        metrics: result of `cardiobind.evaluation.evaluate.evaluate`.
        metric: which.
        title: above.

    Raises:
        InputError: no model has that metric.
    """
    cells = [cell for cell in metrics["cells"] if cell["metrics"].get(metric, {}).get("value") is not None]
    if not cells:
        raise InputError("no model has that metric", where="forest", got=metric)
    fractions = sorted({cell["fraction"] for cell in cells})
    names = list(dict.fromkeys(_cell_name(metrics, cell) for cell in cells))
    figure = new_figure(8.2 if len(fractions) == 1 else 3.2 + 2.4 * len(fractions), 1.4 + 0.3 * len(names))
    panels = figure.subplots(1, len(fractions), sharex=True, sharey=True, squeeze=False)[0]
    for axes, fraction in zip(panels, fractions, strict=True):
        own = {_cell_name(metrics, cell): cell for cell in cells if cell["fraction"] == fraction}
        for y, name in enumerate(reversed(names)):
            if name in own:
                _estimate(axes, y, own[name]["metrics"][metric], _oracle(metrics, own[name], metric))
                if len(fractions) == 1:
                    words = estimate_text(own[name]["metrics"][metric])
                    axes.text(1.02, y, words, transform=axes.get_yaxis_transform(), va="center", fontsize=8)
        axes.set_title(f"{percent(fraction)} of the labels" if len(fractions) > 1 else title)
        if metric in CHANCE:
            axes.axvline(CHANCE[metric], color=MUTED, linewidth=0.8, linestyle=":")
        quiet_grid(axes)
        axes.grid(visible=False, axis="y")
    panels[0].set_yticks(range(len(names)), list(reversed(names)))
    panels[0].set_ylim(-0.7, len(names) - 0.3)
    figure.supxlabel(f"{METRICS[metric].title} (95 % interval over test subjects)", fontsize=9)
    _legend_of_forest(figure, panels)
    return figure


@styled
def label_efficiency(
    metrics: Mapping[str, Any], *, metric: str = "auroc", baselines: Sequence[str] = (),
    labels: Mapping[float, str] | None = None, shown: Sequence[str] | None = None, title: str = "",
) -> Figure:  # fmt: skip
    """Return a metric over the share of labels used in training, a panel a set of inputs and a line a model.

    Args:
        metrics: result of `cardiobind.evaluation.evaluate.evaluate`, more than one fraction.
        metric: which.
        baselines: arms drawn dashed.
        labels: fraction -> how many labels that is, for the axis.
        shown: arms in colour, at most six, the most important first; the others are grey lines without bars.
        title: above.

    Raises:
        InputError: no model has that metric.
    """
    cells = [cell for cell in metrics["cells"] if cell["metrics"].get(metric, {}).get("value") is not None]
    panels = list(dict.fromkeys(_panel_name(metrics, cell) for cell in cells))
    if not panels:
        raise InputError("no model has that metric", where="label_efficiency", got=metric)
    arms = [str(arm) for arm in dict.fromkeys([*(shown or ()), *(cell["arm"] for cell in cells)])]
    styles = looks(arms[:MOST_COLOURED] if shown is None else list(shown)[:MOST_COLOURED])
    columns = min(_MOST_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    figure = new_figure(5.0 * columns + 0.6, 3.6 * rows + 0.25 * len(styles) + 0.4)
    every_axes = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for axes, panel in zip(every_axes, panels, strict=False):
        own = [cell for cell in cells if _panel_name(metrics, cell) == panel]
        _efficiency_panel(axes, own, metric, arms, styles, baselines)
        _ceiling(axes, metrics, own[0], metric)
        _fraction_axis(axes, sorted({cell["fraction"] for cell in cells}), labels or {})
        axes.set(title=panel, xlabel="share of the training labels" + (" and their number" if labels else ""))
    for axes in every_axes[len(panels) :]:
        axes.set_visible(False)
    for row in range(rows):
        every_axes[row * columns].set_ylabel(f"{METRICS[metric].title} (95 % interval)")
    figure.suptitle(title, fontsize=11, fontweight="bold", x=0.01, ha="left")
    _legend_of_arms(figure, styles, baselines, others=len(arms) > len(styles), oracle=bool(metrics.get("oracle")))
    return figure


def _estimate(axes: Axes, y: int, estimate: Mapping[str, Any], best: float | None) -> None:
    low, high = (estimate[k] if estimate[k] is not None else estimate["value"] for k in ("low", "high"))
    axes.plot([low, high], [y, y], color=COLOURS[0], linewidth=1.6, solid_capstyle="butt")
    axes.plot(estimate["value"], y, "s", color=COLOURS[0], markersize=4.5)
    if best is not None:
        axes.plot(best, y, "D", color=COLOURS[1], markersize=4, label="best possible on simulated data")


def _cell_name(metrics: Mapping[str, Any], cell: Mapping[str, Any]) -> str:
    if len({(c["task"], c["inputs"]) for c in metrics["cells"]}) == 1:
        return str(cell["arm"])
    return f"{cell['arm']}  ·  {_panel_name(metrics, cell)}"


def _panel_name(metrics: Mapping[str, Any], cell: Mapping[str, Any]) -> str:
    many = len({c["task"] for c in metrics["cells"]}) > 1
    return f"{cell['task']}, {cell['inputs']}" if many else str(cell["inputs"])


def _oracle(metrics: Mapping[str, Any], cell: Mapping[str, Any], metric: str) -> float | None:
    for entry in metrics.get("oracle", ()):
        if entry.get("inputs") == cell["inputs"] and entry.get("task", cell["task"]) == cell["task"]:
            estimate = entry.get("metrics", {}).get(metric, {})
            return estimate.get("value") if isinstance(estimate, Mapping) else estimate
    return None


def _legend_of_forest(figure: Figure, panels: Sequence[Axes]) -> None:
    found = dict(zip(*reversed(panels[0].get_legend_handles_labels()), strict=True))
    if found:
        figure.legend(list(found.values()), list(found), loc="outside lower right")


def _legend_of_arms(
    figure: Figure, styles: Mapping[str, Look], baselines: Sequence[str], *, others: bool, oracle: bool
) -> None:
    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, markersize=4, linestyle=_dash(arm, baselines), label=arm)
        for arm, look in styles.items()
    ]
    handles += [Line2D([], [], color=OTHERS, label="other models")] if others else []
    handles += [Line2D([], [], color=MUTED, linestyle=":", label="best possible on simulated data")] if oracle else []
    figure.legend(handles=handles, loc="outside lower left", ncols=2 if len(handles) > 3 else 1)


def _efficiency_panel(
    axes: Axes, cells: Sequence[Mapping[str, Any]], metric: str, arms: Sequence[str], styles: Mapping[str, Look],
    baselines: Sequence[str],
) -> None:  # fmt: skip
    for place, arm in enumerate(arms):
        own = sorted((c for c in cells if c["arm"] == arm), key=lambda cell: float(cell["fraction"]))
        values = [c["metrics"][metric]["value"] for c in own]
        if arm not in styles:
            axes.plot([c["fraction"] for c in own], values, color=OTHERS, linewidth=1.0, zorder=1)
            continue
        shift = 1 + 0.03 * (place - min(len(styles), len(arms)) / 2)
        bounds = [[e["value"] if e[k] is None else e[k] for k in ("low", "high")] for e in _estimates(own, metric)]
        around = [[max(v - low, 0) for v, (low, _) in zip(values, bounds, strict=True)],
                  [max(high - v, 0) for v, (_, high) in zip(values, bounds, strict=True)]]  # fmt: skip
        look = styles[arm]
        axes.errorbar(
            [c["fraction"] * shift for c in own], values, yerr=around, color=look.colour, marker=look.marker,
            markersize=4, linewidth=1.5, elinewidth=0.9, capsize=2, linestyle=_dash(arm, baselines), zorder=3,
        )  # fmt: skip


def _estimates(cells: Sequence[Mapping[str, Any]], metric: str) -> list[Mapping[str, Any]]:
    return [cell["metrics"][metric] for cell in cells]


def _dash(arm: str, baselines: Sequence[str]) -> Literal["-", "--"]:
    return "--" if arm in baselines else "-"


def _ceiling(axes: Axes, metrics: Mapping[str, Any], cell: Mapping[str, Any], metric: str) -> None:
    best = _oracle(metrics, cell, metric)
    if best is not None:
        axes.axhline(best, color=MUTED, linewidth=1.0, linestyle=":")


def _fraction_axis(axes: Axes, fractions: Sequence[float], labels: Mapping[float, str]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(fractions, [percent(f) + (f"\n{labels[f]}" if f in labels else "") for f in fractions])
    axes.set_xticks([], minor=True)
    axes.set_xlim(0.75 * fractions[0], 1.33 * fractions[-1])
    quiet_grid(axes)
