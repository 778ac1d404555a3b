"""Explanations as pictures: on ECG paper, as bars."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from cardiobind.evaluation.figures.ecg import SHADES, ecg_paper
from cardiobind.evaluation.figures.style import INK, MUTED, new_figure, quiet_grid, styled
from cardiobind.explain.explanation import Explanation, FactShare

Floats = NDArray[np.floating]

RAISES, LOWERS = "raises the score", "lowers the score"
SMOOTH_S = 0.02
"""Standard deviation of the blur of an ECG before drawing."""
_FULL_PERCENTILE = 99.5
_MOST_FACTS = 12
WORDS = {"ecg": "ECG", "cmr": "cine MRI", "tabular": "medical facts"}


def ecg_attribution(found: Explanation, amplitude_mv: Floats, rate_hz: float, *, title: str = "") -> Figure:
    """Return a 12-lead ECG on paper at true scale, the trace highlighted where it raises or lowers the score.

    Args:
        found: has an ECG.
        amplitude_mv: (12, samples) as it was recorded, from the beginning of what was explained.
        rate_hz: of the recording.
        title: top left.
    """
    values, rate = _given(found.ecg), float(found.ecg_rate_hz or rate_hz)
    seconds = min(amplitude_mv.shape[1] / rate_hz, values.shape[1] / rate)
    shown = amplitude_mv[:, : round(seconds * rate_hz)]
    fine = gaussian_filter1d(values, SMOOTH_S * rate, axis=1)
    times, own = np.arange(shown.shape[1]) / rate_hz, np.arange(fine.shape[1]) / rate
    shade = np.stack([np.interp(times, own, lead) for lead in fine]) / _full(fine)
    return ecg_paper(
        shown, rate_hz, title=title, shade=np.clip(shade, -1, 1), shade_names=(RAISES, LOWERS),
        note=f"{found.method['name'].replace('_', ' ')}",
    )  # fmt: skip


@styled
def fact_shares(
    facts: Sequence[FactShare], *, most: int = _MOST_FACTS, title: str = "", unit: str = "logit"
) -> Figure:  # fmt: skip
    """Return the facts that weigh most as bars to either side, each with its value and unit.

    Args:
        facts: of one subject.
        most: how many to show; the others are one bar.
        title: above all.
        unit: of the score.
    """
    known = sorted((f for f in facts if f.given is not None), key=lambda f: -abs(f.attribution))
    bars = [(said(fact), fact.attribution) for fact in known[:most]]
    if len(known) > most:
        bars.append((f"{len(known) - most} others", sum(f.attribution for f in known[most:])))
    return _bars(bars, title, unit)


@styled
def modality_shares(found: Explanation, *, title: str = "") -> Figure:
    """Return the share of each modality as bars to either side."""
    bars = [(WORDS.get(m, m), value) for m, value in found.modalities.items()]
    return _bars(bars, title, str(found.method.get("unit", "logit")))


def said(fact: FactShare) -> str:
    """Return a fact with its value and unit: ``Systolic blood pressure 141 mmHg``."""
    unit = fact.unit if fact.given is not None else ""
    return " ".join(word for word in (fact.title, _given_in_words(fact.given), unit) if word)


def _given_in_words(given: float | str | bool | None) -> str:
    if given is None or isinstance(given, bool):
        return {None: "not known", True: "yes", False: "no"}[given]
    return given.replace("_", " ") if isinstance(given, str) else f"{given:.4g}"


def _bars(bars: Sequence[tuple[str, float]], title: str, unit: str) -> Figure:
    figure = new_figure(7.2, 0.27 * len(bars) + 0.85)
    axes = figure.subplots()
    values = [value for _, value in bars]
    places = range(len(bars))
    axes.barh(places, values, color=[SHADES[0] if value > 0 else SHADES[1] for value in values], height=0.7)
    axes.set_yticks(places, [name for name, _ in bars])
    axes.invert_yaxis()
    axes.axvline(0, color=INK, linewidth=0.8)
    reach = max([abs(value) for value in values] + [1e-9])
    for place, value in zip(places, values, strict=True):
        axes.annotate(
            f"{value:+.2f}", (value, place), xytext=(4 if value >= 0 else -4, 0), textcoords="offset points",
            ha="left" if value >= 0 else "right", va="center", fontsize=8, color=MUTED,
        )  # fmt: skip
    axes.set_xlim(-1.25 * reach, 1.25 * reach)
    axes.set_xlabel(f"← {LOWERS}      change of the score ({unit})      {RAISES} →")
    quiet_grid(axes)
    axes.tick_params(left=False)
    axes.spines["left"].set_visible(False)
    figure.suptitle(title, fontsize=11, fontweight="bold", x=0.01, ha="left")
    return figure


def _full(values: Floats) -> float:
    return max(float(np.percentile(np.abs(values), _FULL_PERCENTILE)), 1e-12)


def _given(values: NDArray[np.float64] | None) -> NDArray[np.float64]:
    return np.zeros((0, 0)) if values is None else values
