"""From raw files of one subject to a calibrated score."""

from cardiobind.inference.bundle import BundleContract, open_bundle, write_bundle
from cardiobind.inference.prediction import NOTICE, Prediction, Verdict
from cardiobind.inference.predictor import Predictor, load
from cardiobind.inference.prepared import PreparedSubject, prepare_subject

__all__ = [
    "NOTICE",
    "BundleContract",
    "Prediction",
    "Predictor",
    "PreparedSubject",
    "Verdict",
    "load",
    "open_bundle",
    "prepare_subject",
    "write_bundle",
]
