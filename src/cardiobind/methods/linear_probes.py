"""Linear models of every kind of endpoint on features that are not trained: the baselines of a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.preprocessing import StandardScaler

from cardiobind.errors import ConfigError, InputError
from cardiobind.methods.probe import USUAL_C, fit_logistic_probe
from cardiobind.objectives.endpoints import EndpointObjective
from cardiobind.registry import Registry

Floats = NDArray[np.float64]
Features = NDArray[np.float32]

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Inverse strengths C of the penalty that validation chooses from; the mean loss is penalised by |w|^2 / (2 C n)."""


class Probe(Protocol):
    """A linear model, fitted."""

    @property
    def penalty(self) -> float | tuple[float, ...]:
        """Inverse strength of the penalty, of each output where they differ."""
        ...

    def line(self) -> tuple[Floats, Floats]:
        """Return weights (outputs, d) and bias (outputs,), on features as they are, of the logits of the endpoint."""
        ...

    def predicted(self, features: Features) -> Floats:
        """Return what is said of each subject, as `EndpointObjective.predicted`."""
        ...


@dataclass(frozen=True)
class Split:
    """Features (n, d) and labels (n,) or (n, K) of some subjects, all labels known but in a multilabel task."""

    features: Features
    labels: Floats


@dataclass(frozen=True)
class LinearProbe:
    """Weights (outputs, d) and bias (outputs,) of the logits of an objective."""

    objective: EndpointObjective
    weight: Floats
    bias: Floats
    penalty: float | tuple[float, ...]

    def line(self) -> tuple[Floats, Floats]:
        """Return weights and bias."""
        return self.weight, self.bias

    def logits(self, features: Features) -> Floats:
        """Return the logits (n, outputs)."""
        return np.asarray(features.astype(np.float64) @ self.weight.T + self.bias)

    def predicted(self, features: Features) -> Floats:
        """Return what the objective says of the logits."""
        return self.objective.predicted(self.logits(features))


FitProbe = Callable[[EndpointObjective, Split, Split, int], Probe]
PROBES: Registry[FitProbe] = Registry("linear probe")
"""By kind of task: (objective, training, validation, seed) -> probe, its penalty chosen on validation."""


def probe_of(kind: str, objective: EndpointObjective) -> FitProbe:
    """Return how the linear probe of a kind is fitted.

    Raises:
        ConfigError: the logits of the objective cannot be those of a linear probe.
    """
    if objective.why_not_linear is not None:
        raise ConfigError(objective.why_not_linear, where="objective.loss", hint="leave the option out for this arm")
    return PROBES.get(kind)


@PROBES.register("binary")
def logistic(objective: EndpointObjective, train: Split, validation: Split, seed: int) -> Probe:
    """Return a class-balanced logistic regression; the best by AUROC."""
    return fit_logistic_probe(train.features, train.labels, validation.features, validation.labels, seed=seed)


@PROBES.register("multilabel")
def logistic_each(objective: EndpointObjective, train: Split, validation: Split, seed: int) -> Probe:
    """Return a class-balanced logistic regression a label, each of those who have it and with its own penalty."""
    fitted = []
    for own, held_out in zip(train.labels.T, validation.labels.T, strict=True):
        known, shown = np.isfinite(own), np.isfinite(held_out)
        fitted.append(
            fit_logistic_probe(
                train.features[known], own[known], validation.features[shown], held_out[shown], seed=seed
            )
        )
    lines = [probe.line() for probe in fitted]
    weight, bias = np.concatenate([w for w, _ in lines]), np.concatenate([b for _, b in lines])
    return LinearProbe(objective, weight, bias, tuple(probe.c for probe in fitted))


