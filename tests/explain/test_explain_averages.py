"""Means over subjects show nobody, and add up."""

from __future__ import annotations

import numpy as np
import pytest

from cardiobind.evaluation.report.content import Report
from cardiobind.evaluation.report.explained import explained
from cardiobind.explain import Explanation, FactShare
from cardiobind.explain.averages import FEWEST, WAVE_NAMES, average
from cardiobind.modalities.records import LEADS
from explain_fakes import beats_of


def subject(index: int, *, cmr: bool) -> Explanation:
    ecg = np.zeros((12, 400))
    ecg[LEADS.index("V2"), 50], ecg[LEADS.index("I"), 130] = 3.0, -1.0  # both at an R peak
    facts = (
        FactShare("age_years", "Age", "years", 60.0, 1.0 if index % 2 else -1.0),
        FactShare("sbp_mmhg", "Systolic blood pressure", "mmHg", 120.0 if index < 5 else None, 9.0),
    )
    modalities = {"ecg": 2.0, "tabular": -1.0} | ({"cmr": 5.0} if cmr else {})
    return Explanation(modalities, ecg, 100.0, LEADS, None, (), facts, {})


def test_what_few_have_is_left_out_and_shares_add_up() -> None:
    found = [subject(i, cmr=i < FEWEST - 1) for i in range(FEWEST)]
    means = average(found, [beats_of(np.random.default_rng(0))] * FEWEST)
    assert means.modalities == {"ecg": (2.0, 2.0, FEWEST), "tabular": (-1.0, 1.0, FEWEST)}
    assert [(f.title, f.mean, f.size, f.subjects) for f in means.facts] == [("Age", 0.0, 1.0, FEWEST)]
    assert means.leads is not None
    assert means.leads.sum() == pytest.approx(1.0)
    assert means.leads[LEADS.index("V2"), WAVE_NAMES.index("QRS")] == pytest.approx(0.75)
    assert average(found[:-1], [beats_of(np.random.default_rng(0))] * (FEWEST - 1)).leads is None


def test_the_report_shows_them_where_there_are_any() -> None:
    assert explained(Report("t", {"cells": []})) == ""
    shown = explained(Report("t", {"cells": []}, explained={"Facts": [("fact", "size"), ("Age", "0.1")]}))
    assert "Age" in shown
    assert "at least 20 test subjects" in shown
