"""Losses and scores on tensors: each takes embeddings or signals and returns a scalar."""

from cardiobind.objectives.consistency import Consistency, class_consistency, value_consistency
from cardiobind.objectives.contrastive import PairLosses, all_pairs, info_nce, nt_xent, retrieval_recall
from cardiobind.objectives.cosine import negative_cosine
from cardiobind.objectives.endpoints import ENDPOINTS, EndpointObjective, positive_weight
from cardiobind.objectives.gather import gather_embeddings, gather_rows, process_count, same_everywhere
from cardiobind.objectives.latent import latent_distance
from cardiobind.objectives.precision import in_float32
from cardiobind.objectives.prediction import contrastive_prediction, prediction_similarities
from cardiobind.objectives.reconstruction import masked_reconstruction, normalised_correlation
from cardiobind.objectives.survival import cox_loss, discrete_time_loss
from cardiobind.objectives.table import cross_entropies, squared_errors

__all__ = [
    "ENDPOINTS",
    "Consistency",
    "EndpointObjective",
    "PairLosses",
    "all_pairs",
    "class_consistency",
    "contrastive_prediction",
    "cox_loss",
    "cross_entropies",
    "discrete_time_loss",
    "gather_embeddings",
    "gather_rows",
    "in_float32",
    "info_nce",
    "latent_distance",
    "masked_reconstruction",
    "negative_cosine",
    "normalised_correlation",
    "nt_xent",
    "positive_weight",
    "prediction_similarities",
    "process_count",
    "retrieval_recall",
    "same_everywhere",
    "squared_errors",
    "value_consistency",
]
