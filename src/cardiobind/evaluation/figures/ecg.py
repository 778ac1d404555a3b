"""The electrocardiogram as on paper, at true scale, and a reconstruction beside its original."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from cardiobind.errors import InputError
from cardiobind.evaluation.figures.style import COLOURS, INK, MM_PER_INCH, MUTED, new_figure, styled
from cardiobind.modalities.records import LEADS

Signal = NDArray[np.floating]

SPEED_MM_S = 25.0
GAIN_MM_MV = 10.0
_ROW_MM, _TALLEST_ROW_MM, _STEP_MM, _AIR_MM = 30.0, 70.0, 5.0, 2.0
_NAME_MM, _NAME_TALL_MM, _NAME_LOW_MM = 8.5, 3.5, 6.5
"""Stretch of a trace that a lead's name lies over, height of the name, least height of its foot over the baseline."""
_HALO = [withStroke(linewidth=3.0, foreground="white")]
_TOP_MM, _BOTTOM_MM, _LEFT_MM, _RIGHT_MM = 22.0, 8.0, 15.0, 5.0
SHADES = ("#e8590c", "#1c7ed6")
"""Of attributions that raise and that lower a score."""
_SHADE_POINTS, _FAINTEST, _STRONGEST, _PAPER_COLLECTIONS = 7.0, 0.04, 0.75, 3
_PAPER, _FINE, _COARSE = "#fffafa", "#f9dfdf", "#efb3b3"
_LAYOUTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "3x4": (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6")),
    "6x2": (("I", "V1"), ("II", "V2"), ("III", "V3"), ("aVR", "V4"), ("aVL", "V5"), ("aVF", "V6")),
}


@styled
def ecg_paper(
    amplitude_mv: Signal,
    rate_hz: float,
    *,
    title: str = "",
    layout: Literal["3x4", "6x2"] = "3x4",
    rhythm: str | None = "II",
    overlay: Signal | None = None,
    overlay_name: str = "reconstruction",
    shade: Signal | None = None,
    shade_names: tuple[str, str] = ("above 0", "below 0"),
    note: str = "",
) -> Figure:
    """Return a 12-lead ECG on millimetre paper: 25 mm/s, 10 mm/mV, printed at 100 % it can be measured with a ruler.

    Rows are 30 mm apart, and further, up to 70 mm, where a tall wave would run into its neighbour or off the paper;
    what is taller still is cut at the edge of the paper.

    Args:
        amplitude_mv: (12, samples) in the order of `LEADS`; NaN is left blank.
        rate_hz: samples per second.
        title: top left.
        layout: rows by columns of leads; each column shows its own stretch of the recording.
        rhythm: lead of the full-length strip at the bottom, or None.
        overlay: (12, samples) a second signal over the first.
        overlay_name: what the second signal is.
        shade: (12, samples) from -1 to 1, drawn as a highlighter under the trace, stronger where it is further from 0.
        shade_names: what its two colours mean, that of values above 0 first.
        note: filters or device, after the scales.

    Raises:
        InputError: the signals are not (12, samples), the rate is not positive, or the layout is unknown.
    """
    _check(amplitude_mv, overlay, rate_hz, layout)
    _check(amplitude_mv, shade, rate_hz, layout)
    grid = _LAYOUTS[layout]
    width_mm = SPEED_MM_S * amplitude_mv.shape[1] / rate_hz
    rows = [*grid, (rhythm,) * len(grid[0])] if rhythm else list(grid)
    baselines_mm, height_mm = _baselines([s for s in (amplitude_mv, overlay) if s is not None], rate_hz, rows)
    figure, axes = _paper(width_mm, height_mm)
    signals = [(amplitude_mv, INK, 0.8)] + ([(overlay, COLOURS[1], 0.8)] if overlay is not None else [])
    for leads, baseline_mm in zip(grid, baselines_mm, strict=False):
        for column, lead in enumerate(leads):
            stretch = (column / len(leads), 1 / len(leads))
            _highlight(axes, amplitude_mv, shade, rate_hz, lead, baseline_mm, *stretch)
            _draw_lead(axes, signals, rate_hz, lead, baseline_mm, *stretch)
    if rhythm:
        _highlight(axes, amplitude_mv, shade, rate_hz, rhythm, baselines_mm[-1], 0.0, 1.0)
        _draw_lead(axes, signals, rate_hz, rhythm, baselines_mm[-1], 0.0, 1.0)
    _clip(axes, width_mm, height_mm)
    for baseline_mm in baselines_mm:
        _calibration_pulse(axes, baseline_mm)
    scales = "   ".join(part for part in ("25 mm/s", "10 mm/mV", f"{rate_hz:g} Hz", note) if part)
    axes.text(0, height_mm + 13, title, fontsize=11, fontweight="bold", va="center")
    axes.text(width_mm, -4, scales, fontsize=8, ha="right", va="center")
    if overlay is not None:
        axes.text(width_mm, height_mm + 13, f"— {overlay_name}", color=COLOURS[1], ha="right", va="center")
    if shade is not None:
        _say_shades(axes, shade_names, width_mm, height_mm)
    return figure


