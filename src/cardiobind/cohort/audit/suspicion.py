"""Statistics of the leakage audit: does a column alone tell the label, allowing for chance and for many columns?"""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import gammaln, ndtri

from cardiobind.modalities.features import Feature

SUSPICIOUS_AUROC = 0.9
SUSPICIOUS_CORRELATION = 0.9
SUSPICIOUS_SHARE = 0.9
SUSPICIOUS_ODDS_RATIO = 20.0
MINIMUM_ROWS = 10
FALSE_ALARM = 0.05
"""Chance that any column of an audit is suspected where none tells the label (Bonferroni over all its tests)."""


def count_tests(features: list[Feature]) -> int:
    """Return how many tests an audit of these features makes: two of being recorded, one a number, one a level."""
    levels = {"number": 1, "flag": 2}
    return sum(2 + levels.get(feature.kind, len(feature.categories)) for feature in features)


def suspicions(
    feature: Feature, column: pd.Series, labels: NDArray[np.float64], tests: int
) -> Iterator[tuple[str, str]]:
    """Yield (reason, detail) for each way in which a column tells the label too well.

    Args:
        feature: what the column holds.
        column: (n,) its values, NaN where missing.
        labels: (n,) all known: 0 or 1, or numbers.
        tests: of the whole audit, by which the level of each is divided.
    """
    if not np.isin(labels, (0.0, 1.0)).all():
        yield from _follows(feature, column, labels, tests)
        return
    positive, observed = labels > 0.5, column.notna().to_numpy()
    for state, rows in (("observed", observed), ("missing", ~observed)):
        if (detail := _tells_label(rows, positive, tests)) is not None:
            yield "missingness", f"{state}: {detail}"
    if feature.kind == "number":
        yield from _separates(column[observed], positive[observed], tests)
        return
    for level in sorted(column[observed].unique()):
        if (detail := _tells_label((column == level).to_numpy(dtype=bool), positive, tests)) is not None:
            yield "level", f"{level}: {detail}"


def chance_of_as_many(hits: int, drawn: int, positives: int, rows: int) -> float:
    """Return the chance of `hits` positives or more among `drawn` of `rows` rows (hypergeometric; Fisher's exact test).

    Args:
        hits: positives among those drawn.
        drawn: rows drawn without replacement.
        positives: in all rows.
        rows: all.
    """
    k = np.arange(hits, min(drawn, positives) + 1)
    ways = _log_choose(positives, k) + _log_choose(rows - positives, drawn - k) - _log_choose(rows, drawn)
    possible = drawn - k <= rows - positives
    return float(np.exp(ways[possible]).sum())


def _separates(column: pd.Series, positive: NDArray[np.bool_], tests: int) -> Iterator[tuple[str, str]]:
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if min(positives, negatives) < MINIMUM_ROWS:
        return
    ranks = column.astype(float).rank().to_numpy()
    area = float((ranks[positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))
    if _lower_bound(max(area, 1 - area), positives, negatives, tests) > SUSPICIOUS_AUROC:
        yield "separates", f"AUROC {area:.3f} on its own"


def _lower_bound(area: float, positives: int, negatives: int, tests: int) -> float:
    """Return the lower end of the interval of an AUROC (Hanley and McNeil, Radiology 1982)."""
    both_positive, both_negative = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (
        area * (1 - area) + (positives - 1) * (both_positive - area**2) + (negatives - 1) * (both_negative - area**2)
    ) / (positives * negatives)
    return area - _quantile(tests) * sqrt(max(variance, 0.0))


def _follows(feature: Feature, column: pd.Series, labels: NDArray[np.float64], tests: int) -> Iterator[tuple[str, str]]:
    """Yield a number whose rank correlation with numeric labels is surely high (Fisher's transformation)."""
    observed = column.notna().to_numpy()
    if feature.kind != "number" or observed.sum() < MINIMUM_ROWS or len(np.unique(labels[observed])) < 2:
        return
    pairs = pd.DataFrame({"value": column[observed].astype(float).to_numpy(), "label": labels[observed]}).rank()
    rho = float(pairs["value"].corr(pairs["label"]))
    spread = _quantile(tests) / sqrt(observed.sum() - 3)
    if np.isfinite(rho) and np.tanh(np.arctanh(min(abs(rho), 1 - 1e-12)) - spread) > SUSPICIOUS_CORRELATION:
        yield "separates", f"rank correlation {rho:.3f} on its own"


def _tells_label(rows: NDArray[np.bool_], positive: NDArray[np.bool_], tests: int) -> str | None:
    count = int(rows.sum())
    if count < MINIMUM_ROWS or count == len(rows):
        return None
    hits, others = int((rows & positive).sum()), int((~rows & positive).sum())
    odds_ratio = (hits + 0.5) * (len(rows) - count - others + 0.5) / ((count - hits + 0.5) * (others + 0.5))
    if hits / count < SUSPICIOUS_SHARE or odds_ratio < SUSPICIOUS_ODDS_RATIO:
        return None
    if chance_of_as_many(hits, count, hits + others, len(rows)) > FALSE_ALARM / max(tests, 1):
        return None
    return f"{hits / count:.0%} positive, odds ratio {odds_ratio:.0f}"


def _quantile(tests: int) -> float:
    """Return the normal quantile of a two-sided interval at the audit's level divided by the number of tests."""
    return float(-ndtri(FALSE_ALARM / 2 / max(tests, 1)))


def _log_choose(n: NDArray[np.int64] | int, k: NDArray[np.int64] | int) -> NDArray[np.float64]:
    n, k = np.asarray(n, dtype=float), np.asarray(k, dtype=float)
    inside = (k >= 0) & (k <= n)
    with np.errstate(invalid="ignore"):
        ways = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return np.where(inside, ways, -np.inf)
