"""Endpoints that are a time: Cox's proportional hazards, or a hazard in intervals of time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
import torch
from torch import Tensor

from cardiobind.errors import ConfigError, InputError
from cardiobind.objectives.endpoints.base import (
    ENDPOINTS,
    EndpointObjective,
    Floats,
    Said,
    choose,
    columns,
    positive,
    tall,
)
from cardiobind.objectives.survival import (
    Ties,
    cox_loss,
    cumulative_baseline_hazard,
    discrete_time_loss,
    interval_bounds,
    risk_by_horizon,
)
from cardiobind.tasks.concordance import concordance

Loss = Literal["cox", "discrete_time"]
DAYS_PER_YEAR = 365.25
SETTLING_EVENTS = 10


@ENDPOINTS.register("survival")
class Survival(EndpointObjective):
    """Time to an event, labels (n, 2) of days and event; predicted is the risk of the event within a horizon.

    Args:
        loss: ``cox`` the partial likelihood over the batch, one output; ``discrete_time`` the hazard in intervals of
            time that hold equally many training events, an output an interval.
        ties: of ``cox``: ``efron`` or ``breslow``.
        horizon_years: of the risk that is predicted.
        bounds: upper ends of the intervals in days, for ``discrete_time``.
        baseline: cumulative baseline hazard at the horizon, for ``cox``; None before it is settled.

    Raises:
        ConfigError: an option is out of range.
    """

    monitors: ClassVar[Mapping[str, bool]] = {"concordance": True, "loss": False}

    def __init__(
        self, *, loss: Loss = "cox", ties: Ties = "efron", horizon_years: float = 5.0, bounds: tuple[float, ...] = (),
        baseline: float | None = None,
    ) -> None:  # fmt: skip
        choose(loss, get_args(Loss), "loss")
        choose(ties, get_args(Ties), "ties")
        positive(horizon_years, "horizon_years")
        if loss == "discrete_time" and not bounds:
            raise ConfigError("intervals of time are needed", where="objective.bounds")
        self.kind, self.ties, self.horizon_years = loss, ties, horizon_years
        self.bounds, self.baseline = bounds, baseline
        self.outputs = len(bounds) if loss == "discrete_time" else 1
        self.why_not_linear = None if loss == "cox" else "a linear probe of time to event is a Cox regression"

    @classmethod
    def fit(
        cls, labels: Floats, *, loss: Loss = "cox", ties: Ties = "efron", horizon_years: float = 5.0,
        intervals: int = 10,
    ) -> Self:  # fmt: skip
        """Return the objective for training labels (n, 2); `intervals` are those of ``discrete_time``."""
        time, event = _known(labels).T
        if not np.any(event == 1):
            raise InputError("no training subject has the event", expected="at least one event", got=len(time))
        positive(horizon_years, "horizon_years")
        positive(intervals, "intervals")
        if time.max() < horizon_years * DAYS_PER_YEAR:
            raise InputError(
                "no training subject is followed up to the horizon", where="objective.horizon_years",
                expected=f"at most {time.max() / DAYS_PER_YEAR:.2f} years", got=horizon_years,
            )  # fmt: skip
        bounds = interval_bounds(time, event, intervals) if loss == "discrete_time" else ()
        return cls(loss=loss, ties=ties, horizon_years=horizon_years, bounds=bounds)

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the negative log likelihood over those whose time and event are known."""
        known = labels.isfinite().all(dim=1)
        outputs, (time, event) = columns(logits)[known], labels[known].unbind(dim=1)
        if not len(outputs):
            return 0.0 * logits.float().sum()
        if self.kind == "cox":
            return cox_loss(outputs[:, 0], time, event, ties=self.ties)
        bounds = torch.tensor(self.bounds, dtype=time.dtype, device=time.device)
        return discrete_time_loss(outputs, time, event, bounds)

    def measure(self, logits: Floats, labels: Floats) -> dict[str, float]:
        """Return Harrell's concordance, NaN where no pair is comparable."""
        known = np.isfinite(labels).all(axis=1)
        time, event = labels[known].astype(np.float64).T
        return {"concordance": concordance(time, event, self._score(tall(logits)[known]))}

    def predicted(self, logits: Floats) -> Floats:
        """Return the risk (n,) of the event within the horizon.

        Raises:
            InputError: the baseline hazard of ``cox`` is not settled.
        """
        wide = tall(logits).astype(np.float64)
        if self.kind == "discrete_time":
            return risk_by_horizon(wide, np.array(self.bounds), self.horizon_years * DAYS_PER_YEAR)
        if self.baseline is None:
            raise InputError("the baseline hazard is not settled", where="Survival", hint="call `settled` first")
        return np.asarray(-np.expm1(-self.baseline * np.exp(wide[:, 0])))

    def settled(self, validation: Said, training: Said) -> Self:
        """Return the objective with Breslow's baseline hazard at the horizon, for ``cox``.

        It is that of the validation subjects: those the network was trained on have scores that are too extreme. Where
        fewer than `SETTLING_EVENTS` of them had the event, or none by the horizon, it is that of the training subjects.

        Raises:
            InputError: nobody had the event before the horizon.
        """
        if self.kind != "cox":
            return self
        horizon_days = self.horizon_years * DAYS_PER_YEAR
        eta, time, event = _proportional(*validation())
        if event.sum() < SETTLING_EVENTS or not event[time <= horizon_days].any():
            eta, time, event = _proportional(*training())
        baseline = cumulative_baseline_hazard(eta, time, event, horizon_days)
        if baseline == 0:
            raise InputError(
                "nobody has the event before the horizon", where="objective.horizon_years", got=self.horizon_years,
                hint="give a later horizon",
            )  # fmt: skip
        return type(self)(loss="cox", ties=self.ties, horizon_years=self.horizon_years, baseline=baseline)

    def to_json(self) -> dict[str, Any]:
        """Return loss, ties, horizon, intervals and baseline."""
        return {
            "loss": self.kind, "ties": self.ties, "horizon_years": self.horizon_years, "bounds": list(self.bounds),
            "baseline": self.baseline,
        }  # fmt: skip

    def _score(self, logits: Floats) -> Floats:
        if self.kind == "cox":
            return logits[:, 0]
        return risk_by_horizon(logits.astype(np.float64), np.array(self.bounds), self.horizon_years * DAYS_PER_YEAR)


def _known(labels: Floats) -> Floats:
    return labels[np.isfinite(labels).all(axis=1)]


def _proportional(logits: Floats, labels: Floats) -> tuple[Floats, Floats, Floats]:
    known = np.isfinite(labels).all(axis=1)
    time, event = labels[known].astype(np.float64).T
    return tall(logits)[known, 0].astype(np.float64), time, event
