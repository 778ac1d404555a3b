"""Predictors with everything they need to meet raw files elsewhere: the bundle."""

from cardiobind.pipeline.export.bundle import BUNDLE_ROOMS, check_exported, export_predictor
from cardiobind.pipeline.export.seeds import of_one_scale

__all__ = ["BUNDLE_ROOMS", "check_exported", "export_predictor", "of_one_scale"]
