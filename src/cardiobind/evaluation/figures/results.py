"""Pictures of ``metrics.json`` and of training logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cardiobind.errors import InputError
from cardiobind.evaluation.figures.style import COLOURS, MUTED, new_figure, quiet_grid, styled
from cardiobind.evaluation.metrics import METRICS
from cardiobind.evaluation.tables import estimate_text, percent

_CLOCKS = ("step", "epoch", "round")
_SPLITS = ("train", "validation", "val")
_MOST_PANELS = 6


@styled
def forest(metrics: Mapping[str, Any], *, metric: str = "auroc", title: str = "") -> Figure:
    """Return every model's metric with its interval, a row a model; the best possible, where known, as a diamond.

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
    figure = new_figure(8.2, 1.1 + 0.32 * len(cells))
    axes = figure.subplots()
    for y, cell in enumerate(reversed(cells)):
        estimate = cell["metrics"][metric]
        low, high = (estimate[k] if estimate[k] is not None else estimate["value"] for k in ("low", "high"))
        axes.plot([low, high], [y, y], color=COLOURS[0], linewidth=1.6, solid_capstyle="butt")
        axes.plot(estimate["value"], y, "s", color=COLOURS[0], markersize=5)
        axes.text(1.02, y, estimate_text(estimate), transform=axes.get_yaxis_transform(), va="center", fontsize=8)
        best = _oracle(metrics, cell, metric)
        if best is not None:
            axes.plot(best, y, "D", color=COLOURS[1], markersize=4, label="best possible on simulated data")
    axes.set_yticks(range(len(cells)), [_cell_name(metrics, cell) for cell in reversed(cells)])
    axes.set(
        xlabel=f"{METRICS[metric].title} (95 % interval over test subjects)", title=title, ylim=(-0.7, len(cells) - 0.3)
    )
    if metric in ("auroc", "balanced_accuracy", "balanced_accuracy_at_half"):
        axes.axvline(0.5, color=MUTED, linewidth=0.8, linestyle=":")
    quiet_grid(axes)
    axes.grid(visible=False, axis="y")
    _legend_once(axes)
    return figure


@styled
def label_efficiency(
    metrics: Mapping[str, Any], *, metric: str = "auroc", baselines: Sequence[str] = (), title: str = ""
) -> Figure:
    """Return a metric over the share of labels used in training, a panel a set of inputs and a line a model.

    Args:
        metrics: result of `cardiobind.evaluation.evaluate.evaluate`, more than one fraction.
        metric: which.
        baselines: arms drawn dashed.
        title: above.

    Raises:
        InputError: no model has that metric.
    """
    cells = [cell for cell in metrics["cells"] if cell["metrics"].get(metric, {}).get("value") is not None]
    panels = list(dict.fromkeys(_panel_name(metrics, cell) for cell in cells))
    if not panels:
        raise InputError("no model has that metric", where="label_efficiency", got=metric)
    arms = list(dict.fromkeys(cell["arm"] for cell in cells))
    figure = new_figure(min(3.8 * len(panels) + 0.6, 11), 3.9)
    for axes, panel in zip(figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels, strict=True):
        for i, arm in enumerate(arms):
            own = [c for c in cells if c["arm"] == arm and _panel_name(metrics, c) == panel]
            _efficiency_line(
                axes, own, metric, arm, COLOURS[i % len(COLOURS)], 1 + 0.03 * (i - len(arms) / 2), arm in baselines
            )
        _fraction_axis(axes, sorted({c["fraction"] for c in cells}))
        axes.set(title=panel, xlabel="share of training labels")
    figure.get_axes()[0].set_ylabel(f"{METRICS[metric].title} (95 % interval)")
    figure.suptitle(title, fontsize=11, fontweight="bold", x=0.01, ha="left")
    handles = dict(zip(*reversed(figure.get_axes()[0].get_legend_handles_labels()), strict=True))
    figure.legend(list(handles.values()), list(handles), loc="outside lower left", ncols=min(len(handles), 5) or 1)
    return figure