@PROBES.register("regression")
def ridge(objective: EndpointObjective, train: Split, validation: Split, seed: int) -> Probe:
    """Return a ridge regression of the standardised labels; the best by the mean squared error."""
    targets = np.asarray((train.labels - objective.predicted(np.zeros((1, 1)))) / unit_of(objective))

    def fitted(c: float, x: Floats) -> tuple[Floats, float]:
        centred = targets - targets.mean()
        gram = x.T @ x / len(x) + np.eye(x.shape[1]) / (c * len(x))
        return np.linalg.solve(gram, x.T @ centred / len(x)), float(targets.mean())

    return _best(objective, train, validation, fitted, lambda said, labels: -float(np.mean((said - labels) ** 2)))


@PROBES.register("survival")
def cox(objective: EndpointObjective, train: Split, validation: Split, seed: int) -> Probe:
    """Return a Cox regression with a penalty, Breslow's ties; the best by concordance."""
    time, event = train.labels.T

    def fitted(c: float, x: Floats) -> tuple[Floats, float]:
        loss = _PartialLikelihood(x, time, event, 1 / (c * len(x)))
        found = minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 500})
        return np.asarray(found.x), 0.0

    def order(said: Floats, labels: Floats) -> float:
        return objective.measure(said, labels)["concordance"]

    probe = _best(objective, train, validation, fitted, order, on_logits=True)
    settled = objective.settled(
        lambda: (probe.logits(validation.features), validation.labels),
        lambda: (probe.logits(train.features), train.labels),
    )
    return LinearProbe(settled, probe.weight, probe.bias, probe.penalty)


class _PartialLikelihood:
    """Mean negative log partial likelihood of coefficients (d,) with its gradient, in time n log n (Breslow's ties)."""

    def __init__(self, x: Floats, time: Floats, event: Floats, ridge: float) -> None:
        order = np.argsort(-time, kind="stable")
        self.x, self.event, self.ridge = x[order], event[order] == 1, ridge
        later = -time[order]
        self.last = np.searchsorted(later, later, side="right") - 1
        self.first = np.searchsorted(later, later, side="left")

    def __call__(self, beta: Floats) -> tuple[float, Floats]:
        eta = self.x @ beta
        weight = np.exp(eta - eta.max())
        at_risk = np.cumsum(weight)[self.last]
        events = max(int(self.event.sum()), 1)
        loss = float(np.sum(np.log(at_risk[self.event]) + eta.max() - eta[self.event])) / events
        hazard = np.cumsum(np.where(self.event, 1 / at_risk, 0.0)[::-1])[::-1][self.first]
        gradient = self.x.T @ (weight * hazard - self.event) / events
        return loss + 0.5 * self.ridge * float(beta @ beta), gradient + self.ridge * beta


def _best(
    objective: EndpointObjective, train: Split, validation: Split,
    fitted: Callable[[float, Floats], tuple[Floats, float]], quality: Callable[[Floats, Floats], float], *,
    on_logits: bool = False,
) -> LinearProbe:  # fmt: skip
    scaler = StandardScaler().fit(train.features)  # type: ignore[no-untyped-call]
    x = np.asarray(scaler.transform(train.features), dtype=np.float64)

    def probe(c: float) -> LinearProbe:
        slopes, intercept = fitted(c, x)
        weight = slopes / scaler.scale_
        return LinearProbe(objective, weight[None], np.array([intercept - weight @ scaler.mean_]), c)

    def worth(found: LinearProbe) -> float:
        if not len(validation.labels):
            return -np.inf
        said = found.logits(validation.features) if on_logits else found.predicted(validation.features)
        value = quality(said, validation.labels)
        return value if np.isfinite(value) else -np.inf

    chosen = max(((worth(found), found) for found in map(probe, PENALTIES)), key=lambda pair: pair[0])
    return chosen[1] if np.isfinite(chosen[0]) else probe(USUAL_C)


def unit_of(objective: EndpointObjective) -> float:
    """Return by how much what is predicted rises with the logit.

    Raises:
        InputError: it does not rise.
    """
    low, high = objective.predicted(np.array([[0.0], [1.0]]))
    if high == low:
        raise InputError("the objective does not rise with its logit", where="objective")
    return float(high - low)
