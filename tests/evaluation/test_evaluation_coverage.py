"""The intervals hold the truth as often as they say, by simulation (`benchmarks/interval_coverage.py`)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import interval_coverage  # noqa: E402


@pytest.mark.slow
def test_intervals_hold_the_truth_in_about_95_of_100_test_sets() -> None:
    found = interval_coverage.measure(scale=0.25)
    for statistic in ("AUROC", "balanced accuracy", "AUROC, paired difference"):
        few, *more = found.coverage(statistic, "**expanded percentile**")
        assert few > 0.9
        assert min(more) > 0.91
    assert min(found.coverage("AUROC, paired difference", "**DeLong**")) > 0.9
    assert min(found.coverage("calibration intercept", "**not within classes**")) > 0.91
    assert min(found.coverage("AUROC, mean of 5 trainings", "**`both`**")) > 0.89


def test_a_look_at_the_simulation_counts_every_test_set() -> None:
    tally = interval_coverage.Tally()
    interval_coverage.ranking(tally, 10, 20, 2)
    interval_coverage.seeds_and_subjects(tally, 10, 20, 2)
    assert {row[0] for row in tally.found.values()} == {2.0}
    assert len(list(tally.rows())) == 14
    assert interval_coverage.middle_for(0.5) == pytest.approx(0.0, abs=1e-6)
