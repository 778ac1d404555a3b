"""Alignment: embeddings of one subject's modalities are pulled together, those of different subjects pushed apart."""

from cardiobind.methods.align.gram import AlignGram
from cardiobind.methods.align.joint import AlignJoint
from cardiobind.methods.align.pairs import AlignAllPairs
from cardiobind.methods.align.sigmoid import AlignSigmoid
from cardiobind.methods.align.symile import AlignSymile
from cardiobind.methods.align.to_measured import AlignToMeasured
from cardiobind.methods.align.to_table import AlignToTable

__all__ = ["AlignAllPairs", "AlignGram", "AlignJoint", "AlignSigmoid", "AlignSymile", "AlignToMeasured", "AlignToTable"]
