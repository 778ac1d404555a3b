"""Two causes why a number would be another one the next time: other test subjects, and another training seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from cardiobind.evaluation.bootstrap import ALIKE, CONFIDENCE, alike, enough

Floats = NDArray[np.float64]

OF_SUBJECTS = "test_subjects"
INTERVAL_NAMES = {
    OF_SUBJECTS: "95 % interval over other test subjects, the trained models as they are (bootstrap of subjects)",
    "seeds": "95 % interval over other trainings, the test subjects as they are (Student's t over the seeds)",
    "both": "95 % interval over other test subjects and other trainings (both components of variance)",
}
"""What each interval speaks of, by the name it has in ``metrics.json``."""
ONE_SEED = "one training seed"
_NO_DRAWS = "the resamples of test subjects are undefined"
_SAME_SEEDS = "all seeds give the same value"


@dataclass(frozen=True)
class Components:
    """Variance of a mean over seeds, by cause.

    Attributes:
        subjects: due to the test subjects, the seeds held fixed.
        seeds: due to the seeds, the test subjects held fixed.
        both: due to both.
        df: Satterthwaite's degrees of freedom of `both`.
    """

    subjects: float
    seeds: float
    both: float
    df: float


def components(values: Floats, draws: Floats, subjects: int) -> Components:
    r"""Return the components of variance of the mean over seeds.

    A seed's value on these subjects is $\mu + a_s + e + e_s$: $a_s$ its training, $e$ what the subjects do to all
    seeds, $e_s$ what they do to this one alone. Resamples give $C = \mathrm{Var}\,e$ (the mean covariance between
    seeds) and the variance of the mean over seeds; the spread $s^2$ of the $S$ values estimates
    $\mathrm{Var}\,a_s + \mathrm{Var}\,e_s$. So both together give $C + s^2 / S$, never less than the subjects alone.

    Args:
        values: (S,) metric of each seed, S at least 2.
        draws: (S, resamples) metric of each seed in each resample of the test subjects, finite.
        subjects: of the smaller class, for degrees of freedom and for the bootstrap's bias (n - 1) / n.

    Source: crossed random effects; degrees of freedom by Satterthwaite 1946, Biometrics Bulletin 2:110-114.
    """
    seeds = len(values)
    raised = subjects / (subjects - 1)
    of_mean = float(np.var(draws.mean(axis=0), ddof=1)) * raised
    each = float(np.var(draws, axis=1, ddof=1).mean()) * raised
    shared = max(0.0, (seeds * of_mean - each) / (seeds - 1))
    trained = float(np.var(values, ddof=1)) / seeds
    both = shared + trained
    if both <= of_mean:
        return Components(of_mean, trained, of_mean, float(subjects - 1))
    return Components(of_mean, trained, both, both**2 / (shared**2 / (subjects - 1) + trained**2 / (seeds - 1)))


def named_intervals(
    values: Floats, draws: Floats | None, of_subjects: tuple[float, float] | None, subjects: int,
    within: tuple[float, float] = (-np.inf, np.inf), why_one: str = ONE_SEED, why_none: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return ``interval``, ``intervals`` and ``sd`` of a mean over seeds, each interval under the name of its cause.

    Args:
        values: (S,) metric of each seed.
        draws: (S, resamples) of each seed in each resample; None where the metric has no interval.
        of_subjects: the interval over test subjects.
        subjects: of the smaller class.
        within: least and greatest value that the metric can have.
        why_one: why there is but one value, where there is but one.
        why_none: why there is no interval over test subjects, where there is none.
    """
    low, high = of_subjects or (None, None)
    first = {"low": low, "high": high, **({} if of_subjects else {"undefined": why_none or _NO_DRAWS})}
    seeds, both, sd = _beyond_subjects(values, _finite(draws), subjects, within, why_one)
    return {
        "interval": OF_SUBJECTS,
        "intervals": {OF_SUBJECTS: first, "seeds": seeds, "both": both},
        "sd": sd,
    }


def nothing_by_both(
    values: Floats, draws: Floats | None, subjects: int, why_one: str = ONE_SEED
) -> dict[str, Any]:  # fmt: skip
    """Return Student's test that a mean over seeds is 0, over other test subjects and other trainings together.

    It has the standard error and degrees of freedom of the interval called ``both``, so p is below 5 % where that
    leaves 0 out; p is not bounded by the number of resamples, as that of the bootstrap is.

    Args:
        values: (S,) difference of each seed.
        draws: (S, resamples) of each seed in each resample; None where the metric has no interval.
        subjects: of the smaller class.
        why_one: why there is but one value, where there is but one.

    Returns:
        ``{t, df, p}``, all None with ``undefined`` where there is no such interval.
    """
    known = _finite(draws)
    if len(values) < 2:
        return _no_test(why_one)
    if known is None or subjects < 2:
        return _no_test(_NO_DRAWS)
    if alike(known.mean(axis=0), subjects):
        return _no_test(ALIKE)
    found = components(values, known, subjects)
    t = float(np.mean(values)) / float(np.sqrt(found.both))
    return {"t": t, "df": found.df, "p": float(2 * student.sf(abs(t), found.df))}


def _no_test(reason: str) -> dict[str, Any]:
    return {"t": None, "df": None, "p": None, "undefined": reason}


def _finite(draws: Floats | None) -> Floats | None:
    if draws is None:
        return None
    defined = np.asarray(np.isfinite(draws).all(axis=0))
    return draws[:, defined] if defined.sum() > 1 and enough(defined) else None


def _beyond_subjects(
    values: Floats, draws: Floats | None, subjects: int, within: tuple[float, float], why_one: str
) -> tuple[dict[str, Any], dict[str, Any], dict[str, float | None]]:
    middle, seeds = float(np.mean(values)), len(values)
    known = draws is not None and subjects > 1
    of_subjects = float(np.std(draws.mean(axis=0), ddof=1)) if draws is not None else None
    if seeds < 2:
        none = _undefined(why_one)
        return none, dict(none), {"test_subjects": of_subjects, "seeds": None, "both": None}
    spread = float(np.std(values, ddof=1) / np.sqrt(seeds))
    over_seeds = _symmetric(middle, spread, seeds - 1, within) if np.ptp(values) > 0 else _undefined(_SAME_SEEDS)
    if draws is None or not known:
        sd = {"test_subjects": of_subjects, "seeds": spread, "both": None}
        return over_seeds, _undefined(_NO_DRAWS), sd
    found = components(values, draws, subjects)
    sd = {"test_subjects": float(np.sqrt(found.subjects)), "seeds": spread, "both": float(np.sqrt(found.both))}
    if alike(draws.mean(axis=0), subjects):
        return over_seeds, _undefined(ALIKE), sd
    return over_seeds, _symmetric(middle, float(np.sqrt(found.both)), found.df, within), sd


def _symmetric(middle: float, error: float, df: float, within: tuple[float, float]) -> dict[str, Any]:
    reach = float(student.ppf(0.5 + CONFIDENCE / 2, df)) * error
    return {"low": max(within[0], middle - reach), "high": min(within[1], middle + reach)}


def _undefined(reason: str) -> dict[str, Any]:
    return {"low": None, "high": None, "undefined": reason}
