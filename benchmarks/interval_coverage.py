"""How often each interval holds the truth: python benchmarks/interval_coverage.py --write docs/results/coverage.md.

Scores are normal within a class, so every truth has a closed form; risks are calibrated by construction. Three to four
minutes of one core; --scale 0.1 for a look.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm

from cardiobind.evaluation import resampled
from cardiobind.evaluation.bootstrap import count_blocks, interval
from cardiobind.evaluation.uncertainty.components import named_intervals
from cardiobind.evaluation.uncertainty.delong import delong_interval, delong_test

Floats = NDArray[np.float64]
Bounds = tuple[float, float] | None

RESAMPLES = 1000
SIZES = ((10, 90, 2000), (40, 160, 1500), (150, 350, 700))
"""Positives, negatives, simulated test sets."""
GOOD, POOR, SHARED = 1.2, 0.7, 0.8
SEEDS, SEED_SD = 5, 0.25
HEAD = """# Coverage of the intervals

Written by `python benchmarks/interval_coverage.py --write docs/results/coverage.md`, {date}, {minutes:.1f} minutes of
one core, {resamples} resamples. An interval of 95 % should hold the truth in 95 of 100 simulated test sets; missed low
and high is the share of test sets whose interval is wholly below and above the truth. Test sets by size: {repeats} for
the ranking statistics, half of that for calibration and for the mean of 5 trainings; so a coverage of .95 has standard
errors of {error}.

