"""Gradient boosted trees for every kind of endpoint: what most people would try first on a table.

Each model is the best on validation of six kinds of trees (`CANDIDATES`) and of its rounds, by the objective's first
monitor; a network's classifier chooses among as many penalties and among its rounds. Missing values stay missing: a
split sends them to the side that fits better. A column without any value among the labelled few is left out.

Source: Friedman 2001 (Annals of Statistics 29:1189); Ridgeway 1999 for the partial likelihood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial, wraps
from itertools import islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.tree import DecisionTreeRegressor

from cardiobind.errors import ConfigError, InputError
from cardiobind.methods.linear_probes import Split, unit_of
from cardiobind.objectives.endpoints import Binary, EndpointObjective
from cardiobind.registry import Registry

Floats = NDArray[np.float64]
Features = NDArray[np.float32]

ROUNDS = 100
LOOK = 5
"""Rounds after which validation looks at the trees."""
RATE = 0.1
RIDGE = 1.0
LARGEST_STEP = 4.0


@dataclass(frozen=True)
class Trees:
    """How large the trees are: at most `leaves`, each of at least `subjects`."""

    leaves: int
    subjects: int


CANDIDATES = (Trees(3, 5), Trees(3, 20), Trees(6, 5), Trees(6, 20), Trees(12, 20), Trees(24, 20))
USUAL, USUAL_ROUNDS = Trees(6, 20), 50


class Ensemble(Protocol):
    """Boosted trees."""

    def staged(self, features: Features) -> Iterator[Floats]:
        """Yield the logits (n,) after one round, two rounds and so on."""
        ...


Grow = Callable[[Features, Floats, Trees, int], Ensemble]
"""(features (n, d) with NaN, labels, size of the trees, seed) -> ensemble of `ROUNDS` trees."""


@dataclass(frozen=True)
class Boosted:
    """Ensembles, one an output of the objective, each cut after its best round."""

    objective: EndpointObjective
    ensembles: tuple[Ensemble, ...]
    trees: tuple[Trees, ...]
    rounds: tuple[int, ...]

    def logits(self, features: Features) -> Floats:
        """Return the logits (n, outputs)."""
        parts = [_after(e, features, r) for e, r in zip(self.ensembles, self.rounds, strict=True)]
        return np.stack(parts, axis=1)

    def predicted(self, features: Features) -> Floats:
        """Return what the objective says of the logits."""
        return self.objective.predicted(self.logits(features))


FitBoosted = Callable[[EndpointObjective, Split, Split, int], Boosted]
BOOSTED: Registry[FitBoosted] = Registry("boosting")
"""By kind of task: (objective, training, validation, seed) -> model."""


def boosted_of(kind: str, objective: EndpointObjective) -> FitBoosted:
    """Return how trees are boosted for a kind of endpoint.

    Raises:
        ConfigError: the logits of the objective are more than one number a subject.
    """
    if objective.why_not_linear is not None:
        raise ConfigError(
            "boosted trees give one number a subject, not what this loss asks for", where="objective.loss",
            hint="leave the option out for this arm",
        )  # fmt: skip
    return BOOSTED.get(kind)


@dataclass(frozen=True)
class _OfSeen:
    grown: Ensemble
    seen: NDArray[np.bool_]

    def staged(self, features: Features) -> Iterator[Floats]:
        return self.grown.staged(_unseen_as_zero(features, self.seen))


def _unseen_as_zero(features: Features, seen: NDArray[np.bool_]) -> Features:
    return np.where(seen, features, np.float32(0))


def _of_seen(grow: Grow) -> Grow:
    """Take a column without any training value as 0 in all subjects: no split uses it, and sklearn cannot bin it."""

    @wraps(grow)
    def grow_seen(features: Features, labels: Floats, trees: Trees, seed: int) -> Ensemble:
        seen = np.asarray(np.isfinite(features).any(axis=0))
        return _OfSeen(grow(_unseen_as_zero(features, seen), labels, trees, seed), seen)

    return grow_seen


@dataclass(frozen=True)
class _Histograms:
    model: Any
    stages: str

    def staged(self, features: Features) -> Iterator[Floats]:
        return (np.asarray(stage, np.float64).reshape(-1) for stage in getattr(self.model, self.stages)(features))


@_of_seen
def grow_classes(features: Features, labels: Floats, trees: Trees, seed: int) -> Ensemble:
    """Boost the log odds; both classes weigh the same.

    Raises:
        InputError: the labels have one class only.
    """
    if len(np.unique(labels)) < 2:
        raise InputError(
            "the labelled training subjects who have all inputs are of one class", expected="both 0 and 1",
            hint="take more labels, or inputs that more subjects have",
        )  # fmt: skip
    model = HistGradientBoostingClassifier(class_weight="balanced", **_settings(trees, seed))  # type: ignore[no-untyped-call]
    return _Histograms(model.fit(features, labels), "staged_decision_function")


@_of_seen
def grow_numbers(features: Features, labels: Floats, trees: Trees, seed: int) -> Ensemble:
    """Boost a number by its squared error."""
    model = HistGradientBoostingRegressor(**_settings(trees, seed))  # type: ignore[no-untyped-call]
    return _Histograms(model.fit(features, labels), "staged_predict")


def _settings(trees: Trees, seed: int) -> dict[str, Any]:
    return {
        "learning_rate": RATE, "max_iter": ROUNDS, "max_leaf_nodes": trees.leaves, "min_samples_leaf": trees.subjects,
        "l2_regularization": RIDGE, "early_stopping": False, "random_state": seed,
    }  # fmt: skip


@dataclass(frozen=True)
class _Hazards:
    trees: tuple[DecisionTreeRegressor, ...]

    def staged(self, features: Features) -> Iterator[Floats]:
        eta = np.zeros(len(features))
        for tree in self.trees:
            eta = eta + _step(tree, features)
            yield eta


@_of_seen
def grow_hazards(features: Features, labels: Floats, trees: Trees, seed: int) -> Ensemble:
    """Boost the log hazard ratio: each tree fits the martingale residuals over the hazards, as a Newton step does."""
    time, event = labels.T
    grown: list[DecisionTreeRegressor] = []
    eta = np.zeros(len(time))
    for number in range(ROUNDS):
        hazard = cumulative_hazards(eta, time, event)
        step = np.where(hazard > 0, (event - hazard) / np.where(hazard > 0, hazard, 1.0), 0.0)
        tree = DecisionTreeRegressor(  # type: ignore[no-untyped-call]
            max_leaf_nodes=trees.leaves, min_samples_leaf=trees.subjects, random_state=(seed + number) % 2**31
        )
        grown.append(tree.fit(features, np.minimum(step, 1e6), sample_weight=np.maximum(hazard, 1e-6)))
        eta = eta + _step(tree, features)
    return _Hazards(tuple(grown))


def _step(tree: DecisionTreeRegressor, features: Features) -> Floats:
    found: Floats = tree.predict(features)  # type: ignore[no-untyped-call]
    return RATE * np.clip(found, -LARGEST_STEP, LARGEST_STEP)


def cumulative_hazards(eta: Floats, time: Floats, event: Floats) -> Floats:
    """Return exp(eta) times Breslow's cumulative baseline hazard at each one's time, (n,).

    Event less this is the martingale residual, which is the negative gradient of Cox's partial likelihood (Breslow).

    Args:
        eta: (n,) log hazard ratios.
        time: (n,) follow-up.
        event: (n,) 1, or 0 where censored.
    """
    order = np.argsort(time, kind="stable")
    sorted_time, ratio = time[order], np.exp(eta - eta.max())
    at_risk = np.cumsum(ratio[order][::-1])[::-1][np.searchsorted(sorted_time, sorted_time, side="left")]
    steps = np.cumsum(np.where(event[order] == 1, 1 / at_risk, 0.0))
    baseline = steps[np.searchsorted(sorted_time, time, side="right") - 1]
    return np.asarray(ratio * baseline)


def boost(objective: EndpointObjective, train: Split, validation: Split, seed: int, *, grow: Grow) -> Boosted:
    """Return the best trees of an endpoint with one output, what only a fitted model tells settled on validation."""
    grown = [(trees, grow(train.features, train.labels, trees, seed)) for trees in CANDIDATES]
    return _chosen(objective, grown, train, validation)


def boost_number(objective: EndpointObjective, train: Split, validation: Split, seed: int) -> Boosted:
    """Return the best trees of a number; they learn the logit that stands for it."""
    targets = np.asarray((train.labels - objective.predicted(np.zeros((1, 1)))) / unit_of(objective))
    grown = [(trees, grow_numbers(train.features, targets, trees, seed)) for trees in CANDIDATES]
    return _chosen(objective, grown, train, validation)


def _chosen(
    objective: EndpointObjective, grown: Sequence[tuple[Trees, Ensemble]], train: Split, validation: Split
) -> Boosted:
    ensemble, trees, rounds = _best(objective, grown, validation)
    settled = objective.settled(
        lambda: (_after(ensemble, validation.features, rounds)[:, None], validation.labels),
        lambda: (_after(ensemble, train.features, rounds)[:, None], train.labels),
    )
    return Boosted(settled, (ensemble,), (trees,), (rounds,))


def boost_each(objective: EndpointObjective, train: Split, validation: Split, seed: int) -> Boosted:
    """Return the best trees of each of several labels, of those who have it."""
    found = []
    for own, held_out in zip(train.labels.T, validation.labels.T, strict=True):
        known, shown = np.isfinite(own), np.isfinite(held_out)
        parts = Split(train.features[known], own[known]), Split(validation.features[shown], held_out[shown])
        found.append(boost(Binary(), *parts, seed, grow=grow_classes))
    ensembles, trees, rounds = zip(*((b.ensembles[0], b.trees[0], b.rounds[0]) for b in found), strict=True)
    return Boosted(objective, ensembles, trees, rounds)


def _best(
    objective: EndpointObjective, grown: Sequence[tuple[Trees, Ensemble]], validation: Split
) -> tuple[Ensemble, Trees, int]:
    monitor = next(iter(objective.monitors))
    best, found = -np.inf, next((e, t, USUAL_ROUNDS) for t, e in grown if t == USUAL)
    for trees, ensemble in grown if len(validation.labels) else ():
        for rounds, logits in _looked_at(ensemble.staged(validation.features)):
            worth = objective.measure(logits[:, None], validation.labels)[monitor]
            if worth > best:
                best, found = worth, (ensemble, trees, rounds)
    return found


def _looked_at(stages: Iterator[Floats]) -> Iterator[tuple[int, Floats]]:
    return islice(enumerate(stages, start=1), LOOK - 1, None, LOOK)


def _after(ensemble: Ensemble, features: Features, rounds: int) -> Floats:
    return next(islice(ensemble.staged(features), rounds - 1, None))


BOOSTED.register("binary")(partial(boost, grow=grow_classes))
BOOSTED.register("regression")(boost_number)
BOOSTED.register("survival")(partial(boost, grow=grow_hazards))
BOOSTED.register("multilabel")(boost_each)
