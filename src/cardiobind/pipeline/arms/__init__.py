"""The ways of making a predictor that an experiment compares; each one file and one registration."""

from cardiobind.pipeline.arms import boosted as boosted
from cardiobind.pipeline.arms import ensemble as ensemble
from cardiobind.pipeline.arms import risk_score as risk_score
from cardiobind.pipeline.arms.base import ARMS, Arm, check_arms, members_of
from cardiobind.pipeline.arms.cell import Cell
from cardiobind.pipeline.arms.kernels import kernel_features
from cardiobind.pipeline.arms.linear import fit_linear_probe
from cardiobind.pipeline.arms.network import build_network, fine_tune, rehearse_network
from cardiobind.pipeline.arms.scores import predictions_frame

__all__ = [
    "ARMS",
    "Arm",
    "Cell",
    "build_network",
    "check_arms",
    "fine_tune",
    "fit_linear_probe",
    "kernel_features",
    "members_of",
    "predictions_frame",
    "rehearse_network",
]
