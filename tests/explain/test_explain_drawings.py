"""Pictures of explanations, and the page that holds them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.lines import Line2D
from typer.testing import CliRunner

from cardiobind.cli import app
from cardiobind.errors import DataContractError
from cardiobind.evaluation.figures.ecg import SHADES, ecg_paper
from cardiobind.explain import Explanation, FactShare, cine_attribution, ecg_attribution, explain, fact_shares
from cardiobind.explain.drawings import modality_shares, said
from cardiobind.explain.page import answer_tables, subject_page, write_explanation
from cardiobind.explain.pictures import risk_picture
from cardiobind.explain.planes import SCALE_BAR_MM
from cardiobind.explain.risk import risk_in_cohort
from cardiobind.inference import NOTICE, Prediction, Predictor
from cardiobind.inference.trust.cohort import Histogram
from cardiobind.modalities.cmr.layouts import FRAME_NAMES, CmrPreparation
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
    assert said(facts[3]) == "BMI not known"


def test_a_page_holds_what_was_given_and_needs_no_network() -> None:
    predictor = small_predictor()
    subject = small_subject(predictor)
    found = explain(predictor, subject, steps=4)
    record = EcgRecord(beats_of(np.random.default_rng(3)).astype(np.float32), 100.0)
    text = subject_page(predictor.score(subject), found, subject, record)
    assert all(f'id="{section}"' in text for section in ("score", "modalities", "ecg", "cmr", "facts", "method"))
    assert NOTICE in text
    assert not re.search(r'(src|href)="(?!data:|#)', text)
    assert "drawn inside" in text
    assert "not known</th>" not in text
    assert "The risk of this subject among" not in text  # the bundle knows no cohort
    assert [bar.get_width() for bar in modality_shares(found).axes[0].patches] == list(found.modalities.values())


def test_the_answer_of_the_page_is_in_words_and_in_the_unit_of_the_risk() -> None:
    predictor = small_predictor()
    scored = predictor.score(small_subject(predictor))
    told = replace(
        scored, risk=0.1, interval=(0.0195, 0.325), interval_of="95 %", quality={"cmr": ("few_slices",)},
        missing=("stiffness_index_m_s", "of_a_plug_in"),
    )  # fmt: skip
    rows = dict(answer_tables(told)["The answer"])
    assert rows["interval"] == "1.95 to 32.5 %: 95 %"
    assert rows["quality"] == "cine MRI: few slices"
    assert rows["facts not given"] == "Stiffness index, of a plug in"
    number = replace(told, risk=None, value=54.0, unit="mL", interval=(48.0, 60.5))
    assert dict(answer_tables(number)["The answer"])["interval"] == "48 to 60.5 mL: 95 %"


def cine_explained(values: np.ndarray, names: tuple[str, ...], pixel_mm: float) -> Explanation:  # type: ignore[type-arg]
    method = {"name": "integrated_gradients", "unit": "logit"}
    return Explanation({"cmr": 1.0}, None, None, (), values, names, None, method, pixel_mm)


def test_a_cine_is_drawn_in_the_order_of_the_beat_with_a_true_scale_and_its_unit() -> None:
    values = np.zeros((3, 64, 64))
    values[0, 20, 40] = 1.0  # end systole
    figure = cine_attribution(cine_explained(values, FRAME_NAMES, 2.0), np.random.default_rng(0).random((3, 64, 64)))
    named = [axes.get_label() for axes in figure.axes if axes.get_images()]
    assert named[:3] == list(FRAME_NAMES[::-1])
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert [t for t in titles if t] == ["mid slice: end diastole", "mid-beat", "end systole", "all moments together"]
    assert "(logit per cm²)" in figure.axes[-1].get_ylabel()
    (bar,) = [line for axes in figure.axes for line in axes.lines]
    assert np.ptp(bar.get_xdata()) * 2.0 == pytest.approx(SCALE_BAR_MM)
    coloured = {axes.get_label(): axes.get_images()[-1].get_array() for axes in figure.axes if axes.get_images()}
    opaque = {name: np.asarray(over)[..., 3] for name, over in coloured.items() if np.ndim(over) == 3}
    assert not opaque["end_diastole"].any()
    strong = np.argwhere(opaque["end_systole"] == opaque["end_systole"].max())
    np.testing.assert_allclose(strong.mean(axis=0), (20, 40))
    np.testing.assert_array_equal(opaque["end_systole"], opaque["mid.all moments together"])


def test_colour_of_a_cine_is_logits_per_square_centimetre() -> None:
    """Of an evenly coloured plane the scale ends at the total over the area, whatever the pixels are."""
    for side, pixel_mm in ((32, 4.0), (64, 2.0)):
        even = np.full((3, side, side), 6.0 / 3 / side**2)
        figure = cine_attribution(
            cine_explained(even, FRAME_NAMES, pixel_mm), np.random.default_rng(0).random(even.shape)
        )
        assert figure.axes[-1].get_ylim()[1] == pytest.approx(6.0 / 12.8**2)


def test_each_place_of_a_cine_has_its_line_and_a_sum_of_its_own_moments() -> None:
    names = CmrPreparation(layout="slices", long_axis=("lax_4ch",)).planes.names
    values = np.zeros((12, 16, 16))
    values[3, 8, 8], values[4, 8, 8] = 1.0, -1.0  # mid slice: they cancel
    values[11, 4, 4] = 1.0
    figure = cine_attribution(cine_explained(values, names, 8.0), np.ones((12, 16, 16)) + values)
    over = {axes.get_label(): np.asarray(axes.get_images()[-1].get_array())[..., 3] for axes in figure.axes
            if "together" in axes.get_label()}  # fmt: skip
    assert {name.partition(".")[0]: bool((one > 1e-9).any()) for name, one in over.items()} == {
        "basal": False, "mid": False, "apical": False, "lax_4ch": True,
    }  # fmt: skip


def test_a_risk_stands_among_those_of_its_cohort() -> None:
    cohort = Histogram((0.0, 0.02, 0.1, 1.0), (30, 30, 20))
    one = Prediction(
        "mi",
        "infarction",
        "ecg",
        0.3,
        0.12,
        0.06,
        True,
        None,
        {},
        (),
        (),
        "b",
        interval=(0.07, 0.2),
        interval_of="90 %",
    )
    (axes,) = risk_in_cohort(one, cohort).axes
    assert [line.get_xdata()[0] for line in axes.lines] == pytest.approx([12.0, 7.0, 6.0])
    areas = [bar.get_width() * bar.get_height() for bar in axes.patches]
    np.testing.assert_allclose(areas, cohort.counts)
    assert axes.get_xlim()[1] == pytest.approx(21.0)
    assert risk_picture(one.withheld("doubt"), cohort) == risk_picture(one, None) == []
    assert [picture.name for picture in risk_picture(one, cohort)] == ["risk"]


@pytest.mark.parametrize("early_mv", [0.4, 2.5, 5.0])
def test_a_leads_name_lies_on_no_trace(early_mv: float) -> None:
    signal = np.zeros((12, 1000))
    signal[:, 10:20] = early_mv
    signal[:, 260:270], signal[:, 510:520], signal[:, 760:770] = early_mv, early_mv, -early_mv
    figure = ecg_paper(signal, 100.0)
    (axes,), renderer = figure.axes, figure.canvas.get_renderer()
    names = [text for text in axes.texts if text.get_text() in LEADS]
    assert len(names) == 13
    points = np.concatenate([_along(line) for line in axes.lines])
    for name in names:
        (left, low), (right, high) = axes.transData.inverted().transform(name.get_window_extent(renderer))
        inside = (points[:, 0] > left) & (points[:, 0] < right) & (points[:, 1] > low) & (points[:, 1] < high)
        assert not inside.any(), name.get_text()


def _along(line: Line2D) -> np.ndarray:  # type: ignore[type-arg]
    x, y = line.get_data()
    fine = np.linspace(0, len(x) - 1, 20 * len(x))
    return np.stack([np.interp(fine, np.arange(len(x)), values) for values in (x, y)], axis=1)


def test_the_verb_writes_a_page_or_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(path: Path) -> Predictor:
        return small_predictor()

    monkeypatch.setattr("cardiobind.inference.load", load)
    monkeypatch.setattr("cardiobind.cli.use.check_artifact", lambda *_: None)
    pd.DataFrame([{**FACTS, "diabetes": 1}]).to_csv(tmp_path / "facts.csv", index=False)
    words = ["explain", "--bundle", "b", "--table", str(tmp_path / "facts.csv")]
    for name in ("page.html", "numbers.json"):
        done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / name)])
        assert done.exit_code == 0, done.output
        assert "already" in str(CliRunner().invoke(app, [*words, "--out", str(tmp_path / name)]).exception)
    numbers = json.loads((tmp_path / "numbers.json").read_text())
    assert list(numbers["explanation"]["modalities"]) == ["tabular"]
    assert "Systolic blood pressure 141 mmHg" in (tmp_path / "page.html").read_text()
    assert 'id="ecg"' not in (tmp_path / "page.html").read_text()


def test_columns_that_are_no_fact_can_be_ignored(tmp_path: Path) -> None:
    given = {**FACTS, "ward": 7}
    with pytest.raises(DataContractError, match="--ignore-unknown"):
        write_explanation(small_predictor(), tmp_path / "page.html", table=given)
    written = write_explanation(small_predictor(), tmp_path / "page.html", table=given, ignore_unknown=True, steps=2)
    assert "ward" not in written.read_text()


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
