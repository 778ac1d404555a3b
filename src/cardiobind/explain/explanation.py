"""What a score rests on, as numbers that can be drawn, stored and sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_DIGITS = 4


@dataclass(frozen=True)
class FactShare:
    """What one medical fact adds to the score.

    Attributes:
        name: canonical.
        title, unit: in words, as `title_and_unit` gives them.
        given: its value in that unit; None where it was not given.
        attribution: in the unit of the score.
    """

    name: str
    title: str
    unit: str
    given: float | str | bool | None
    attribution: float


@dataclass(frozen=True)
class Explanation:
    """Attributions of one subject's score, all in its unit (logits, for a yes or no).

    Attributes:
        modalities: Shapley value of each modality given; together the score less that of nothing known.
        ecg: (12, samples) at `ecg_rate_hz`, or None; together the score less that of the
            baseline that `method` names, by default a normal ECG with the same beats.
        ecg_rate_hz: of the prepared ECG.
        ecg_leads: names.
        cmr: (planes, rows, columns), or None; together the score less that of the baseline that `method` names, by
            default the same heart contracting normally.
        cmr_planes: names.
        cmr_pixel_mm: side of a pixel.
        tabular: of every fact that the network uses, or None; together the score less that of no fact known.
        method: how all of it was found, against which baselines, how well it adds up, and under ``ties`` of a modality
            what lies between its share in `modalities` and the sum inside it.
    """

    modalities: Mapping[str, float]
    ecg: Floats | None
    ecg_rate_hz: float | None
    ecg_leads: tuple[str, ...]
    cmr: Floats | None
    cmr_planes: tuple[str, ...]
    tabular: tuple[FactShare, ...] | None
    method: Mapping[str, Any]
    cmr_pixel_mm: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-compatible description, samples and pixels rounded to a 10,000th of the largest."""
        ecg = None if self.ecg is None else {
            "rate_hz": self.ecg_rate_hz, "leads": list(self.ecg_leads), "samples": _rounded(self.ecg),
        }  # fmt: skip
        cmr = None if self.cmr is None else {
            "planes": list(self.cmr_planes), "size_px": self.cmr.shape[1], "pixel_mm": self.cmr_pixel_mm,
            "pixels": _rounded(self.cmr),
        }  # fmt: skip
        return {
            "modalities": dict(self.modalities),
            "ecg": ecg,
            "cmr": cmr,
            "tabular": None if self.tabular is None else [asdict(share) for share in self.tabular],
            "method": dict(self.method),
        }


def _rounded(values: Floats) -> Any:
    largest = float(np.abs(values).max(initial=0.0))
    places = _DIGITS - int(np.floor(np.log10(largest))) if largest > 0 else 0
    return (np.round(values, places) + 0.0).tolist()
