"""Losses and scores on tensors: each takes embeddings or signals and returns a scalar."""

from cardiobind.objectives.alike import alike_rows, alike_subjects
from cardiobind.objectives.collapse import (
    alignment_distance,
    collapsed,
    effective_rank,
    embedding_spread,
    retrieval_recall,
    uniformity,
)
from cardiobind.objectives.consistency import Consistency, class_consistency, value_consistency
from cardiobind.objectives.contrastive import both_directions, info_nce, nt_xent
from cardiobind.objectives.cosine import negative_cosine
from cardiobind.objectives.endpoints import ENDPOINTS, EndpointObjective, positive_weight
from cardiobind.objectives.gather import gather_embeddings, gather_rows, process_count, same_everywhere
from cardiobind.objectives.gram import anchored_volumes, gram
from cardiobind.objectives.groups import PairLosses, all_pairs, each_pair, pair_weights, whole_or_pairs
from cardiobind.objectives.latent import latent_distance
from cardiobind.objectives.moments import moment_contrast
from cardiobind.objectives.precision import in_float32
from cardiobind.objectives.prediction import contrastive_prediction, prediction_similarities
from cardiobind.objectives.reconstruction import masked_reconstruction, normalised_correlation
from cardiobind.objectives.sigmoid import pairwise_sigmoid
from cardiobind.objectives.survival import cox_loss, discrete_time_loss
from cardiobind.objectives.symile import symile
from cardiobind.objectives.table import cross_entropies, squared_errors

__all__ = [
    "ENDPOINTS",
    "Consistency",
    "EndpointObjective",
    "PairLosses",
    "alignment_distance",
    "alike_rows",
    "alike_subjects",
    "all_pairs",
    "anchored_volumes",
    "both_directions",
    "class_consistency",
    "collapsed",
    "contrastive_prediction",
    "cox_loss",
    "cross_entropies",
    "discrete_time_loss",
    "each_pair",
    "effective_rank",
    "embedding_spread",
    "gather_embeddings",
    "gather_rows",
    "gram",
    "in_float32",
    "info_nce",
    "latent_distance",
    "masked_reconstruction",
    "moment_contrast",
    "negative_cosine",
    "normalised_correlation",
    "nt_xent",
    "pair_weights",
    "pairwise_sigmoid",
    "positive_weight",
    "prediction_similarities",
    "process_count",
    "retrieval_recall",
    "same_everywhere",
    "squared_errors",
    "symile",
    "uniformity",
    "value_consistency",
    "whole_or_pairs",
]
