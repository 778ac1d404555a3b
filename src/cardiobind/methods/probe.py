"""Logistic regression on features that are not trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from cardiobind.data import CohortDataset
from cardiobind.errors import InputError
from cardiobind.methods.views import Views
from cardiobind.models import Tower
from cardiobind.training import computing

REGULARISATIONS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
USUAL_C = 1.0
BATCH = 64


@dataclass(frozen=True)
class LogisticProbe:
    """A standardisation and a logistic regression, both fitted on training subjects.

    Attributes:
        c: inverse strength of the penalty, chosen on validation.
    """

    scaler: StandardScaler
    model: LogisticRegression
    c: float

    @property
    def penalty(self) -> float:
        """Inverse strength of the penalty."""
        return self.c

    def line(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return weights (1, d) and bias (1,) of the log odds on features as they are, not standardised."""
        weight = self.model.coef_[0] / self.scaler.scale_
        return weight[None], np.array([float(self.model.intercept_[0] - weight @ self.scaler.mean_)])

    def predicted(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probability of the positive class, (n,)."""
        return self.probabilities(features)

    def probabilities(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probability of the positive class, (n,), from features (n, d)."""
        standardised = self.scaler.transform(features)  # type: ignore[no-untyped-call]
        found: NDArray[np.float64] = self.model.predict_proba(standardised)[:, 1]  # type: ignore[no-untyped-call]
        return found


def fit_logistic_probe(
    features: NDArray[np.float32],
    labels: NDArray[np.float64],
    held_out: NDArray[np.float32],
    held_out_labels: NDArray[np.float64],
    *,
    seed: int,
) -> LogisticProbe:
    """Fit a class-balanced logistic regression whose penalty is the best by AUROC on the validation split.

    Where the validation split has not both classes, nothing can be chosen by it, and the penalty is the usual C = 1.

    Args:
        features: (n, d) of the labelled training subjects.
        labels: (n,) 0 or 1.
        held_out: (m, d) of the validation subjects.
        held_out_labels: (m,) 0 or 1.
        seed: of the solver.

    Raises:
        InputError: the training labels have one class only.
    """
    if len(np.unique(labels)) < 2:
        raise InputError(
            "the labelled training subjects who have all inputs are of one class", expected="both 0 and 1",
            hint="take more labels, or inputs that more subjects have",
        )  # fmt: skip
    scaler = StandardScaler().fit(features)  # type: ignore[no-untyped-call]
    standardised = scaler.transform(features)

    def fitted(c: float) -> LogisticProbe:
        model = LogisticRegression(C=c, class_weight="balanced", max_iter=2000, random_state=seed)  # type: ignore[no-untyped-call]
        return LogisticProbe(scaler, model.fit(standardised, labels), c)

    if len(np.unique(held_out_labels)) < 2:
        return fitted(USUAL_C)
    shown = scaler.transform(held_out)

    def auroc(probe: LogisticProbe) -> float:
        return float(roc_auc_score(held_out_labels, probe.model.decision_function(shown)))  # type: ignore[no-untyped-call]

    return max(map(fitted, REGULARISATIONS), key=auroc)


def mean_token_features(
    towers: Mapping[str, Tower], data: CohortDataset, *, crop_s: float | None = None, crops: int = 3
) -> NDArray[np.float32]:
    """Return the mean tokens of all modalities side by side, (n, sum of widths); every subject has every modality.

    Args:
        towers: by modality; their encoders are used.
        data: at least one subject.
        crop_s: length of the ECG crops, that of the pre-training; None for the whole record.
        crops: evenly spaced crops whose features are averaged, where `crop_s` is given.
    """
    views = Views.of({m: t.inputs for m, t in towers.items()}, crop_s=crop_s, probability=0.0, corruption=0.0)
    for tower in towers.values():
        tower.eval()
    blocks = []
    with computing(*towers.values()) as device, torch.inference_mode():
        for start in range(0, len(data), BATCH):
            batch = data.batch(range(start, min(start + BATCH, len(data)))).to(device)
            shown = {m: views.fixed(m, batch.signals[m], crops) for m in towers}
            means = [torch.stack([t.encoder(x).mean(dim=1) for x in shown[m]]).mean(dim=0) for m, t in towers.items()]
            blocks.append(torch.cat(means, dim=1).float().cpu().numpy())
    return np.concatenate(blocks)
