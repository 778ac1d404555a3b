"""Pictures of explanations, and the page that holds them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from typer.testing import CliRunner

from cardiobind.cli import app
from cardiobind.evaluation.figures.ecg import SHADES, ecg_paper
from cardiobind.explain import Explanation, FactShare, cine_attribution, ecg_attribution, explain, fact_shares
from cardiobind.explain.drawings import modality_shares, said
from cardiobind.explain.page import subject_page, write_explanation
from cardiobind.inference import NOTICE, Predictor
from cardiobind.modalities.records import LEADS, EcgRecord
from explain_fakes import FACTS, beats_of, small_predictor, small_subject


def explanation_of(ecg: np.ndarray) -> Explanation:  # type: ignore[type-arg]
    return Explanation({"ecg": 1.0}, ecg, 100.0, LEADS, None, (), None, {"name": "integrated_gradients"})


def test_the_trace_is_highlighted_where_and_as_the_score_is_raised_or_lowered() -> None:
    attribution = np.zeros((12, 400))
    attribution[LEADS.index("V2"), 250:260], attribution[LEADS.index("I"), 20:30] = 1.0, -1.0
    figure = ecg_attribution(explanation_of(attribution), beats_of(np.random.default_rng(0)), 100.0)
    lines = [c for c in figure.axes[0].collections if isinstance(c, LineCollection)]
    marked = [one for one in lines if one.get_linewidths()[0] > 5 and len(one.get_segments())]
    colours = {tuple(np.round(colour[:3], 3)) for one in marked for colour in one.get_colors()}
    assert colours == {tuple(np.round(to_rgba(colour)[:3], 3)) for colour in SHADES}
    middle_mm = [np.mean([s[:, 0].mean() for s in one.get_segments()]) for one in marked]
    assert sorted(middle_mm) == pytest.approx([25 * 0.25, 25 * 2.55], abs=1.0)


def test_without_attributions_the_paper_is_as_it_was() -> None:
    signal = beats_of(np.random.default_rng(0))
    plain, flat = ecg_paper(signal, 100.0), ecg_paper(signal, 100.0, shade=np.zeros_like(signal))
    assert len(plain.axes[0].lines) == len(flat.axes[0].lines)
    assert all(not len(c.get_segments()) for c in flat.axes[0].collections[3:])


def test_bars_say_the_fact_its_value_and_its_unit_the_heaviest_first() -> None:
    facts = [
        FactShare("sbp_mmhg", "Systolic blood pressure", "mmHg", 141.0, 0.1),
        FactShare("sex", "Sex", "", "male", -0.4),
        FactShare("diabetes", "Diabetes", "", True, 0.2),
        FactShare("bmi_kg_m2", "BMI", "kg/m²", None, 0.0),
    ]
    (axes,) = fact_shares(facts, most=2).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Sex male", "Diabetes yes", "1 others"]
    assert [bar.get_width() for bar in axes.patches] == [-0.4, 0.2, 0.1]
    assert said(facts[0]) == "Systolic blood pressure 141 mmHg"
    assert said(facts[3]) == "BMI not known kg/m²"


def test_a_page_holds_what_was_given_and_needs_no_network() -> None:
    predictor = small_predictor()
    subject = small_subject(predictor)
    found = explain(predictor, subject, steps=4)
    record = EcgRecord(beats_of(np.random.default_rng(3)).astype(np.float32), 100.0)
    text = subject_page(predictor.score(subject), found, subject, record)
    assert all(f'id="{section}"' in text for section in ("score", "modalities", "ecg", "cmr", "facts", "method"))
    assert NOTICE in text
    assert not re.search(r'(src|href)="(?!data:|#)', text)
    assert len(cine_attribution(found, subject.signals["cmr"][0].numpy()).axes) == 6
    assert [bar.get_width() for bar in modality_shares(found).axes[0].patches] == list(found.modalities.values())


def test_the_verb_writes_a_page_or_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(path: Path) -> Predictor:
        return small_predictor()

    monkeypatch.setattr("cardiobind.inference.load", load)
    pd.DataFrame([{**FACTS, "diabetes": 1}]).to_csv(tmp_path / "facts.csv", index=False)
    words = ["explain", "--bundle", "b", "--table", str(tmp_path / "facts.csv")]
    for name in ("page.html", "numbers.json"):
        done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / name)])
        assert done.exit_code == 0, done.output
    numbers = json.loads((tmp_path / "numbers.json").read_text())
    assert list(numbers["explanation"]["modalities"]) == ["tabular"]
    assert "Systolic blood pressure 141 mmHg" in (tmp_path / "page.html").read_text()
    assert 'id="ecg"' not in (tmp_path / "page.html").read_text()


def test_where_the_bundle_abstains_the_reason_alone_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = small_predictor()
    monkeypatch.setattr("cardiobind.inference.predictor.doubt", lambda _: "impossible facts")
    write_explanation(predictor, tmp_path / "page.html", table=FACTS, steps=2)
    write_explanation(predictor, tmp_path / "numbers.json", table=FACTS, steps=2)
    page, numbers = (tmp_path / "page.html").read_text(), json.loads((tmp_path / "numbers.json").read_text())
    assert "impossible facts" in page
    assert not [section for section in ("modalities", "facts", "method") if f'id="{section}"' in page]
    assert numbers["prediction"]["abstained"] == "impossible facts"
    assert numbers["explanation"] is None
    predictor.on_doubt = "tell"
    write_explanation(predictor, tmp_path / "told.html", table=FACTS, steps=2)
    assert 'id="facts"' in (tmp_path / "told.html").read_text()
