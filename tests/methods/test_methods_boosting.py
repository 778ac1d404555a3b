"""Boosted trees: the partial likelihood they climb, what they learn, gaps, and what validation chooses."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from cardiobind.errors import ConfigError, InputError
from cardiobind.methods import boosting
from cardiobind.methods.boosting import BOOSTED, CANDIDATES, USUAL, USUAL_ROUNDS, boosted_of, cumulative_hazards
from cardiobind.methods.linear_probes import Split
from cardiobind.objectives.endpoints import ENDPOINTS

Floats = NDArray[np.float64]


def partial_likelihood(eta: Floats, time: Floats, event: Floats) -> float:
    """Breslow's, by a loop over the events."""
    total = 0.0
    for i in np.flatnonzero(event == 1):
        total += eta[i] - np.log(sum(np.exp(eta[j]) for j in range(len(eta)) if time[j] >= time[i]))
    return float(total)


def survivors(n: int) -> tuple[Floats, Floats, Floats]:
    numbers = np.random.default_rng(0)
    return numbers.normal(size=n), np.round(numbers.exponential(5, n), 0) + 1, (numbers.random(n) < 0.4).astype(float)


def test_event_less_hazard_is_the_gradient_of_the_partial_likelihood() -> None:
    eta, time, event = survivors(25)
    residual = event - cumulative_hazards(eta, time, event)
    for i in range(len(eta)):
        up, down = eta.copy(), eta.copy()
        up[i], down[i] = eta[i] + 1e-5, eta[i] - 1e-5
        slope = (partial_likelihood(up, time, event) - partial_likelihood(down, time, event)) / 2e-5
        assert residual[i] == pytest.approx(slope, abs=1e-6)
    assert residual.sum() == pytest.approx(0.0, abs=1e-9)
    np.testing.assert_allclose(cumulative_hazards(eta + 700, time, event), cumulative_hazards(eta, time, event))


def labels_of(kind: str, x: Floats, numbers: np.random.Generator) -> Floats:
    signal = np.nan_to_num(x[:, 0]) * np.where(np.isnan(x[:, 1]), -1, 1)
    if kind == "regression":
        return 60 + 8 * signal
    if kind == "multilabel":
        return np.stack([signal > 0, np.nan_to_num(x[:, 0]) > 0], axis=1).astype(float)
    if kind == "survival":
        time = numbers.exponential(2000 * np.exp(-1.5 * signal))
        return np.stack([np.minimum(time, 3000), time < 3000], axis=1).astype(float)
    return (signal > 0).astype(float)


def splits(kind: str) -> tuple[Split, Split]:
    numbers = np.random.default_rng(1)
    x = numbers.normal(size=(400, 3))
    x[numbers.random(400) < 0.4, 1] = np.nan
    labels = labels_of(kind, x, numbers)
    features = x.astype(np.float32)
    return Split(features[:300], labels[:300]), Split(features[300:], labels[300:])


@pytest.mark.parametrize(
    "kind", ["binary", *(pytest.param(kind, marks=pytest.mark.slow) for kind in sorted(ENDPOINTS) if kind != "binary")]
)
def test_trees_learn_an_interaction_with_a_gap(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boosting, "CANDIDATES", CANDIDATES[2:4])
    monkeypatch.setattr(boosting, "ROUNDS", 25)
    train, validation = splits(kind)
    objective = ENDPOINTS.get(kind).fit(train.labels)
    model = boosted_of(kind, objective)(objective, train, validation, 3)
    quality = objective.measure(model.logits(validation.features), validation.labels)
    assert quality[next(iter(objective.monitors))] > {"survival": 0.7, "regression": 0.7}.get(kind, 0.9)
    again = boosted_of(kind, objective)(objective, train, validation, 3)
    np.testing.assert_array_equal(model.predicted(validation.features), again.predicted(validation.features))
    assert np.isfinite(model.predicted(np.full((2, 3), np.nan, np.float32))).all()


@pytest.mark.parametrize("kind", sorted(ENDPOINTS))
def test_a_column_that_no_labelled_subject_has_is_left_out(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boosting, "CANDIDATES", CANDIDATES[2:4])
    monkeypatch.setattr(boosting, "ROUNDS", 5)
    train, validation = splits(kind)
    lacking = Split(train.features.copy(), train.labels)
    lacking.features[:, 1] = np.nan
    objective = ENDPOINTS.get(kind).fit(train.labels)
    model = BOOSTED.get(kind)(objective, lacking, validation, 3)
    said = model.logits(validation.features)
    without = validation.features.copy()
    without[:, 1] = np.nan
    assert np.isfinite(said).all()
    assert said.std() > 0
    np.testing.assert_array_equal(said, model.logits(without))


def test_every_kind_of_endpoint_can_be_boosted() -> None:
    assert set(BOOSTED) == set(ENDPOINTS)


def test_without_two_validation_classes_the_usual_trees_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boosting, "CANDIDATES", (CANDIDATES[0], USUAL))
    monkeypatch.setattr(boosting, "ROUNDS", USUAL_ROUNDS)
    train, validation = splits("binary")
    objective = ENDPOINTS.get("binary").fit(train.labels)
    for held_out in (Split(validation.features, np.zeros(100)), Split(validation.features[:0], np.zeros(0))):
        model = BOOSTED.get("binary")(objective, train, held_out, 0)
        assert (model.trees, model.rounds) == ((USUAL,), (USUAL_ROUNDS,))


def test_the_rounds_are_those_that_validation_likes_best(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boosting, "CANDIDATES", (USUAL, CANDIDATES[0]))
    monkeypatch.setattr(boosting, "ROUNDS", 15)
    train, validation = splits("binary")
    objective = ENDPOINTS.get("binary").fit(train.labels)
    model = BOOSTED.get("binary")(objective, train, validation, 0)
    best = objective.measure(model.logits(validation.features), validation.labels)["auroc"]
    for trees in boosting.CANDIDATES:
        for logits in boosting.grow_classes(train.features, train.labels, trees, 0).staged(validation.features):
            assert objective.measure(logits[:, None], validation.labels)["auroc"] <= best


def test_one_class_or_a_loss_of_several_outputs_is_refused() -> None:
    train, _ = splits("binary")
    with pytest.raises(InputError, match="one class"):
        boosting.grow_classes(train.features, np.ones(300), USUAL, 0)
    labels = splits("survival")[0].labels
    with pytest.raises(ConfigError, match="one number"):
        boosted_of("survival", ENDPOINTS.get("survival").fit(labels, loss="discrete_time"))
