"""Losses and scores on tensors: each takes embeddings or signals and returns a scalar."""

from cardiobind.objectives.contrastive import PairLosses, all_pairs, info_nce, nt_xent, retrieval_recall
from cardiobind.objectives.reconstruction import masked_reconstruction, normalised_correlation

__all__ = [
    "PairLosses",
    "all_pairs",
    "info_nce",
    "masked_reconstruction",
    "normalised_correlation",
    "nt_xent",
    "retrieval_recall",
]
