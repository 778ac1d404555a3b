"""What a score rests on: attributions over samples and leads, pixels, facts and modalities, and how they are drawn."""

from cardiobind.explain.explanation import Explanation, FactShare
from cardiobind.explain.signals import METHODS
from cardiobind.explain.subject import explain

__all__ = ["METHODS", "Explanation", "FactShare", "explain"]
