"""What a 12-lead ECG is: its preparation, and what may be wrong with it."""

from cardiobind.modalities.ecg.preparation import (
    ECG_UNIT_UV,
    FATAL_ECG,
    LEAD_GROUPS,
    EcgPreparation,
    asymmetric_least_squares,
    clip_to_sd,
    ecg_quality,
    ecg_spec,
    normalise_by_lead_group,
    prepare_ecg,
    resample,
)

__all__ = [
    "ECG_UNIT_UV",
    "FATAL_ECG",
    "LEAD_GROUPS",
    "EcgPreparation",
    "asymmetric_least_squares",
    "clip_to_sd",
    "ecg_quality",
    "ecg_spec",
    "normalise_by_lead_group",
    "prepare_ecg",
    "resample",
]
