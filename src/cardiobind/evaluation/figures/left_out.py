"""Small pictures of records that were left out: enough to see why, too small to be measured."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cardiobind.evaluation.figures.style import INK, MUTED, RULE, new_figure, styled
from cardiobind.modalities.records import LEADS


@styled
def small_ecg(amplitude_mv: NDArray[np.floating]) -> Figure:
    """Return twelve small traces on one scale, each over the whole recording.

    Args:
        amplitude_mv: (12, columns) in the order of `LEADS`, NaN where missing.
    """
    figure = new_figure(4.6, 2.1)
    found = np.abs(amplitude_mv[np.isfinite(amplitude_mv)])
    limit = max(1.0, float(found.max(initial=0.0)))
    for axes, lead, trace in zip(figure.subplots(3, 4).T.flat, LEADS, amplitude_mv, strict=True):
        axes.axhline(0, color=RULE, linewidth=0.5)
        axes.plot(trace, color=INK, linewidth=0.6)
        axes.set(xlim=(0, amplitude_mv.shape[1]), ylim=(-limit, limit), xticks=[], yticks=[])
        axes.set_frame_on(False)
        absent = "" if np.isfinite(trace).any() else " absent"
        axes.text(0, 1, f"{lead}{absent}", transform=axes.transAxes, fontsize=6, color=MUTED, va="top")
    figure.supxlabel(f"each trace ±{limit:.3g} mV, whole recording", fontsize=6, color=MUTED)
    return figure


@styled
def small_image(pixels: NDArray[np.uint8]) -> Figure:
    """Return one image in grey.

    Args:
        pixels: (rows, columns).
    """
    figure = new_figure(2.1, 2.1)
    axes = figure.subplots()
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255)
    axes.set_axis_off()
    return figure
