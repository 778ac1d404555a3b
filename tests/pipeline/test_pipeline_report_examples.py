"""A few subjects in the report: simulated ones alone unless asked for, as prediction sees them, without a name."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from cardiobind.cohort import Cohort, Protocol
from cardiobind.config import Experiment
from cardiobind.errors import ConfigError
from cardiobind.evaluation.report import Example, Picture, Report
from cardiobind.evaluation.report.explained import explained
from cardiobind.inference import Prediction, load, prepare_subject
from cardiobind.pipeline import examples as module
from cardiobind.pipeline.examples import Shelf, examples, wanted_examples
from walking import EID, Walk

Make = Callable[..., Experiment]


@pytest.fixture(scope="module")
def shelf(walked: Walk) -> Shelf:
    cohort = Cohort(walked.artifacts("cohort")[0])
    return Shelf(load(walked.bundle), cohort, Protocol.open(walked.artifacts("protocol")[0].path, cohort))


def test_real_people_are_shown_only_where_the_experiment_says_so(make: Make) -> None:
    real = ("source={kind='ukb',options={}}", "data_root=.")
    assert wanted_examples(make()) == 3
    assert wanted_examples(make(*real)) == 0
    assert wanted_examples(make(*real), simulated=True) == 3
    assert wanted_examples(make(*real, "evaluation.examples=2")) == 2
    assert wanted_examples(make("evaluation.examples=0"), simulated=True) == 0
    with pytest.raises(ConfigError):
        make("evaluation.examples=-1")


def test_a_sample_of_the_cohort_is_what_prediction_makes_of_its_raw_files(walked: Walk, shelf: Shelf) -> None:
    rows = shelf.cohort.rows_with(np.arange(len(shelf.cohort)), ["cmr", "ecg", "tabular"], every=True)[:2]
    for row in rows:
        name = str(shelf.cohort.samples["subject"].iloc[row])
        raw = prepare_subject(
            shelf.predictor.contract, subject=name, table=walked.raw / "table.csv",
            ecg=walked.raw / "bulk" / f"{name}_20205_2_0.xml", cmr=walked.raw / "bulk" / f"{name}_20209_2_0.zip",
        )  # fmt: skip
        stored = shelf.subject(int(row))
        for modality, signal in raw.signals.items():
            np.testing.assert_array_equal(stored.signals[modality].numpy(), signal.numpy())
            np.testing.assert_allclose(stored.signs[modality], raw.signs[modality])
            assert set(stored.quality[modality]) == set(raw.quality.get(modality, ()))
        assert set(stored.missing) == set(raw.missing)
        answers = [shelf.predictor.score(one).to_json() for one in (raw, stored)]
        for answer in answers:
            for order in ("quality", "missing", "ignored"):
                del answer[order]
        assert answers[0] == answers[1]
        assert stored.ecg is not None
        assert np.nanmax(np.abs(stored.ecg.amplitude_mv)) < 10


def test_the_report_of_a_simulated_run_shows_two_of_high_score_and_one_of_low_and_nobody(walked: Walk) -> None:
    text = walked.result.report.read_text()
    assert re.findall(r"Example \d: a (\w+) score, near the (\d+)th percentile", text) == [
        ("high", "95"), ("high", "85"), ("low", "10"),
    ]  # fmt: skip
    assert "They are simulated; nobody is shown." in text
    assert not EID.search(text.encode())
    for alt in ("The ECG with its attributions", "The planes with their attributions", "The facts that weigh most"):
        assert text.count(f'alt="{alt}"') >= 1
    assert not re.search(r'(src|href)="(?!data:|#)', text)


def test_subjects_stand_by_their_score_and_those_on_whom_the_model_abstains_are_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = Prediction("mi", "infarction", "ecg", 0.0, 0.1, None, None, None, {}, (), (), "b")
    doubtful = {195, 185}
    fake: Any = SimpleNamespace(
        subject=lambda row: row,
        predictor=SimpleNamespace(score=lambda row: said.withheld("doubt") if row in doubtful else said),
    )
    monkeypatch.setattr(module, "_example", lambda _, row, title, *rest: (row, title))
    rows, scores = np.arange(100, 201), [float(x) for x in range(101)]
    assert [row for row, _ in examples(fake, rows, scores, 3)] == [194, 184, 110]
    assert [row for row, _ in examples(fake, rows, scores, 1)] == [194]
    assert examples(fake, rows, scores, 0) == []
    assert len({row for row, _ in examples(fake, rows[:3], scores[:3], 6)}) == 3


def test_pictures_of_participants_are_called_participant_data() -> None:
    example = Example("Example 1", "", {"The answer": [("", "value"), ("answer", "risk 8 %")]},
                      [Picture("risk", "Among", Figure(), "a risk", "caption")])  # fmt: skip
    report = Report("t", {"cells": []}, examples=[example])
    shown = explained(report)
    assert "this report is participant data" in shown
    assert "risk 8 %" in shown
    assert 'alt="a risk"' in shown
    assert "participant data" not in explained(replace(report, simulated=True))