@styled
def reconstruction(
    original: Signal,
    restored: Signal,
    rate_hz: float,
    *,
    masked: NDArray[np.bool_] | None = None,
    unit: str = "z",
    title: str = "",
) -> Figure:
    """Return what a masked autoencoder saw and what it filled in, lead by lead.

    Args:
        original: (12, samples) in the order of `LEADS`.
        restored: (12, samples).
        rate_hz: samples per second.
        masked: (12, patches) or (patches,) hidden patches, equally long; they are shaded.
        unit: of the signals.
        title: above all.

    Raises:
        InputError: the signals or the mask have another shape.
    """
    _check(original, restored, rate_hz, "6x2")
    figure = new_figure(10.5, 8.6)
    all_axes = figure.subplots(6, 2, sharex=True, sharey=True)
    seconds = np.arange(original.shape[1]) / rate_hz
    bound = float(np.nanpercentile(np.abs(original), 99.9)) * 1.15
    for row, leads in enumerate(_LAYOUTS["6x2"]):
        for column, lead in enumerate(leads):
            axes: Axes = all_axes[row, column]
            index = LEADS.index(lead)
            _shade(axes, masked, index, seconds[-1] + 1 / rate_hz)
            axes.plot(seconds, original[index], color=INK, linewidth=0.8, label="original")
            axes.plot(seconds, restored[index], color=COLOURS[1], linewidth=0.8, label="reconstruction")
            axes.set_title(lead, fontsize=9)
            axes.set(xlim=(0, seconds[-1]), ylim=(-bound, bound))
    for axes in all_axes[-1]:
        axes.set_xlabel("time (s)")
    figure.supylabel(f"amplitude ({unit})", fontsize=9)
    figure.suptitle(title, fontsize=11, fontweight="bold", x=0.01, ha="left")
    handles, names = all_axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower right", ncols=3)
    return figure


def _check(first: Signal, second: Signal | None, rate_hz: float, layout: str) -> None:
    for signal in (first, second):
        if signal is not None and (signal.ndim != 2 or signal.shape != (len(LEADS), first.shape[1]) or not signal.size):
            raise InputError("not a 12-lead signal", where="ecg", expected="(12, samples)", got=signal.shape)
    if not rate_hz > 0:
        raise InputError("the sampling rate is not positive", where="rate_hz", got=rate_hz)
    if layout not in _LAYOUTS:
        raise InputError("unknown ECG layout", where="layout", expected=tuple(_LAYOUTS), got=layout)


