"""Who trains, who validates, who tests: decided once a subject, whoever else is in the cohort."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cardiobind import rng
from cardiobind.errors import InputError, SplitLeakageError

SPLITS = ("train", "validation", "test")
OFFICIAL_TRAIN_FOLDS = tuple(range(1, 9))
OFFICIAL_FOLDS = dict.fromkeys(OFFICIAL_TRAIN_FOLDS, "train") | {9: "validation", 10: "test"}
MINIMUM_PER_CLASS = 2


class SubjectOverlapError(SplitLeakageError):
    """Subjects are in more than one split.

    Attributes:
        details: the subjects concerned; never part of the message.
    """

    def __init__(self, subjects: Sequence[str]) -> None:
        self.details = tuple(subjects)
        super().__init__(
            f"{len(self.details)} subjects are in more than one split",
            expected="every visit, modality and alias of a subject in one split",
            hint="split by subject; the subjects are in the error's `details`",
        )


def assign_splits(
    subjects: Sequence[str],
    *,
    seed: int,
    fractions: Sequence[float] = (0.7, 0.1, 0.2),
    fold: ArrayLike | None = None,
    aliases: Mapping[str, str] | None = None,
) -> NDArray[np.str_]:
    """Put each entry into train, validation or test by a keyed hash of its subject, or by an official fold.

    A subject's place depends on (seed, subject) alone, so adding subjects moves nobody.

    Args:
        subjects: (n,) subject of each sample.
        seed: key of the hash.
        fractions: expected shares of train, validation and test; they sum to 1.
        fold: (n,) official folds: 1 to 8 train, 9 validates, 10 tests; `seed` and `fractions` are then unused.
        aliases: other names of a subject -> the name that decides.

    Returns:
        (n,) names out of `SPLITS`.

    Raises:
        InputError: fractions or folds are impossible, or aliases run in a circle.
        SubjectOverlapError: the official folds tear a subject apart.
    """
    names = [_canonical(str(s), aliases or {}) for s in subjects]
    if fold is not None:
        splits = _official(np.asarray(fold, dtype=float), len(names))
    else:
        bounds = np.cumsum(_checked_fractions(fractions))[:-1]
        unique = {s: SPLITS[int(np.searchsorted(bounds, _place(seed, s), side="right"))] for s in set(names)}
        splits = np.array([unique[s] for s in names], dtype=str)
    check_splits(pd.DataFrame({"subject": names, "split": splits}))
    return splits


def check_splits(frame: pd.DataFrame, aliases: Mapping[str, str] | None = None) -> None:
    """Refuse a table in which a subject, by whatever name, is in more than one split.

    Args:
        frame: columns subject and split, one row a sample.
        aliases: other names of a subject -> the name that decides.

    Raises:
        SubjectOverlapError: how many subjects; which ones only in its `details`.
    """
    subjects = frame["subject"].astype(str).map(lambda s: _canonical(s, aliases or {}))
    torn = frame["split"].groupby(subjects.to_numpy()).nunique()
    torn = torn[torn > 1]
    if len(torn):
        raise SubjectOverlapError([str(s) for s in torn.index])


def label_subset(
    subjects: Sequence[str], labels: ArrayLike, fraction: float, seed: int, *, least_classes: int = 2,
    least_subjects: int = MINIMUM_PER_CLASS,
) -> NDArray[np.bool_]:  # fmt: skip
    """Choose the samples whose labels may be used when labels are scarce.

    Subsets are nested (a smaller fraction is within a larger one), drawn by subject and stratified by class, with two
    subjects of each class that has them. A subject with several visits counts as its highest label.

    Args:
        subjects: (n,) subject of each sample.
        labels: (n,) class of each sample, or stratum of its value; NaN where unknown.
        fraction: share of the labelled subjects of each class, in (0, 1].
        seed: key of the draw.
        least_classes: how many classes there must be; 1 where they are strata of a number.
        least_subjects: how many subjects each of them must have.

    Returns:
        (n,) True where the label may be used; False wherever it is unknown.

    Raises:
        InputError: `fraction` is out of range, or a class or all labels have too few subjects.
    """
    if not 0 < fraction <= 1:
        raise InputError("the share of labels is out of range", expected="0 < fraction <= 1", got=fraction)
    known = pd.DataFrame({"subject": [str(s) for s in subjects], "label": np.asarray(labels, dtype=float)})
    by_subject = known.dropna().groupby("subject")["label"].max()
    _check_classes(by_subject, least_classes, least_subjects)
    chosen = {s for _, group in by_subject.groupby(by_subject) for s in _first(group.index, fraction, seed)}
    return (known["subject"].isin(chosen) & known["label"].notna()).to_numpy(dtype=bool)


def _first(subjects: pd.Index, fraction: float, seed: int) -> list[str]:
    ordered = sorted(subjects, key=lambda s: (rng.uniform(seed, "label_subset", str(s)), str(s)))
    return ordered[: max(MINIMUM_PER_CLASS, ceil(fraction * len(ordered) - 1e-9))]


def _check_classes(by_subject: pd.Series, classes: int, subjects: int) -> None:
    counts = by_subject.value_counts()
    if len(by_subject) < MINIMUM_PER_CLASS or len(counts) < classes or counts.min() < subjects:
        raise InputError(
            "too few labelled subjects",
            expected=f"at least {subjects} subjects of each of {classes} or more classes, {MINIMUM_PER_CLASS} in all",
            got={float(str(k)): int(v) for k, v in counts.items()},
        )


def _place(seed: int, subject: str) -> float:
    return rng.uniform(seed, "split", subject)


def _checked_fractions(fractions: Sequence[float]) -> NDArray[np.float64]:
    shares = np.asarray(fractions, dtype=float)
    if shares.shape != (3,) or not (shares >= 0).all() or abs(shares.sum() - 1) > 1e-6:
        raise InputError("impossible split", expected="three shares >= 0 that sum to 1", got=tuple(fractions))
    return shares


def _official(fold: NDArray[np.float64], size: int) -> NDArray[np.str_]:
    if fold.shape != (size,) or not set(np.unique(fold)) <= set(OFFICIAL_FOLDS):
        bad = [float(f) for f in np.unique(fold) if f not in OFFICIAL_FOLDS]
        raise InputError(
            "the official split needs a fold from 1 to 10 for every sample", got=bad or fold.shape,
            hint='use the "hash" split for data without official folds',
        )  # fmt: skip
    return np.array([OFFICIAL_FOLDS[int(f)] for f in fold], dtype=str)


def _canonical(subject: str, aliases: Mapping[str, str]) -> str:
    for _ in range(len(aliases) + 1):
        if aliases.get(subject, subject) == subject:
            return subject
        subject = str(aliases[subject])
    raise InputError("the aliases run in a circle", where="aliases")