@styled
def training_curves(history: pd.DataFrame, *, title: str = "") -> Figure:
    """Return the course of a training, a panel a quantity, training and validation together.

    Args:
        history: one row a round; a column step, epoch or round, and numeric columns such as ``loss``,
            ``train_loss``, ``validation/auroc``.
        title: above.

    Raises:
        InputError: there is no numeric column.
    """
    clock = next((name for name in _CLOCKS if name in history.columns), None)
    x = history[clock].to_numpy() if clock else np.arange(len(history))
    panels = _panels(history)
    if not panels:
        raise InputError("nothing to draw", where="history", expected="numeric columns", got=list(history.columns))
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = new_figure(3.6 * columns, 2.6 * rows + 0.3)
    all_axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (name, lines) in zip(all_axes, panels.items(), strict=False):
        for split, column in lines.items():
            colour = COLOURS[1] if split == "validation" else COLOURS[0]
            y = history[column].to_numpy(np.float64)
            axes.plot(x[np.isfinite(y)], y[np.isfinite(y)], color=colour, linewidth=1.3, label=split or None)
        axes.set(title=name, xlabel=clock or "row")
        quiet_grid(axes)
        if any(lines):
            axes.legend()
    for axes in all_axes[len(panels) :]:
        axes.set_visible(False)
    figure.suptitle(title, fontsize=11, fontweight="bold", x=0.01, ha="left")
    return figure


def _cell_name(metrics: Mapping[str, Any], cell: Mapping[str, Any]) -> str:
    many = len({c["fraction"] for c in metrics["cells"]}) > 1
    return f"{cell['arm']}  ·  {_panel_name(metrics, cell)}" + (f"  ·  {percent(cell['fraction'])}" if many else "")


def _panel_name(metrics: Mapping[str, Any], cell: Mapping[str, Any]) -> str:
    many = len({c["task"] for c in metrics["cells"]}) > 1
    return f"{cell['task']}, {cell['inputs']}" if many else str(cell["inputs"])


def _oracle(metrics: Mapping[str, Any], cell: Mapping[str, Any], metric: str) -> float | None:
    for entry in metrics.get("oracle", ()):
        if entry.get("inputs") == cell["inputs"] and entry.get("task", cell["task"]) == cell["task"]:
            estimate = entry.get("metrics", {}).get(metric, {})
            return estimate.get("value") if isinstance(estimate, Mapping) else estimate
    return None


def _legend_once(axes: Axes) -> None:
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    if handles:
        axes.legend(list(handles.values()), list(handles), loc="upper right", bbox_to_anchor=(1.0, -0.12))


def _efficiency_line(
    axes: Axes, cells: Sequence[Mapping[str, Any]], metric: str, name: str, colour: str, shift: float, dashed: bool
) -> None:
    cells = sorted(cells, key=lambda cell: float(cell["fraction"]))
    x = np.array([cell["fraction"] for cell in cells]) * shift
    estimates = [cell["metrics"][metric] for cell in cells]
    y = np.array([e["value"] for e in estimates])
    low = np.array([e["value"] if e["low"] is None else e["low"] for e in estimates])
    high = np.array([e["value"] if e["high"] is None else e["high"] for e in estimates])
    axes.errorbar(
        x, y, yerr=[np.maximum(y - low, 0), np.maximum(high - y, 0)], color=colour, marker="o", markersize=4,
        linewidth=1.5, elinewidth=0.9, capsize=2, linestyle="--" if dashed else "-", label=name,
    )  # fmt: skip


def _fraction_axis(axes: Axes, fractions: Sequence[float]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(fractions, [percent(f) for f in fractions])
    axes.set_xticks([], minor=True)
    axes.set_xlim(0.8 * fractions[0], 1.25 * fractions[-1])
    quiet_grid(axes)


def _panels(history: pd.DataFrame) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for column in history.columns:
        numeric = pd.api.types.is_numeric_dtype(history[column]) and history[column].notna().any()
        if column in _CLOCKS or not numeric:
            continue
        split, name = _split_of(str(column))
        found.setdefault(name, {})[split] = str(column)
    wanted = sorted(found, key=lambda name: ("loss" not in name, "validation" not in found[name]))
    return {name: found[name] for name in wanted[:_MOST_PANELS]}


def _split_of(column: str) -> tuple[str, str]:
    for split in _SPLITS:
        for mark in ("/", "_", "."):
            if column.startswith(split + mark):
                return ("validation" if split == "val" else split), column[len(split) + 1 :]
    return "", column
