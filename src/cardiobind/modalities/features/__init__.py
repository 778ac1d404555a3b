"""The medical facts cardiobind knows: name, unit, plausible range, role, and the UK Biobank field each comes from."""

from __future__ import annotations

from cardiobind.modalities.features.cardiology import CARDIOLOGY_FEATURES
from cardiobind.modalities.features.cmr import CMR_FEATURES, CMR_SCAN_FEATURES
from cardiobind.modalities.features.core import CORE_FEATURES
from cardiobind.modalities.features.feature import Feature, Kind, Role
from cardiobind.modalities.features.history import HISTORY_FEATURES
from cardiobind.modalities.features.lifestyle import ACTIVITY_FEATURES, FOOD_AND_TOBACCO_FEATURES
from cardiobind.modalities.features.measurements import BODY_FEATURES, ECG_INTERVAL_FEATURES, PULSE_WAVE_FEATURES

FEATURES: tuple[Feature, ...] = (
    *CORE_FEATURES, *CMR_FEATURES, *CMR_SCAN_FEATURES, *BODY_FEATURES, *PULSE_WAVE_FEATURES, *ECG_INTERVAL_FEATURES,
    *ACTIVITY_FEATURES, *FOOD_AND_TOBACCO_FEATURES, *HISTORY_FEATURES,
    *CARDIOLOGY_FEATURES,
)  # fmt: skip
FEATURE_BY_NAME = {feature.name: feature for feature in FEATURES}
INPUT_FEATURES = tuple(feature.name for feature in FEATURES if feature.role == "input")

__all__ = ["CORE_FEATURES", "FEATURES", "FEATURE_BY_NAME", "INPUT_FEATURES", "Feature", "Kind", "Role"]
