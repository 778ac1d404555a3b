"""How well scores separate and how far they can be taken as risks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter
from numpy.typing import NDArray

from cardiobind.errors import InputError
from cardiobind.evaluation.figures.bands import GRID, precision_band, precision_curve, roc_band, sensitivity_curve
from cardiobind.evaluation.figures.style import MUTED, Look, looks, new_figure, quiet_grid, styled
from cardiobind.evaluation.metrics import calibration_intercept, calibration_slope, ece
from cardiobind.evaluation.net_benefit import net_benefit
from cardiobind.evaluation.resampled import equal_mass_bins

Floats = NDArray[np.float64]

_PANEL_COLUMNS = 3


@dataclass(frozen=True)
class Curve:
    """One model's test scores.

    Attributes:
        name: as the legend names it, with its number.
        labels: (n,) 0 or 1.
        scores: (seeds, n) in [0, 1].
        subjects: (n,) subject of each row, 0 to subjects - 1, for a band; each row its own where it is not given.
        band: whether a bootstrap band is drawn.
        look: colour and marker; by place where it is not given.
    """

    name: str
    labels: Floats
    scores: Floats
    subjects: NDArray[np.int64] | None = None
    band: bool = False
    look: Look | None = None

    @property
    def rows_of_subjects(self) -> NDArray[np.int64]:
        """Return the subject of each row."""
        return np.arange(len(self.labels)) if self.subjects is None else self.subjects


@styled
def roc(curves: Sequence[Curve], *, title: str = "") -> Figure:
    """Return ROC curves, each the mean sensitivity over seeds at equal specificity, some with a 95 % bootstrap band.

    Args:
        curves: models, both classes present.
        title: above.

    Raises:
        InputError: there is no curve, or one lacks a class.
    """
    figure, axes = _square(curves, title)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=":", label="chance")
    for curve, look in zip(curves, _looks(curves), strict=True):
        mean = np.mean([_sensitivity_at(curve.labels, scores) for scores in curve.scores], axis=0)
        axes.plot(np.r_[0, GRID], np.r_[0, mean], color=look.colour, linewidth=1.6, label=curve.name)
        if curve.band and (band := roc_band(curve.labels, curve.scores, curve.rows_of_subjects)):
            axes.fill_between(GRID, *band, color=look.colour, alpha=0.15, linewidth=0)
    axes.set(xlabel="1 − specificity", ylabel="sensitivity")
    _legend_below(figure, axes)
    return figure


@styled
def precision_recall(curves: Sequence[Curve], *, title: str = "") -> Figure:
    """Return precision over recall, each the mean over seeds, some with a 95 % bootstrap band, above the prevalence.

    Args:
        curves: models, both classes present.
        title: above.

    Raises:
        InputError: there is no curve, or one lacks a class.
    """
    figure, axes = _square(curves, title)
    prevalence = float(np.mean(curves[0].labels))
    axes.axhline(prevalence, color=MUTED, linewidth=0.8, linestyle=":", label=f"prevalence {100 * prevalence:.1f} %")
    for curve, look in zip(curves, _looks(curves), strict=True):
        mean = np.mean([_precision_at(curve.labels, scores) for scores in curve.scores], axis=0)
        axes.plot(GRID[1:], mean[1:], color=look.colour, linewidth=1.6, label=curve.name)
        if curve.band and (band := precision_band(curve.labels, curve.scores, curve.rows_of_subjects)):
            axes.fill_between(GRID[1:], band[0][1:], band[1][1:], color=look.colour, alpha=0.15, linewidth=0)
    axes.set(xlabel="recall (sensitivity)", ylabel="precision (positive predictive value)")
    _legend_below(figure, axes)
    return figure


@styled
def reliability(curves: Sequence[Curve], *, title: str = "") -> Figure:
    """Return observed frequency over predicted risk in ten bins of equal size, a panel a model, with the counts.

    The predictions of all seeds are pooled; bars are 95 % Wilson intervals for the subjects of one seed, and the
    numbers below a panel are events / subjects of each bin, of one seed on average. Each title gives the means over
    seeds of ECE, slope and intercept, as the tables do. The axes end where the bins end.

    Args:
        curves: models; scores are taken as risks.
        title: above.

    Raises:
        InputError: there is no curve, or one lacks a class.
    """
    _check(curves)
    columns = min(_PANEL_COLUMNS, len(curves))
    rows = -(-len(curves) // columns)
    figure = new_figure(max(3.7 * columns, 4.2), 5.5 * rows + 0.4)
    grid = figure.subplots(2 * rows, columns, squeeze=False, sharex="col", height_ratios=(4, 1) * rows)
    binned = [calibration_bins(curve) for curve in curves]
    limit = min(1.0, 1.05 * max(float(max(b.high.max(), b.predicted.max())) for b in binned))
    for place, (curve, bins, look) in enumerate(zip(curves, binned, _looks(curves), strict=True)):
        row, column = divmod(place, columns)
        _reliability_panel(grid[2 * row, column], grid[2 * row + 1, column], curve, bins, look, limit)
    for place in range(len(curves), rows * columns):
        row, column = divmod(place, columns)
        grid[2 * row, column].set_visible(False)
        grid[2 * row + 1, column].set_visible(False)
    figure.suptitle(title, fontsize=11, fontweight="bold", x=0.01, ha="left")
    return figure


@styled
def decision_curve(
    curves: Sequence[Curve], *, title: str = "", bands: Mapping[str, Sequence[tuple[float, float, float]]] | None = None
) -> Figure:
    """Return net benefit over the risk at which one would act, beside acting on all and on none.

    Args:
        curves: models; scores are taken as risks; the net benefit is the mean over seeds.
        title: above.
        bands: name of a curve -> (threshold, low, high), 95 % intervals over test subjects.

    Raises:
        InputError: there is no curve, or one lacks a class.

    Source:
        Vickers and Elkin 2006, Med. Decis. Making 26:565-574.
    """
    _check(curves)
    prevalence = float(np.mean(curves[0].labels))
    thresholds = np.linspace(0.001, min(0.99, max(0.3, 4 * prevalence)), 200)
    odds = thresholds / (1 - thresholds)
    figure = new_figure(5.2, 4.8 + 0.17 * len(curves))
    axes = figure.subplots()
    quiet_grid(axes)
    axes.plot(thresholds, prevalence - (1 - prevalence) * odds, color=MUTED, linestyle="--", label="act on all")
    axes.axhline(0, color=MUTED, linestyle=":", label="act on none")
    for curve, look in zip(curves, _looks(curves), strict=True):
        once = np.ones((1, len(curve.labels)))
        gain = np.mean([net_benefit(curve.labels, risk, thresholds, once)[0] for risk in curve.scores], axis=0)
        axes.plot(thresholds, gain, color=look.colour, linewidth=1.6, label=curve.name)
        if bands and bands.get(curve.name):
            at, low, high = np.transpose(bands[curve.name])
            axes.fill_between(at, low, high, color=look.colour, alpha=0.15, linewidth=0)
    axes.set(ylim=(-0.25 * prevalence, 1.1 * prevalence), xlim=(0, thresholds[-1]), title=title)
    axes.set(xlabel="risk at which one would act", ylabel="net benefit (true positives per 1,000 persons)")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{1000 * value:.0f}".replace("-", "−")))
    _legend_below(figure, axes)
    return figure


@dataclass(frozen=True)
class Bins:
    """Ten groups of about equally many subjects by predicted risk.

    Attributes:
        predicted, observed: (bins,) mean risk and share with the endpoint.
        low, high: (bins,) 95 % Wilson interval of the latter.
        subjects, events: (bins,) of one seed, on average.
    """

    predicted: Floats
    observed: Floats
    low: Floats
    high: Floats
    subjects: Floats
    events: Floats


def calibration_bins(curve: Curve) -> Bins:
    """Return the bins of a reliability diagram, the predictions of all seeds pooled."""
    seeds, risk = len(curve.scores), curve.scores.ravel()
    labels, member = np.tile(curve.labels, seeds), equal_mass_bins(risk)
    groups = [(risk[member == b], labels[member == b]) for b in np.unique(member)]
    subjects = np.array([len(y) / seeds for _, y in groups])
    observed = np.array([y.mean() for _, y in groups])
    low, high = _wilson(observed, subjects)
    return Bins(np.array([r.mean() for r, _ in groups]), observed, low, high, subjects, observed * subjects)


def _reliability_panel(axes: Axes, below: Axes, curve: Curve, bins: Bins, look: Look, limit: float) -> None:
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=":")
    axes.errorbar(
        bins.predicted, bins.observed, yerr=[bins.observed - bins.low, bins.high - bins.observed], color=look.colour,
        marker=look.marker, markersize=4, linewidth=1.0, elinewidth=0.8, capsize=2,
    )  # fmt: skip
    risk = curve.scores.ravel()
    share = np.full(len(risk), 1 / len(curve.scores))
    below.hist(
        np.minimum(risk, limit), bins=np.linspace(0, limit, 31).tolist(), weights=share, color=look.colour, alpha=0.6
    )
    beyond = " (last bar: this and more)" if float(risk.max()) > limit else ""
    counts = [f"{e:.0f}/{n:.0f}" for e, n in zip(bins.events, bins.subjects, strict=True)]
    axes.set(xlim=(0, limit), ylim=(0, limit), ylabel="observed frequency")
    axes.set_title(f"{curve.name}\n{_calibration_text(curve)}", fontsize=8)
    below.set(ylabel="subjects", yscale="log")
    below.set_xlabel(f"predicted risk{beyond}\nevents/subjects of the bins:\n{_in_two_lines(counts)}", fontsize=8)
    for each in (axes, below):
        quiet_grid(each)
        each.tick_params(labelsize=7)


def _in_two_lines(words: Sequence[str]) -> str:
    half = -(-len(words) // 2)
    return "\n".join("  ".join(part) for part in (words[:half], words[half:]) if part)


def _check(curves: Sequence[Curve]) -> None:
    if not curves:
        raise InputError("there is no curve to draw", where="curves")
    for curve in curves:
        if set(np.unique(curve.labels)) != {0.0, 1.0}:
            raise InputError("a curve needs both classes", where=curve.name)


def _square(curves: Sequence[Curve], title: str) -> tuple[Figure, Axes]:
    _check(curves)
    figure = new_figure(5.2, 5.4 + 0.17 * len(curves))
    axes = figure.subplots()
    quiet_grid(axes)
    axes.set(xlim=(0, 1), ylim=(0, 1.01), aspect="equal")
    figure.suptitle(title, fontsize=10, fontweight="bold", x=0.01, ha="left")
    return figure, axes


def _looks(curves: Sequence[Curve]) -> list[Look]:
    by_place = looks([str(i) for i in range(len(curves))])
    return [curve.look or by_place[str(i)] for i, curve in enumerate(curves)]


def _legend_below(figure: Figure, axes: Axes) -> None:
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left")


def _sensitivity_at(labels: Floats, scores: Floats) -> Floats:
    return np.asarray(sensitivity_curve(labels, scores, np.ones((1, len(labels))))[0])


def _precision_at(labels: Floats, scores: Floats) -> Floats:
    return np.asarray(precision_curve(labels, scores, np.ones((1, len(labels))))[0])


def _calibration_text(curve: Curve) -> str:
    statistics = {"ECE": ece, "slope": calibration_slope, "intercept": calibration_intercept}
    means = {name: np.mean([f(curve.labels, s) for s in curve.scores]) for name, f in statistics.items()}
    return ", ".join(f"{name} {f'{v:.2f}'.replace('-', '−') if np.isfinite(v) else '–'}" for name, v in means.items())


def _wilson(share: Floats, n: Floats) -> tuple[Floats, Floats]:
    z = 1.959964
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return np.minimum(middle - half, share), np.maximum(middle + half, share)