def _baselines(
    signals: list[Signal], rate_hz: float, rows: Sequence[Sequence[str]]
) -> tuple[list[float], float]:  # fmt: skip
    """Return the height of each row's baseline above the bottom of the paper, top row first, and that of the top (mm).

    Args:
        signals: (12, samples) each, in mV.
        rate_hz: samples per second.
        rows: the leads of each row, one a column.
    """
    reach = np.array(
        [[_reach_mm(signals, rate_hz, lead, place, len(row)) for place, lead in enumerate(row)] for row in rows]
    )
    above, below = reach[..., 0], reach[..., 1]
    gaps = [_room_mm(np.max(below[row] + above[row + 1]), _ROW_MM) for row in range(len(rows) - 1)]
    bottom = _room_mm(below[-1].max(), _ROW_MM / 2)
    baselines = bottom + np.append(np.cumsum(gaps[::-1])[::-1], 0.0)
    return baselines.tolist(), float(baselines[0]) + _room_mm(above[0].max() - _STEP_MM, _ROW_MM / 2)


def _room_mm(needed: float, least: float) -> float:
    """Return a distance in whole squares of 5 mm, so that all baselines lie on the coarse grid."""
    return float(np.clip(np.ceil((needed + _AIR_MM) / _STEP_MM) * _STEP_MM, least, _TALLEST_ROW_MM))


def _reach_mm(signals: list[Signal], rate_hz: float, lead: str, column: int, columns: int) -> tuple[float, float]:
    """Return how far the stretch of a lead, with its name, goes above and below its baseline."""
    samples = signals[0].shape[1]
    stretch = slice(round(column / columns * samples), round((column + 1) / columns * samples))
    values = np.concatenate([signal[LEADS.index(lead), stretch] for signal in signals])
    known = np.append(values[np.isfinite(values)], 0.0)
    top = _name_mm([signal[LEADS.index(lead), stretch] for signal in signals], rate_hz) + _NAME_TALL_MM
    return max(float(known.max()) * GAIN_MM_MV, top), -float(known.min()) * GAIN_MM_MV


def _name_mm(stretches: list[Signal], rate_hz: float) -> float:
    """Return how far above the baseline the foot of a lead's name stands: above whatever the trace does below it."""
    under = np.concatenate([one[: round(_NAME_MM / SPEED_MM_S * rate_hz) + 1] for one in stretches])
    known = np.append(under[np.isfinite(under)], 0.0)
    return float(np.clip(known.max() * GAIN_MM_MV + 1.5, _NAME_LOW_MM, _TALLEST_ROW_MM - _NAME_TALL_MM))


def _paper(width_mm: float, height_mm: float) -> tuple[Figure, Axes]:
    total = (width_mm + _LEFT_MM + _RIGHT_MM, height_mm + _TOP_MM + _BOTTOM_MM)
    figure = new_figure(total[0] / MM_PER_INCH, total[1] / MM_PER_INCH, constrained=False)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-_LEFT_MM, width_mm + _RIGHT_MM), ylim=(-_BOTTOM_MM, height_mm + _TOP_MM))
    axes.axis("off")
    bounds = (-_LEFT_MM, width_mm + _RIGHT_MM, 0.0, height_mm + _STEP_MM)
    axes.fill_between(bounds[:2], bounds[2], bounds[3], color=_PAPER, linewidth=0)
    for step_mm, colour, line_width in ((1.0, _FINE, 0.35), (5.0, _COARSE, 0.55)):
        axes.add_collection(LineCollection(_grid_lines(bounds, step_mm), colors=colour, linewidths=line_width))
    return figure, axes


def _grid_lines(bounds: tuple[float, float, float, float], step_mm: float) -> list[list[tuple[float, float]]]:
    left, right, bottom, top = bounds
    xs = np.arange(np.ceil(left / step_mm), np.floor(right / step_mm) + 1) * step_mm
    ys = np.arange(np.ceil(bottom / step_mm), np.floor(top / step_mm) + 1) * step_mm
    return [[(x, bottom), (x, top)] for x in xs] + [[(left, y), (right, y)] for y in ys]