Scores are normal within a class (the positives stand {good} or {poor} standard deviations above the negatives, the two
models share {shared} of the noise's standard deviation), the threshold of balanced accuracy is fixed, as one from
validation is. **Bold** is what `metrics.json` holds.

| statistic | positives + negatives | interval | coverage | missed low | missed high | mean width |
| --- | --- | --- | --- | --- | --- | --- |
"""


class Tally:
    """Counts of hits and misses, by statistic, size and interval."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str, str], list[float]] = {}

    def add(self, statistic: str, size: str, name: str, bounds: Bounds, truth: float) -> None:
        """Count one interval; one that is undefined counts as a miss on neither side."""
        row = self.found.setdefault((statistic, size, name), [0.0, 0.0, 0.0, 0.0, 0.0])
        low, high = bounds or (math.nan, math.nan)
        row[0] += 1
        row[1] += low <= truth <= high
        row[2] += high < truth
        row[3] += low > truth
        row[4] += 0.0 if bounds is None else high - low

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Yield the lines of the table."""
        for (statistic, size, name), (n, hits, below, above, width) in self.found.items():
            yield statistic, size, name, *(f"{v / n:.3f}" for v in (hits, below, above, width))

    def coverage(self, statistic: str, name: str) -> list[float]:
        """Return the coverages of one interval, one a size."""
        return [row[1] / row[0] for key, row in self.found.items() if (key[0], key[2]) == (statistic, name)]


def draws(strata: NDArray[np.int64], seed: int) -> Floats:
    """Return all resamples of a test set."""
    return np.concatenate(list(count_blocks(strata, RESAMPLES, seed)))


def bca(values: Floats, value: float, influence: Floats) -> Bounds:
    """Return the bias-corrected and accelerated interval (Efron 1987), for comparison."""
    below = np.mean(values < value) + 0.5 * np.mean(values == value)
    if not 0 < below < 1:
        return None
    z0, a = norm.ppf(below), np.sum(influence**3) / (6 * np.sum(influence**2) ** 1.5)
    z = z0 + norm.ppf([0.025, 0.975])
    low, high = np.quantile(values, norm.cdf(z0 + z / (1 - a * z)))
    return float(low), float(high)


def influence_of_rows(labels: Floats, scores: Floats) -> Floats:
    """Return what each row adds to AUROC, by its placement among the other class."""
    wins = (scores[labels == 1][:, None] > scores[labels == 0]).astype(float)
    return np.r_[(wins.mean(axis=1) - wins.mean()) / len(wins), (wins.mean(axis=0) - wins.mean()) / wins.shape[1]]


def ranking(tally: Tally, positives: int, negatives: int, repeats: int) -> None:
    """Tally AUROC, balanced accuracy and their paired differences."""
    labels, size = np.r_[np.ones(positives), np.zeros(negatives)], f"{positives} + {negatives}"
    subjects, few = np.arange(len(labels)), min(positives, negatives)
    truth = {d: float(norm.cdf(d / math.sqrt(2))) for d in (GOOD, POOR)}
    truth_ba = {d: float(norm.cdf(d / 2)) for d in (GOOD, POOR)}
    generator = np.random.default_rng(positives)
    for repeat in range(repeats):
        shared = SHARED * generator.normal(size=len(labels))
        a, b = (
            d * labels + shared + math.sqrt(1 - SHARED**2) * generator.normal(size=len(labels)) for d in (GOOD, POOR)
        )
        counts = draws(labels.astype(np.int64), repeat)
        auroc = {d: resampled.auroc(labels, s, counts) for d, s in ((GOOD, a), (POOR, b))}
        correct = {d: (s >= d / 2).astype(float) for d, s in ((GOOD, a), (POOR, b))}
        ba = {d: resampled.balanced_accuracy(labels, s, counts) for d, s in correct.items()}
        delong, test = delong_interval(labels, a[None], subjects), delong_test(labels, a[None], b[None], subjects)
        value = float(resampled.auroc(labels, a, np.ones((1, len(labels))))[0])
        for name, bounds in {
            "percentile": interval(auroc[GOOD]), "BCa": bca(auroc[GOOD], value, influence_of_rows(labels, a)),
            "**expanded percentile**": interval(auroc[GOOD], few), "**DeLong, logit**": of_json(delong),
        }.items():  # fmt: skip
            tally.add("AUROC", size, name, bounds, truth[GOOD])
        for name, n in (("percentile", None), ("**expanded percentile**", few)):
            tally.add("balanced accuracy", size, name, interval(ba[GOOD], n), truth_ba[GOOD])
            tally.add("AUROC, paired difference", size, name, interval(auroc[GOOD] - auroc[POOR], n),
                      truth[GOOD] - truth[POOR])  # fmt: skip
            tally.add("balanced accuracy, paired difference", size, name, interval(ba[GOOD] - ba[POOR], n),
                      truth_ba[GOOD] - truth_ba[POOR])  # fmt: skip
        tally.add("AUROC, paired difference", size, "**DeLong**", of_json(test), truth[GOOD] - truth[POOR])


def calibration(tally: Tally, positives: int, negatives: int, repeats: int) -> None:
    """Tally the Brier score and calibration of calibrated risks, resampled within classes and not."""
    n = positives + negatives
    middle = middle_for(positives / n)
    truth = {"calibration intercept": 0.0, "calibration slope": 1.0, "Brier": mean_variance(middle)}
    statistics: dict[str, Callable[[Floats, Floats, Floats], Floats]] = {
        "calibration intercept": resampled.calibration_intercept, "calibration slope": resampled.calibration_slope,
        "Brier": resampled.brier,
    }  # fmt: skip
    generator = np.random.default_rng(positives)
    for repeat in range(repeats):
        risks = expit(middle + generator.normal(size=n))
        labels = (generator.random(n) < risks).astype(float)
        few = int(min(labels.sum(), n - labels.sum()))
        by_class, plain = draws(labels.astype(np.int64), repeat), draws(np.zeros(n, np.int64), repeat)
        for statistic, function in statistics.items():
            for name, counts in (("within classes", by_class), ("**not within classes**", plain)):
                found = interval(function(labels, risks, counts), few)
                tally.add(statistic, f"{positives} + {negatives} expected", name, found, truth[statistic])


def seeds_and_subjects(tally: Tally, positives: int, negatives: int, repeats: int) -> None:
    """Tally the three intervals of the mean AUROC over seeds whose networks differ in skill."""
    labels, few = np.r_[np.ones(positives), np.zeros(negatives)], min(positives, negatives)
    truth = quad(lambda e: norm.cdf((GOOD + SEED_SD * e) / math.sqrt(2)) * norm.pdf(e), -8, 8)[0]
    generator = np.random.default_rng(positives)
    for repeat in range(repeats):
        skill = GOOD + SEED_SD * generator.normal(size=(SEEDS, 1))
        own = math.sqrt(1 - SHARED**2) * generator.normal(size=(SEEDS, len(labels)))
        scores = skill * labels + SHARED * generator.normal(size=len(labels)) + own
        counts = draws(labels.astype(np.int64), repeat)
        found = np.stack([resampled.auroc(labels, s, counts) for s in scores])
        values = np.array([resampled.auroc(labels, s, np.ones((1, len(labels))))[0] for s in scores])
        bounds = interval(found.mean(axis=0), few)
        named = named_intervals(values, found, bounds, few, (0.0, 1.0))["intervals"]
        for name in ("test_subjects", "seeds", "both"):
            size = f"{positives} + {negatives}"
            tally.add("AUROC, mean of 5 trainings", size, f"**`{name}`**", of_json(named[name]), truth)


def of_json(found: dict[str, float | None]) -> Bounds:
    """Return the bounds of an interval as ``metrics.json`` has it."""
    low, high = found["low"], found["high"]
    return None if low is None or high is None else (low, high)


def middle_for(prevalence: float) -> float:
    """Return the mean log odds at which risks of unit spread have a prevalence on average."""
    low, high = -12.0, 12.0
    for _ in range(60):
        middle = (low + high) / 2
        below = quad(lambda x, m=middle: expit(m + x) * norm.pdf(x), -8, 8)[0] < prevalence
        low, high = (middle, high) if below else (low, middle)
    return middle


def mean_variance(middle: float) -> float:
    """Return the Brier score that calibrated risks have on average."""
    return float(quad(lambda x: expit(middle + x) * (1 - expit(middle + x)) * norm.pdf(x), -8, 8)[0])


def measure(scale: float = 1.0) -> Tally:
    """Return all tallies; `scale` of the simulated test sets."""
    tally = Tally()
    for part in (ranking, calibration, seeds_and_subjects):
        for positives, negatives, repeats in SIZES:
            share = 1.0 if part is ranking else 0.5
            part(tally, positives, negatives, max(20, int(share * scale * repeats)))
    return tally


NOTES = """
What follows:

- Plain percentiles are too narrow with few positives. The expanded percentile (Hesterberg 2015; the tails are widened
  by sqrt(n / (n - 1)) and Student's t, n the smaller class) costs nothing and mends most of it, so it is what
  `metrics.json` holds (`cardiobind.evaluation.bootstrap.interval`). BCa was tried for AUROC and is between the
  two; it would need a jackknife for each metric.
- With 10 positives the misses of the bootstrap of an AUROC lie on one side, DeLong's intervals cover 92 %, and the
  paired difference of balanced accuracy, which moves in steps of 1/20, 91 %: compare by the bootstrap of AUROC there.
- A bootstrap that keeps the number of positives cannot know that it is an estimate: its intervals of the calibration
  intercept and the Brier score miss the truth far too often. Metrics that depend on how many are ill are therefore
  drawn from all subjects (`stratified` of `cardiobind.evaluation.metrics.Metric`).
- The interval over test subjects alone does not hold the mean over other trainings, nor that over seeds the value on
  other subjects: only `both` covers the mean over all trainings and subjects.
"""


def main() -> None:
    """Simulate, print the table and write the page if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--scale", type=float, default=1.0)
    chosen, started = parser.parse_args(), time.process_time()
    tally = measure(chosen.scale)
    repeats = [int(chosen.scale * n) for _, _, n in SIZES]
    errors = [f".{1000 * math.sqrt(0.95 * 0.05 / n):03.0f}" for n in repeats]
    head = HEAD.format(
        date=time.strftime("%Y-%m-%d"), minutes=(time.process_time() - started) / 60, resamples=RESAMPLES, good=GOOD,
        poor=POOR, shared=SHARED, repeats=", ".join(map(str, repeats)), error=", ".join(errors),
    )  # fmt: skip
    text = head + "".join("| " + " | ".join(row) + " |\n" for row in tally.rows()) + NOTES
    print(text)
    if chosen.write:
        chosen.write.write_text(text)


if __name__ == "__main__":
    main()
