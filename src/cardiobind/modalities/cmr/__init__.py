"""What a short-axis cine is: three frames around the heart, found without a segmentation model, and their quality."""

from cardiobind.modalities.cmr.preparation import (
    DOUBTFUL_CMR,
    FATAL_CMR,
    FRAME_NAMES,
    CmrPreparation,
    PreparedCine,
    cmr_quality,
    cmr_spec,
    prepare_cmr,
)

__all__ = [
    "DOUBTFUL_CMR",
    "FATAL_CMR",
    "FRAME_NAMES",
    "CmrPreparation",
    "PreparedCine",
    "cmr_quality",
    "cmr_spec",
    "prepare_cmr",
]
