"""How well scores separate and how far they can be taken as risks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

from cardiobind.errors import InputError
from cardiobind.evaluation.figures.style import COLOURS, MUTED, new_figure, quiet_grid, styled
from cardiobind.evaluation.metrics import calibration_intercept, calibration_slope, ece
from cardiobind.evaluation.resampled import equal_mass_bins

Floats = NDArray[np.float64]

_GRID = np.linspace(0, 1, 201)


@dataclass(frozen=True)
class Curve:
    """One model's test scores.

    Attributes:
        name: as the legend names it, with its number.
        labels: (n,) 0 or 1.
        scores: (seeds, n) in [0, 1].
    """

    name: str
    labels: Floats
    scores: Floats


@styled
def roc(curves: Sequence[Curve], *, title: str = "") -> Figure:
    """Return ROC curves, each the mean sensitivity over seeds at equal specificity.

    Args:
        curves: models, both classes present.
        title: above.

    Raises:
        InputError: there is no curve, or one lacks a class.
    """
    figure, axes = _square(curves, title)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=":", label="chance")
    for curve, colour in zip(curves, _colours(curves), strict=True):
        mean = np.mean([_sensitivity_at(curve.labels, scores) for scores in curve.scores], axis=0)
        axes.plot(np.r_[0, _GRID], np.r_[0, mean], color=colour, linewidth=1.6, label=curve.name)
    axes.set(xlabel="1 − specificity", ylabel="sensitivity")
    axes.legend(loc="lower right")
    return figure


@styled
def precision_recall(curves: Sequence[Curve], *, title: str = "") -> Figure:
    """Return precision over recall, each the mean over seeds, with the prevalence as the line of no skill.

    Args:
        curves: models, both classes present.
        title: above.

    Raises:
        InputError: there is no curve, or one lacks a class.
    """
    figure, axes = _square(curves, title)
    prevalence = float(np.mean(curves[0].labels))
    axes.axhline(prevalence, color=MUTED, linewidth=0.8, linestyle=":", label=f"prevalence {100 * prevalence:.1f} %")
    for curve, colour in zip(curves, _colours(curves), strict=True):
        mean = np.mean([_precision_at(curve.labels, scores) for scores in curve.scores], axis=0)
        axes.plot(_GRID[1:], mean[1:], color=colour, linewidth=1.6, label=curve.name)
    axes.set(xlabel="recall (sensitivity)", ylabel="precision (positive predictive value)")
    axes.legend(loc="upper right")
    return figure


@styled
def reliability(curves: Sequence[Curve], *, title: str = "") -> Figure:
    """Return observed frequency over predicted risk in bins of equal size, above a histogram of the risks.

    The predictions of all seeds are pooled; bars are 95 % Wilson intervals for the subjects of one seed. The legend
    gives the means over seeds of ECE, slope and intercept, as the tables do. The axes end where the bins end.

    Args:
        curves: models; scores are taken as risks.
        title: above.

    Raises:
        InputError: there is no curve, or one lacks a class.
    """
    _check(curves)
    figure = new_figure(5.2, 6.2 + 0.2 * len(curves))
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    risks = [curve.scores.ravel() for curve in curves]
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=":", label="perfect calibration")
    ends = [_bins(axes, *drawn) for drawn in zip(curves, risks, _colours(curves), strict=True)]
    limit = min(1.0, 1.05 * max(ends))
    for curve, risk, colour in zip(curves, risks, _colours(curves), strict=True):
        share = np.full(len(risk), 1 / len(curve.scores))
        clipped, edges = np.minimum(risk, limit), np.linspace(0, limit, 41)
        below.hist(clipped, bins=edges, weights=share, histtype="step", color=colour, linewidth=1.2)
    beyond = " (last bin: this and more)" if max(float(r.max()) for r in risks) > limit else ""
    axes.set(xlim=(0, limit), ylim=(0, limit), ylabel="observed frequency")
    below.set(xlabel=f"predicted risk{beyond}", ylabel="subjects", yscale="log")
    for each in (axes, below):
        quiet_grid(each)
    axes.set_title(title)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left")
    return figure


@styled
def decision_curve(curves: Sequence[Curve], *, title: str = "") -> Figure:
    """Return net benefit over the risk at which one would act, beside acting on all and on none.

    Args:
        curves: models; scores are taken as risks; the net benefit is the mean over seeds.
        title: above.

    Raises:
        InputError: there is no curve, or one lacks a class.

    Source:
        Vickers and Elkin 2006, Med. Decis. Making 26:565-574.
    """
    _check(curves)
    prevalence = float(np.mean(curves[0].labels))
    thresholds = np.linspace(0.001, min(0.99, max(0.3, 4 * prevalence)), 200)
    odds = thresholds / (1 - thresholds)
    figure = new_figure(5.2, 4.4)
    axes = figure.subplots()
    quiet_grid(axes)
    axes.plot(thresholds, prevalence - (1 - prevalence) * odds, color=MUTED, linestyle="--", label="act on all")
    axes.axhline(0, color=MUTED, linestyle=":", label="act on none")
    for curve, colour in zip(curves, _colours(curves), strict=True):
        gain = np.mean([_net_benefit(curve.labels, risk, thresholds) for risk in curve.scores], axis=0)
        axes.plot(thresholds, gain, color=colour, linewidth=1.6, label=curve.name)
    axes.set(xlabel="risk at which one would act", ylabel="net benefit", ylim=(-0.25 * prevalence, 1.1 * prevalence))
    axes.set(xlim=(0, thresholds[-1]), title=title)
    axes.legend(loc="upper right")
    return figure


def _net_benefit(labels: Floats, risk: Floats, thresholds: Floats) -> Floats:
    called = risk[:, None] >= thresholds
    true, false = (np.mean(called & (labels[:, None] == c), axis=0) for c in (1, 0))
    return np.asarray(true - thresholds / (1 - thresholds) * false)


def _check(curves: Sequence[Curve]) -> None:
    if not curves:
        raise InputError("there is no curve to draw", where="curves")
    for curve in curves:
        if set(np.unique(curve.labels)) != {0.0, 1.0}:
            raise InputError("a curve needs both classes", where=curve.name)


def _square(curves: Sequence[Curve], title: str) -> tuple[Figure, Axes]:
    _check(curves)
    figure = new_figure(5.2, 5.2)
    axes = figure.subplots()
    quiet_grid(axes)
    axes.set(xlim=(0, 1), ylim=(0, 1.01), aspect="equal", title=title)
    return figure, axes


def _colours(curves: Sequence[Curve]) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(len(curves))]


def _sensitivity_at(labels: Floats, scores: Floats) -> Floats:
    false_share, true_share, _ = roc_curve(labels, scores, drop_intermediate=False)
    return np.asarray(np.interp(_GRID, false_share, true_share))


def _precision_at(labels: Floats, scores: Floats) -> Floats:
    precision, recall, _ = precision_recall_curve(labels, scores)
    first_reaching = np.searchsorted(-recall, -_GRID, side="right") - 1
    return np.asarray(precision[first_reaching])


def _bins(axes: Axes, curve: Curve, risk: Floats, colour: str) -> float:
    labels, member = np.tile(curve.labels, len(curve.scores)), equal_mass_bins(risk)
    groups = [(risk[member == b], labels[member == b]) for b in np.unique(member)]
    predicted = np.array([r.mean() for r, _ in groups])
    observed = np.array([y.mean() for _, y in groups])
    low, high = _wilson(observed, np.array([len(y) / len(curve.scores) for _, y in groups]))
    axes.errorbar(
        predicted, observed, yerr=[observed - low, high - observed], color=colour, marker="o", markersize=4,
        linewidth=1.2, elinewidth=0.8, capsize=2, label=f"{curve.name}: {_calibration_text(curve)}",
    )  # fmt: skip
    return float(max(high.max(), predicted.max()))


def _calibration_text(curve: Curve) -> str:
    statistics = {"ECE": ece, "slope": calibration_slope, "intercept": calibration_intercept}
    means = {name: np.mean([f(curve.labels, s) for s in curve.scores]) for name, f in statistics.items()}
    return ", ".join(f"{name} {f'{v:.2f}'.replace('-', '−') if np.isfinite(v) else '–'}" for name, v in means.items())


def _wilson(share: Floats, n: Floats) -> tuple[Floats, Floats]:
    z = 1.959964
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return np.minimum(middle - half, share), np.maximum(middle + half, share)
