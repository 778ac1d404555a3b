"""Pages whose figures are made and not painted, which takes nearly all of their time; for tests of the words alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest


@contextmanager
def unpainted() -> Iterator[None]:
    """Within the block the pictures of a report are empty, and bands of curves are not resampled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cardiobind.evaluation.report.html.svg", lambda figure: "<svg/>")
        patch.setattr("cardiobind.evaluation.report.html.png_base64", lambda figure: "")
        for name in ("roc_band", "precision_band"):
            band = f"cardiobind.evaluation.figures.curves.{name}"
            patch.setattr(band, lambda *scores: (np.zeros(201), np.ones(201)))
        yield