def _draw_lead(
    axes: Axes, signals: list[tuple[Signal, str, float]], rate_hz: float, lead: str, baseline_mm: float,
    start: float, share: float,
) -> None:  # fmt: skip
    samples = signals[0][0].shape[1]
    first, last = round(start * samples), round((start + share) * samples)
    x_mm = np.arange(first, last) / rate_hz * SPEED_MM_S
    for signal, colour, line_width in signals:
        y_mm = baseline_mm + GAIN_MM_MV * signal[LEADS.index(lead), first:last]
        axes.plot(x_mm, y_mm, color=colour, linewidth=line_width, solid_joinstyle="round")
    stretches = [signal[LEADS.index(lead), first:last] for signal, _, _ in signals]
    axes.text(
        x_mm[0] + 0.8, baseline_mm + _name_mm(stretches, rate_hz),
        f"{lead} (absent)" if np.isnan(stretches[0]).all() else lead, fontsize=9, fontweight="bold", va="bottom",
        path_effects=_HALO, zorder=5,
    )  # fmt: skip
    if start > 0:
        axes.plot([x_mm[0]] * 2, [baseline_mm - 2.5, baseline_mm + 2.5], color=INK, linewidth=0.6)


def _highlight(
    axes: Axes, amplitude_mv: Signal, shade: Signal | None, rate_hz: float, lead: str, baseline_mm: float,
    start: float, share: float,
) -> None:  # fmt: skip
    if shade is None:
        return
    samples, index = amplitude_mv.shape[1], LEADS.index(lead)
    at = np.arange(round(start * samples), round((start + share) * samples))
    points = np.stack([at / rate_hz * SPEED_MM_S, baseline_mm + GAIN_MM_MV * amplitude_mv[index, at]], axis=1)
    strength = np.clip((shade[index, at[1:]] + shade[index, at[:-1]]) / 2, -1, 1)
    seen = (np.abs(strength) > _FAINTEST) & np.isfinite(points).all(axis=1)[1:] & np.isfinite(points).all(axis=1)[:-1]
    colours = np.array([to_rgba(SHADES[0] if value > 0 else SHADES[1], _STRONGEST * abs(value)) for value in strength])
    lines = np.stack([points[:-1], points[1:]], axis=1)[seen]
    axes.add_collection(LineCollection(list(lines), colors=colours[seen], linewidths=_SHADE_POINTS, zorder=1.5))


def _clip(axes: Axes, width_mm: float, height_mm: float) -> None:
    sheet = Rectangle((-_LEFT_MM, 0), width_mm + _LEFT_MM + _RIGHT_MM, height_mm + _STEP_MM, transform=axes.transData)
    for line in (*axes.lines, *axes.collections[_PAPER_COLLECTIONS:]):
        line.set_clip_path(sheet)


def _say_shades(axes: Axes, names: tuple[str, str], width_mm: float, height_mm: float) -> None:
    for place, (words, colour) in enumerate(zip(names, SHADES, strict=True)):
        axes.text(
            width_mm, height_mm + 15 - 6 * place, words, fontsize=8, ha="right", va="center",
            bbox={"facecolor": colour, "edgecolor": "none", "alpha": 0.45, "pad": 1.5},
        )  # fmt: skip


def _calibration_pulse(axes: Axes, baseline_mm: float) -> None:
    x_mm = np.array([-10.0, -8.5, -8.5, -3.5, -3.5, -2.0])
    y_mm = baseline_mm + GAIN_MM_MV * np.array([0, 0, 1, 1, 0, 0])
    axes.plot(x_mm, y_mm, color=INK, linewidth=0.8)


def _shade(axes: Axes, masked: NDArray[np.bool_] | None, lead: int, seconds: float) -> None:
    if masked is None:
        return
    row = masked if masked.ndim == 1 else masked[lead]
    edges = np.linspace(0, seconds, len(row) + 1)
    turns = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(np.int8), [0]])))
    for number, (begin, end) in enumerate(turns.reshape(-1, 2)):
        label = "hidden" if number == 0 else None
        axes.axvspan(edges[begin], edges[end], color=MUTED, alpha=0.14, linewidth=0, label=label)
