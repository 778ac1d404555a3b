"""What a cine is: planes around the heart, found without a segmentation model, and their quality."""

from cardiobind.modalities.cmr.layouts import ABSENT_VALUE, LAYOUTS, LONG_AXIS, CmrPreparation, Planes
from cardiobind.modalities.cmr.preparation import (
    DOUBTFUL_CMR,
    FATAL_CMR,
    FRAME_NAMES,
    PreparedCine,
    cmr_quality,
    cmr_spec,
    prepare_cmr,
)

__all__ = [
    "ABSENT_VALUE",
    "DOUBTFUL_CMR",
    "FATAL_CMR",
    "FRAME_NAMES",
    "LAYOUTS",
    "LONG_AXIS",
    "CmrPreparation",
    "Planes",
    "PreparedCine",
    "cmr_quality",
    "cmr_spec",
    "prepare_cmr",
]
