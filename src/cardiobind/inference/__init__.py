"""From raw files of one subject to a calibrated score."""

from cardiobind.inference.bundle import BundleContract, open_bundle, write_bundle
from cardiobind.inference.predictor import Prediction, Predictor, load

__all__ = ["BundleContract", "Prediction", "Predictor", "load", "open_bundle", "write_bundle"]
