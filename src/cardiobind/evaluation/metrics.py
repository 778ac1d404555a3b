"""What each number of the results means: labels and scores in, one number out; NaN where it is undefined."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics as reference

from cardiobind.evaluation import regression, resampled, several_labels, time_to_event
from cardiobind.evaluation.logistic import fit_line, fit_shift, logit
from cardiobind.evaluation.threshold import SPECIFICITY

Floats = NDArray[np.float64]
Statistic = Callable[[Floats, Floats], float]
On = Literal[
    "score", "decision", "decision_at_90", "decision_at_half", "recalibrated", "temperature", "isotonic",
    "survival_loss",
]  # fmt: skip
ResampledStatistic = Callable[[Floats, Floats, Floats], Floats]


def auroc(labels: Floats, scores: Floats) -> float:
    """Return the probability that a positive scores above a negative, ties counting half.

    Args:
        labels: (n,) 0 or 1.
        scores: (n,) any monotone risk; decisions (0 or 1) are not scores and give another number.

    Returns:
        Area in [0, 1], NaN where a class is absent.
    """
    return float(reference.roc_auc_score(labels, scores)) if _both(labels) else float("nan")


def auprc(labels: Floats, scores: Floats) -> float:
    """Return average precision, the step-wise area under precision over recall; NaN where a class is absent.

    Args:
        labels: (n,) 0 or 1.
        scores: (n,) any monotone risk.
    """
    return float(reference.average_precision_score(labels, scores)) if _both(labels) else float("nan")


def sensitivity(labels: Floats, decisions: Floats) -> float:
    """Return the share of positives that were called positive; NaN without positives.

    Args:
        labels: (n,) 0 or 1.
        decisions: (n,) 0 or 1.
    """
    return float(reference.recall_score(labels, decisions)) if np.any(labels == 1) else float("nan")


def specificity(labels: Floats, decisions: Floats) -> float:
    """Return the share of negatives that were called negative; NaN without negatives.

    Args:
        labels: (n,) 0 or 1.
        decisions: (n,) 0 or 1.
    """
    return float(reference.recall_score(labels, decisions, pos_label=0)) if np.any(labels == 0) else float("nan")


def balanced_accuracy(labels: Floats, decisions: Floats) -> float:
    """Return the mean of sensitivity and specificity; NaN where a class is absent.

    Args:
        labels: (n,) 0 or 1.
        decisions: (n,) 0 or 1.
    """
    return float(reference.balanced_accuracy_score(labels, decisions)) if _both(labels) else float("nan")


def sensitivity_at_specificity(labels: Floats, scores: Floats) -> float:
    """Return the highest sensitivity at a specificity of at least 90 % on these rows; NaN where a class is absent.

    Args:
        labels: (n,) 0 or 1.
        scores: (n,) any monotone risk.
    """
    if not _both(labels):
        return float("nan")
    false_share, true_share, _ = reference.roc_curve(labels, scores, drop_intermediate=False)
    return float(np.max(true_share[1 - false_share >= SPECIFICITY - 1e-9]))


def brier(labels: Floats, probabilities: Floats) -> float:
    """Return the mean squared distance of probability and outcome; NaN without rows.

    Args:
        labels: (n,) 0 or 1.
        probabilities: (n,) in [0, 1].
    """
    return float(reference.brier_score_loss(labels, probabilities, pos_label=1)) if len(labels) else float("nan")


def ece(labels: Floats, probabilities: Floats) -> float:
    """Return the expected calibration error over at most ten bins of equal size; NaN without rows.

    Equal scores stay in one bin, so that the order of rows never matters.

    Args:
        labels: (n,) 0 or 1.
        probabilities: (n,) in [0, 1].

    Source:
        Naeini et al. 2015, with equal-mass bins (a rare disease puts nearly all scores in the first tenth).
    """
    if not len(labels):
        return float("nan")
    return float(resampled.ece(labels, probabilities, np.ones((1, len(labels))))[0])


def calibration_slope(labels: Floats, probabilities: Floats) -> float:
    """Return the slope of outcome on the logit of the probability: 1 is ideal, below 1 the scores are too extreme.

    Args:
        labels: (n,) 0 or 1.
        probabilities: (n,) in [0, 1].

    Returns:
        Slope, NaN where a class is absent, scores are constant or separate the classes.

    Source:
        Van Calster et al. 2016, J. Clin. Epidemiol. 74:167-176.
    """
    if not _both(labels):
        return float("nan")
    return float(fit_line(logit(probabilities), labels, np.ones((1, len(labels))))[0, 1])


def calibration_intercept(labels: Floats, probabilities: Floats) -> float:
    """Return calibration in the large: the shift of the logit that makes the mean risk right; 0 is ideal.

    Args:
        labels: (n,) 0 or 1.
        probabilities: (n,) in [0, 1].

    Returns:
        Shift (positive: risks are too low), NaN where a class is absent.
    """
    if not _both(labels):
        return float("nan")
    return float(fit_shift(logit(probabilities), labels, np.ones((1, len(labels))))[0])


def _both(labels: Floats) -> bool:
    return bool(np.any(labels == 1) and np.any(labels == 0))


@dataclass(frozen=True)
class Metric:
    """One column of the results.

    Attributes:
        name: key in ``metrics.json``.
        title: as tables and pictures name it.
        on: what it is computed from: the raw ``score``; the ``decision`` at the threshold chosen on validation, the
            ``decision_at_90`` at that of 90 % specificity there, the ``decision_at_half``; the probability
            ``recalibrated`` on validation by the logistic map, or by ``temperature`` or ``isotonic``; the
            ``survival_loss`` (n, 2) of each subject, by the model and by the Kaplan-Meier curve.
        point: (labels, values) -> value, NaN where undefined.
        resampled: (labels, values, counts (resamples, n)) -> (resamples,) values, NaN where undefined; None for a
            metric that resampling biases, which then has no interval.
        needs: classes without which it is undefined.
        better: direction, or None where neither is (a slope should be 1).
        kinds: of endpoints that have it.
        within: least and greatest value it can have.
        stratified: whether resamples keep the size of each class; not where the value depends on how many are ill, as
            the interval then has to know that this number is an estimate too.
    """

    name: str
    title: str
    on: On
    point: Statistic
    resampled: ResampledStatistic | None
    needs: tuple[int, ...] = (0, 1)
    better: Literal["higher", "lower"] | None = "higher"
    kinds: tuple[str, ...] = ("binary",)
    within: tuple[float, float] = (0.0, 1.0)
    stratified: bool = True

    def defined(self, labels: Floats) -> bool:
        """Tell whether the labels have the classes that the metric needs."""
        return bool(len(labels)) and all(np.any(labels == c) for c in self.needs)

    def why_undefined(self, labels: Floats) -> str:
        """Return why the metric is not a number on these labels."""
        if not len(labels):
            return "no labelled rows in the test split"
        absent = [("negative", "positive")[c] for c in self.needs if not np.any(labels == c)]
        if absent:
            return f"no {' and no '.join(absent)} label in the test split"
        if self.needs:
            return "no finite estimate: the scores are constant or separate the classes"
        return "no finite estimate on the rows of the test split"


def _once(statistic: ResampledStatistic) -> Statistic:
    """Return a statistic of rows each of which counts once."""

    def point(labels: Floats, values: Floats) -> float:
        return float(statistic(labels, values, np.ones((1, len(labels))))[0])

    return point


def _of(
    kind: str, name: str, title: str, statistic: ResampledStatistic,
    better: Literal["higher", "lower"] | None = "higher", within: tuple[float, float] = (0.0, 1.0), on: On = "score",
) -> Metric:  # fmt: skip
    return Metric(name, title, on, _once(statistic), statistic, (), better, (kind,), within)


_ANY = (-math.inf, math.inf)
_BINARY = (
    Metric("auroc", "AUROC", "score", auroc, resampled.auroc),
    Metric("auprc", "AUPRC", "score", auprc, resampled.auprc),
    Metric("balanced_accuracy", "Balanced accuracy", "decision", balanced_accuracy, resampled.balanced_accuracy),
    Metric("sensitivity", "Sensitivity", "decision", sensitivity, resampled.sensitivity, (1,)),
    Metric("specificity", "Specificity", "decision", specificity, resampled.specificity, (0,)),
    Metric(
        "balanced_accuracy_at_half", "Balanced accuracy at 0.5", "decision_at_half", balanced_accuracy,
        resampled.balanced_accuracy,
    ),
    Metric(
        "sensitivity_at_90_specificity", "Sensitivity at 90 % specificity on test", "score",
        sensitivity_at_specificity, resampled.sensitivity_at_specificity,
    ),
    Metric(
        "sensitivity_90", "Sensitivity at the threshold of 90 % specificity on validation", "decision_at_90",
        sensitivity, resampled.sensitivity, (1,),
    ),
    Metric(
        "specificity_90", "Specificity at the threshold of 90 % specificity on validation", "decision_at_90",
        specificity, resampled.specificity, (0,),
    ),
    Metric("brier", "Brier", "score", brier, resampled.brier, (), "lower"),
    Metric("ece", "ECE", "score", ece, None, (), "lower"),
    Metric(
        "calibration_slope", "Calibration slope", "score", calibration_slope, resampled.calibration_slope,
        better=None, within=_ANY,
    ),
    Metric(
        "calibration_intercept", "Calibration intercept", "score", calibration_intercept,
        resampled.calibration_intercept, better=None, within=_ANY,
    ),
    Metric("brier_recalibrated", "Brier, recalibrated", "recalibrated", brier, resampled.brier, (), "lower"),
    Metric("ece_recalibrated", "ECE, recalibrated", "recalibrated", ece, None, (), "lower"),
    Metric("brier_temperature", "Brier, by temperature", "temperature", brier, resampled.brier, (), "lower"),
    Metric("ece_temperature", "ECE, by temperature", "temperature", ece, None, (), "lower"),
    Metric("brier_isotonic", "Brier, isotonic", "isotonic", brier, resampled.brier, (), "lower"),
    Metric("ece_isotonic", "ECE, isotonic", "isotonic", ece, None, (), "lower"),
)  # fmt: skip
_OTHERS = (
    _of("regression", "r2", "R²", regression.r2, within=(-math.inf, 1.0)),
    _of("regression", "mae", "Mean absolute error", regression.mae, "lower", (0.0, math.inf)),
    _of("regression", "rmse", "Root mean squared error", regression.rmse, "lower", (0.0, math.inf)),
    _of("regression", "pearson", "Pearson correlation", regression.pearson, within=(-1.0, 1.0)),
    _of("regression", "bias", "Bias (predicted − measured)", regression.bias, None, _ANY),
    _of("regression", "loa_low", "Lower limit of agreement", regression.lower_limit, None, _ANY),
    _of("regression", "loa_high", "Upper limit of agreement", regression.upper_limit, None, _ANY),
    _of("regression", "linear_slope", "Slope of measured on predicted", regression.linear_slope, None, _ANY),
    _of("survival", "concordance", "Concordance (Harrell)", time_to_event.concordance),
    _of("survival", "concordance_uno", "Concordance (Uno)", time_to_event.concordance_uno),
    _of(
        "survival", "integrated_brier", "Integrated Brier", time_to_event.integrated_brier, "lower", (0.0, math.inf),
        "survival_loss",
    ),
    _of(
        "survival", "integrated_brier_scaled", "Integrated Brier, scaled", time_to_event.integrated_brier_scaled,
        "higher", (-math.inf, 1.0), "survival_loss",
    ),
    _of("multilabel", "macro_auroc", "Macro AUROC", several_labels.macro_auroc),
    _of("multilabel", "macro_auprc", "Macro AUPRC", several_labels.macro_auprc),
)  # fmt: skip
_OF_PREVALENCE = frozenset({
    "auprc", "brier", "calibration_slope", "calibration_intercept", "brier_recalibrated", "brier_temperature",
    "brier_isotonic", "concordance_uno", "integrated_brier", "integrated_brier_scaled",
})  # fmt: skip
METRICS: dict[str, Metric] = {
    metric.name: replace(metric, stratified=metric.name not in _OF_PREVALENCE) for metric in (*_BINARY, *_OTHERS)
}


def metrics_of(kind: str) -> dict[str, Metric]:
    """Return the metrics of a kind of endpoint by name, in the order of the results."""
    return {name: metric for name, metric in METRICS.items() if kind in metric.kinds}
