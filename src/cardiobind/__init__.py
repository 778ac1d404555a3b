"""cardiobind: learns from ECG, cardiac MRI and medical facts without labels; predicts heart disease from few labels.

The names below are imported on first use, so that ``import cardiobind`` needs neither torch nor pandas.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str

    from cardiobind.artifact import open_artifact, verify
    from cardiobind.cohort import Cohort, Protocol
    from cardiobind.config import load_experiment
    from cardiobind.errors import CardiobindError
    from cardiobind.evaluation.evaluate import evaluate
    from cardiobind.formats import read_cine, read_ecg
    from cardiobind.inference import load
    from cardiobind.pipeline.demo import demo
    from cardiobind.pipeline.export import export_predictor
    from cardiobind.pipeline.many import predict_many
    from cardiobind.pipeline.run import run

_HOMES = {
    "CardiobindError": "errors",
    "Cohort": "cohort",
    "Protocol": "cohort",
    "demo": "pipeline",
    "evaluate": "evaluation",
    "export_predictor": "pipeline",
    "load": "inference",
    "load_experiment": "config",
    "open_artifact": "artifact",
    "predict_many": "pipeline.many",
    "read_cine": "formats",
    "read_ecg": "formats",
    "run": "pipeline",
    "verify": "artifact",
}

__all__ = [
    "CardiobindError",
    "Cohort",
    "Protocol",
    "demo",
    "evaluate",
    "export_predictor",
    "load",
    "load_experiment",
    "open_artifact",
    "predict_many",
    "read_cine",
    "read_ecg",
    "run",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version(__name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
