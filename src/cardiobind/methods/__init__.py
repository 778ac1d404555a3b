"""Ways of learning: what one training step computes and what validation measures."""

from cardiobind.methods.align import (
    AlignAllPairs,
    AlignGram,
    AlignJoint,
    AlignSigmoid,
    AlignSymile,
    AlignToMeasured,
    AlignToTable,
)
from cardiobind.methods.base import METHODS, Method, Step, embedding_spread
from cardiobind.methods.contrast import TwoViews, scarf, simclr
from cardiobind.methods.cpc import Cpc
from cardiobind.methods.finetune import Finetune
from cardiobind.methods.jepa import Jepa
from cardiobind.methods.learn import learn
from cardiobind.methods.linear_start import start_from_probe
from cardiobind.methods.masked import Masked
from cardiobind.methods.masked_table import MaskedTable
from cardiobind.methods.measured import Measured
from cardiobind.methods.predict import embed, predict, predict_each
from cardiobind.methods.semi_supervised import SemiSupervised

__all__ = [
    "METHODS",
    "AlignAllPairs",
    "AlignGram",
    "AlignJoint",
    "AlignSigmoid",
    "AlignSymile",
    "AlignToMeasured",
    "AlignToTable",
    "Cpc",
    "Finetune",
    "Jepa",
    "Masked",
    "MaskedTable",
    "Measured",
    "Method",
    "SemiSupervised",
    "Step",
    "TwoViews",
    "embed",
    "embedding_spread",
    "learn",
    "predict",
    "predict_each",
    "scarf",
    "simclr",
    "start_from_probe",
]
