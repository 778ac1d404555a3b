"""What the labels of each kind of endpoint look like, and what the splits, the audit and the report read of them.

Labels are (n,) or (n, K), NaN where unknown: a class (binary), a number (regression), K classes (multilabel), or the
time in days and whether the event came (survival).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cardiobind.registry import Registry

Floats = NDArray[np.float64]

GROUPS = 4


@dataclass(frozen=True)
class Kind:
    """How labels of one kind are read.

    Attributes:
        known: labels -> (n,) bool, who has a label to learn from.
        strata: labels -> (n,) class by which few labels are drawn, NaN where unknown.
        marks: labels -> (n,) 1, 0 or NaN, who counts as positive; None where nobody does.
        audited: labels -> (n,) columns that no feature may give away.
        why_none: what to do where nobody has a label, if there is something.
        least_strata: how many strata the labels that may be learnt from need.
        least_in_stratum: how many subjects each of them needs.
    """

    known: Callable[[Floats], NDArray[np.bool_]]
    strata: Callable[[Floats], Floats]
    marks: Callable[[Floats], Floats] | None
    audited: Callable[[Floats], list[Floats]]
    why_none: str | None = None
    least_strata: int = 2
    least_in_stratum: int = 2


def _every(labels: Floats) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(labels).reshape(len(labels), -1).all(axis=1))


def _any(labels: Floats) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(labels).any(axis=1))


KINDS: Registry[Kind] = Registry("kind of task")


def _itself(labels: Floats) -> Floats:
    return labels


def _event(labels: Floats) -> Floats:
    return np.where(np.isfinite(labels).all(axis=1), labels[:, 1], np.nan)


def _quantile_group(labels: Floats) -> Floats:
    """Return the quarter of the known values that each value lies in, 0 to 3.

    Where one value takes a quarter or more, such as a calcium score of 0, quarters end at it: it is then a stratum of
    its own, so that few labels hold it, what is below and what is above in their shares.
    """
    known = labels[np.isfinite(labels)]
    if not len(known):
        return labels
    edges = np.quantile(known, np.linspace(0, 1, GROUPS + 1)[1:-1])
    quarter = np.searchsorted(edges, labels, side="right")
    if len(np.unique(edges)) < len(edges):
        quarter += np.searchsorted(edges, labels, side="left")
    return np.where(np.isfinite(labels), quarter, np.nan)


def _rarest(labels: Floats) -> Floats:
    """Return for each row how rare its rarest positive label is: K for the rarest of K labels, 1 the commonest, 0 none.

    A subject with several visits counts as the highest, so as the rarest of all of them.
    """
    shares = np.nanmean(np.where(np.isfinite(labels).any(axis=0), labels, 0.0), axis=0)
    order = np.argsort(shares, kind="stable")
    positive = labels[:, order] == 1
    first = np.where(positive.any(axis=1), labels.shape[1] - positive.argmax(axis=1), 0)
    return np.where(np.isfinite(labels).any(axis=1), first, np.nan)


KINDS.register("binary")(Kind(_every, _itself, _itself, lambda labels: [labels]))
KINDS.register("survival")(
    Kind(
        _every, _event, _event, lambda labels: [_event(labels)],
        "the end of follow-up has to be known: for UK Biobank give source.options.end_of_records",
    )
)  # fmt: skip
KINDS.register("regression")(
    Kind(_every, _quantile_group, None, lambda labels: [labels], least_strata=1, least_in_stratum=1)
)
KINDS.register("multilabel")(Kind(_any, _rarest, None, lambda labels: list(labels.T), least_in_stratum=1))
