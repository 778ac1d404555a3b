"""The pictures of one subject, each with what has to be said of it, for a page or a report."""

from __future__ import annotations

from cardiobind.evaluation.report import Picture
from cardiobind.explain.drawings import ecg_attribution, fact_shares, modality_shares
from cardiobind.explain.explanation import Explanation
from cardiobind.explain.planes import cine_attribution
from cardiobind.explain.risk import risk_in_cohort
from cardiobind.inference import Prediction, PreparedSubject
from cardiobind.inference.trust.cohort import Histogram
from cardiobind.modalities.records import EcgRecord

SIGNED = "Orange raises the score, blue lowers it."


def risk_picture(prediction: Prediction, cohort: Histogram | None) -> list[Picture]:
    """Return where a risk or value stands among those of the cohort, or nothing where either is not known."""
    if cohort is None or (prediction.risk is None and prediction.value is None):
        return []
    drawn = risk_in_cohort(prediction, cohort)
    words = (
        "Grey: validation subjects with the same inputs, at least 10 in a bar, whose area is their share. "
        f"{prediction.interval_of}."
    )
    return [Picture("risk", "Among the cohort", drawn, "The risk of this subject among those of the cohort", words)]


def pictures(found: Explanation, prepared: PreparedSubject, record: EcgRecord | None) -> list[Picture]:
    """Return what a score rests on: modalities, ECG, cine and facts, as far as they were explained.

    Args:
        found: the explanation.
        prepared: what was explained.
        record: the ECG to draw at true scale; None where there is none.
    """
    unit = str(found.method.get("unit", "logit"))
    shown = [Picture("modalities", "Modalities", modality_shares(found), "The share of each modality", SIGNED)]
    if found.ecg is not None and record is not None:
        drawn = ecg_attribution(found, record.amplitude_mv, record.rate_hz)
        words = f"{SIGNED} Compared with {found.method['ecg']['baseline']}. Printed at 100 % it can be measured."
        shown.append(Picture("ecg", "ECG", drawn, "The ECG with its attributions", words, raster=True))
    if found.cmr is not None:
        drawn = cine_attribution(found, prepared.signals["cmr"][0].numpy())
        side_mm = found.cmr.shape[1] * float(found.cmr_pixel_mm or 1)
        words = (
            f"{SIGNED} Above, the planes as the network sees them, cut to {side_mm:.0f} mm around the heart; below, "
            f"the same with their attributions. Compared with {found.method['cmr']['baseline']}."
        )
        shown.append(Picture("cmr", "Cine MRI", drawn, "The planes with their attributions", words, raster=True))
    if found.tabular is not None:
        drawn = fact_shares(found.tabular, unit=unit)
        words = f"{SIGNED} Compared with {found.method['tabular']['baseline']}; a fact not given has no bar."
        shown.append(Picture("facts", "Medical facts", drawn, "The facts that weigh most", words))
    return shown
