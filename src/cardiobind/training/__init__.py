"""The machine: trains a method in rounds, exactly resumable; it knows nothing of hearts."""

from cardiobind.training.device import computing, computing_device, computing_on
from cardiobind.training.fit import fit, weights_digest
from cardiobind.training.history import History
from cardiobind.training.optimiser import decay_groups
from cardiobind.training.precision import Precision, PrecisionName, choose_precision, multiplying
from cardiobind.training.protocol import Method, Progress, Step
from cardiobind.training.settings import TrainingSettings, learning_rate_factor

__all__ = [
    "History",
    "Method",
    "Precision",
    "PrecisionName",
    "Progress",
    "Step",
    "TrainingSettings",
    "choose_precision",
    "computing",
    "computing_device",
    "computing_on",
    "decay_groups",
    "fit",
    "learning_rate_factor",
    "multiplying",
    "weights_digest",
]
