"""Losses of time to event: Cox's partial likelihood, and the hazard in intervals of time."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

Ties = Literal["efron", "breslow"]
Floats = NDArray[np.float64]


def cox_loss(log_hazard: Tensor, time: Tensor, event: Tensor, *, ties: Ties = "efron") -> Tensor:
    r"""Return the mean negative log partial likelihood of the events in a batch.

    With $R_i = \{j : t_j \ge t_i\}$, who is at risk at an event, and $D$ events, Breslow's form is
    $-\frac1D \sum_{i: \text{event}} (\eta_i - \log \sum_{j \in R_i} e^{\eta_j})$. Efron's takes from the sum the share
    $l / d$ of the $d$ events at the same time, for the $l$-th of them. The two are equal where no events are tied.

    Args:
        log_hazard: (n,) log hazard ratios $\eta$, known up to a constant.
        time: (n,) follow-up in any unit.
        event: (n,) 1, or 0 where censored; unknown subjects are left out by the caller.
        ties: ``efron`` or ``breslow``.

    Returns:
        A scalar in float32 or wider; 0 with zero gradients where there is no event.

    Source: Cox 1972; Breslow 1974; Efron 1977, Journal of the American Statistical Association 72:557-565.
    """
    eta = log_hazard if log_hazard.dtype == torch.float64 else log_hazard.float()
    happened = event > 0.5
    if not bool(happened.any()):
        return 0.0 * eta.sum()
    at, of_event = time[happened, None], eta[happened]
    log_risk = _masked_logsumexp(eta, time >= at)
    if ties == "efron":
        tied = at == time[happened]
        share = tied.tril(diagonal=-1).sum(dim=1).to(eta.dtype) / tied.sum(dim=1)
        log_risk = log_risk + torch.log1p(-share * (_masked_logsumexp(of_event, tied) - log_risk).exp())
    return (log_risk - of_event).mean()


def interval_bounds(time: Floats, event: Floats, intervals: int) -> tuple[float, ...]:
    """Return the upper ends of intervals that hold equally many events, at most `intervals` of them, increasing.

    Args:
        time: (n,) of the training subjects.
        event: (n,) 1 or 0; at least one event.
        intervals: wanted; fewer where events are tied or fewer.
    """
    return tuple(np.unique(np.quantile(time[event == 1], np.linspace(0, 1, intervals + 1)[1:])).tolist())


def discrete_time_loss(logits: Tensor, time: Tensor, event: Tensor, bounds: Tensor) -> Tensor:
    r"""Return the mean negative log likelihood of a hazard that is constant in each interval of time.

    With the hazard $h_k = \sigma(\text{logit}_k)$ of interval $(b_{k-1}, b_k]$, an event in interval $k$ has the
    likelihood $h_k \prod_{j<k} (1 - h_j)$; who is censored, or has the event after the last bound, has
    $\prod_j (1 - h_j)$ over the intervals that end by that time.

    Args:
        logits: (n, K).
        time: (n,) follow-up.
        event: (n,) 1, or 0 where censored.
        bounds: (K,) upper ends of the intervals, increasing.

    Returns:
        A scalar in float32 or wider; 0 with zero gradients for an empty batch.

    Source: Gensheimer and Narasimhan 2019, PeerJ 7:e6257; censoring as Kvamme and Borgan 2021, Lifetime Data Analysis
        27:710-736, section 3.
    """
    eta = logits if logits.dtype == torch.float64 else logits.float()
    if not len(eta):
        return 0.0 * eta.sum()
    survived = (bounds <= time[:, None]) & ((bounds < time[:, None]) | (event[:, None] < 0.5))
    place = torch.searchsorted(bounds, time.contiguous())
    failed = (F.one_hot(place.clamp(max=len(bounds) - 1), len(bounds)) > 0) & (place < len(bounds))[:, None]
    failed = failed & (event[:, None] > 0.5)
    terms = F.softplus(eta) * survived + F.softplus(-eta) * failed
    return terms.sum(dim=1).mean()


def cumulative_baseline_hazard(log_hazard: Floats, time: Floats, event: Floats, until: float) -> float:
    """Return Breslow's estimate of the cumulative hazard of a subject of log hazard 0, up to a time.

    Args:
        log_hazard: (n,) of the subjects it is estimated from.
        time: (n,).
        event: (n,) 1 or 0.
        until: the time; the events up to and on it count.

    Source: Breslow 1972, Journal of the Royal Statistical Society B 34:216-217.
    """
    order = np.argsort(-time, kind="stable")
    at_risk = np.cumsum(np.exp(log_hazard[order]))
    last = np.searchsorted(-time[order], -time, side="right") - 1
    counted = (event == 1) & (time <= until)
    return float(np.sum(1 / at_risk[last[counted]]))


def risk_by_horizon(logits: Floats, bounds: Floats, horizon: float) -> Floats:
    """Return the probability (n,) of an event up to a horizon from the logits of interval hazards (n, K).

    Within the interval in which the horizon lies the log of the survival falls evenly.

    Args:
        logits: (n, K).
        bounds: (K,) upper ends of the intervals.
        horizon: in the unit of the bounds; beyond the last bound nothing is known to be added.
    """
    starts = np.concatenate([[0.0], bounds[:-1]])
    passed = np.clip((horizon - starts) / np.maximum(bounds - starts, math.ulp(1.0)), 0.0, 1.0)
    return np.asarray(-np.expm1(-(np.logaddexp(0.0, logits) * passed).sum(axis=1)))


def _masked_logsumexp(values: Tensor, mask: Tensor) -> Tensor:
    """Return the log of the sum of exponentials of `values` (n,) over each row of `mask` (m, n), no row empty."""
    return values.expand(mask.shape).masked_fill(~mask, -math.inf).logsumexp(dim=1)
