"""Pictures a cardiologist or a reviewer expects, as matplotlib Figures that need no display."""

from cardiobind.evaluation.figures.cine import cine_choice
from cardiobind.evaluation.figures.cohort import FlowStep, cohort_flow
from cardiobind.evaluation.figures.curves import Curve, decision_curve, precision_recall, reliability, roc
from cardiobind.evaluation.figures.differences import Difference, differences
from cardiobind.evaluation.figures.ecg import ecg_paper, reconstruction
from cardiobind.evaluation.figures.embeddings import embedding_map
from cardiobind.evaluation.figures.gaps import table_gaps
from cardiobind.evaluation.figures.groups import subgroup_forest
from cardiobind.evaluation.figures.images import cine_montage
from cardiobind.evaluation.figures.numbers import Agreement, agreement
from cardiobind.evaluation.figures.results import forest, label_efficiency
from cardiobind.evaluation.figures.retrieval import Recall, retrieval_chart
from cardiobind.evaluation.figures.style import png_base64, svg
from cardiobind.evaluation.figures.survival import BrierCurve, RiskScores, brier_over_time, events_by_risk
from cardiobind.evaluation.figures.training import training_curves

__all__ = [
    "Agreement",
    "BrierCurve",
    "Curve",
    "Difference",
    "FlowStep",
    "Recall",
    "RiskScores",
    "agreement",
    "brier_over_time",
    "cine_choice",
    "cine_montage",
    "cohort_flow",
    "decision_curve",
    "differences",
    "ecg_paper",
    "embedding_map",
    "events_by_risk",
    "forest",
    "label_efficiency",
    "png_base64",
    "precision_recall",
    "reconstruction",
    "reliability",
    "retrieval_chart",
    "roc",
    "subgroup_forest",
    "svg",
    "table_gaps",
    "training_curves",
]
