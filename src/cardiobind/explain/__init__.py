"""What a score rests on: attributions over samples and leads, pixels, facts and modalities, and how they are drawn."""

from cardiobind.explain.drawings import ecg_attribution, fact_shares, modality_shares
from cardiobind.explain.explanation import Explanation, FactShare
from cardiobind.explain.page import subject_page, write_explanation
from cardiobind.explain.planes import cine_attribution
from cardiobind.explain.risk import risk_in_cohort
from cardiobind.explain.signals import METHODS
from cardiobind.explain.subject import explain

__all__ = [
    "METHODS", "Explanation", "FactShare", "cine_attribution", "ecg_attribution", "explain", "fact_shares",
    "modality_shares", "risk_in_cohort", "subject_page", "write_explanation",
]  # fmt: skip
