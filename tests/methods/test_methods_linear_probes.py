"""Linear probes where the validation split cannot choose a penalty."""

from __future__ import annotations

import numpy as np
import pytest

from cardiobind.methods.linear_probes import PROBES, Split
from cardiobind.methods.probe import USUAL_C
from cardiobind.objectives.endpoints import ENDPOINTS

X = np.random.default_rng(0).normal(size=(80, 3)).astype(np.float32)
LABELS = {
    "regression": X[:, 0] + 0.1 * X[:, 1],
    "survival": np.stack([1000.0 + 2000.0 * np.exp(-X[:, 0]), np.arange(80) % 2.0], axis=1),
}


@pytest.mark.parametrize("kind", LABELS)
def test_without_a_labelled_validation_subject_the_penalty_is_the_usual_one(kind: str) -> None:
    objective = ENDPOINTS.get(kind).fit(LABELS[kind])
    train, nobody = Split(X, LABELS[kind]), Split(X[:0], LABELS[kind][:0])
    probe = PROBES.get(kind)(objective, train, nobody, seed=0)
    assert probe.penalty == USUAL_C
    assert np.isfinite(probe.predicted(X)).all()


def test_without_an_event_in_validation_the_penalty_is_the_usual_one() -> None:
    objective, labels = ENDPOINTS.get("survival").fit(LABELS["survival"]), LABELS["survival"]
    censored = labels * np.array([1.0, 0.0])
    probe = PROBES.get("survival")(objective, Split(X, labels), Split(X, censored), seed=0)
    assert probe.penalty == USUAL_C
