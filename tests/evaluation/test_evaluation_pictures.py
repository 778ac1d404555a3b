"""Pictures of results: bands against a slow reference, forests, curves over labels, retrieval."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve, roc_curve

from cardiobind.errors import InputError
from cardiobind.evaluation import evaluate
from cardiobind.evaluation.cells import read_cells
from cardiobind.evaluation.figures import (
    Curve,
    Difference,
    Recall,
    decision_curve,
    differences,
    label_efficiency,
    retrieval_chart,
    roc,
    subgroup_forest,
)
from cardiobind.evaluation.figures.bands import GRID, precision_band, precision_curve, roc_band, sensitivity_curve
from cardiobind.evaluation.figures.curves import calibration_bins
from cardiobind.evaluation.figures.style import OTHERS, looks
from evaluation_fakes import make_predictions


def texts(figure: Figure) -> str:
    return " ".join(t.get_text() for t in figure.findobj(matplotlib.text.Text))


def scored(n: int = 60, levels: int = 12) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    labels = (np.arange(n) % 4 == 0).astype(float)
    return labels, np.round(generator.random(n) * 0.6 + 0.3 * labels, 2 if levels > 50 else 1)


def test_a_resampled_curve_is_the_curve_of_the_repeated_rows() -> None:
    labels, scores = scored()
    counts = np.random.default_rng(1).integers(0, 4, len(labels)).astype(float)
    repeated, again = np.repeat(labels, counts.astype(int)), np.repeat(scores, counts.astype(int))
    false, true, _ = roc_curve(repeated, again, drop_intermediate=False)
    np.testing.assert_allclose(
        sensitivity_curve(labels, scores, counts[None])[0], np.interp(GRID, false, true), atol=1e-12
    )
    precision, recall, _ = precision_recall_curve(repeated, again)
    expected = [precision[np.flatnonzero(recall >= g - 1e-12).max()] for g in GRID[1:]]
    np.testing.assert_allclose(precision_curve(labels, scores, counts[None])[0, 1:], expected, atol=1e-12)


@pytest.mark.parametrize("band", [roc_band, precision_band])
def test_a_band_holds_its_curve_and_is_the_same_each_time(band: object) -> None:
    labels, scores = scored(200, 100)
    low, high = band(labels, scores[None], np.arange(200), resamples=60)  # type: ignore[operator]
    again = band(labels, scores[None], np.arange(200), resamples=60)  # type: ignore[operator]
    np.testing.assert_array_equal(low, again[0])
    curve = {roc_band: sensitivity_curve, precision_band: precision_curve}[band](labels, scores, np.ones((1, 200)))[0]  # type: ignore[index]
    inside = (low - 1e-12 <= curve) & (curve <= high + 1e-12)
    assert inside[5:-5].mean() > 0.95


def test_rows_of_one_subject_are_drawn_together() -> None:
    labels, scores = scored(100, 100)
    wide = roc_band(np.tile(labels, 4), np.tile(scores, 4)[None], np.tile(np.arange(100), 4), resamples=60)
    single = roc_band(labels, scores[None], np.arange(100), resamples=60)
    np.testing.assert_allclose(wide, single, atol=1e-12)


def test_a_perfect_score_has_no_width() -> None:
    labels = np.repeat([0.0, 1.0], 20)
    low, high = roc_band(labels, labels[None], np.arange(40), resamples=80)
    np.testing.assert_array_equal(low, 1.0)
    np.testing.assert_array_equal(high, 1.0)


def test_defect_a_band_of_precision_knows_that_the_number_of_positives_is_an_estimate() -> None:
    labels = (np.arange(200) < 20).astype(float)
    low, high = precision_band(labels, np.zeros((1, 200)), np.arange(200), resamples=400)
    expected = 2 * 2.1 * np.sqrt(0.1 * 0.9 / 200)
    np.testing.assert_allclose(high - low, expected, rtol=0.25)


def test_defect_few_subjects_have_no_band_and_resamples_without_a_positive_do_not_count() -> None:
    labels, subjects = (np.arange(60) < 4).astype(float), np.arange(60)
    for band in (roc_band, precision_band):
        assert band(labels, np.arange(60.0)[None], subjects, resamples=200) is None
        assert band((np.arange(60) < 1).astype(float), np.arange(60.0)[None], subjects) is None
    labels = (np.arange(60) < 6).astype(float)
    low, high = precision_band(labels, -np.arange(60.0)[None], subjects, resamples=3000)
    np.testing.assert_array_equal((low[1:], high[1:]), 1.0)
    assert (
        len(roc([Curve("a", (np.arange(60) < 4).astype(float), np.arange(60.0)[None], band=True)]).axes[0].collections)
        == 0
    )


def test_only_the_curves_that_ask_for_it_have_a_band() -> None:
    labels, scores = scored()
    figure = roc([Curve("a", labels, scores[None], band=True), Curve("b", labels, 1 - scores[None])])
    assert len(figure.axes[0].collections) == 1


def test_bins_count_every_subject_and_event_once() -> None:
    cell = read_cells(make_predictions())[0]
    bins = calibration_bins(Curve("a", cell.labels, cell.values["score"]))
    assert bins.subjects.sum() == pytest.approx(len(cell.labels))
    assert bins.events.sum() == pytest.approx(cell.labels.sum())
    assert np.all((bins.low <= bins.observed) & (bins.observed <= bins.high))


def test_net_benefit_has_a_band_where_it_is_known() -> None:
    labels, scores = scored()
    bands = {"a": [(0.1, 0.0, 0.1), (0.2, -0.1, 0.1)]}
    assert len(decision_curve([Curve("a", labels, scores[None])], bands=bands).axes[0].collections) == 1


def test_differences_are_filled_where_the_interval_leaves_out_zero() -> None:
    rows = [
        Difference("ecg", "10 %", "AUROC", 0.05, 0.01, 0.09, "p 0.01"),
        Difference("ecg", "100 %", "AUROC", 0.01, -0.02, 0.04),
        Difference("cmr", "10 %", "AUROC", 0.02, None, None),
    ]
    figure = differences(rows, left="scratch", right="aligned")
    filled = [line.get_markerfacecolor() for line in figure.axes[0].lines if line.get_marker() == "s"]
    assert [colour != "white" for colour in filled] == [True, False, False]
    words = texts(figure)
    assert "p 0.01" in words
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["ecg", "10 %", "100 %", "cmr", "10 %"]
    with pytest.raises(InputError, match="no difference"):
        differences([], left="a", right="b")


def test_curves_over_labels_say_how_many_and_grey_what_is_not_shown() -> None:
    metrics = evaluate(
        make_predictions(arms={f"arm {i}": 0.5 + 0.1 * i for i in range(8)}, fractions=(0.1, 1.0), seeds=1), resamples=5
    )
    figure = label_efficiency(metrics, labels={0.1: "12", 1.0: "120"}, shown=["arm 7", "arm 0"])
    words = texts(figure)
    assert "10 %\n12" in words
    assert "other models" in words
    assert sum(line.get_color() == OTHERS for line in figure.axes[0].lines) == 6


def test_models_look_alike_everywhere_and_none_is_dropped() -> None:
    many = looks([f"m{i}" for i in range(9)])
    assert len({look.colour for look in list(many.values())[:6]}) == 6
    assert len({look.marker for look in list(many.values())[:6]}) == 6
    assert [look.colour for look in many.values()][6:] == [OTHERS] * 3


def test_retrieval_stands_beside_chance() -> None:
    found = [Recall("ecg → cmr", k, 0.1 * k, k / 400) for k in (1, 5)] + [Recall("cmr → ecg", 1, 0.1)]
    words = texts(retrieval_chart(found))
    for text in ("ecg → cmr", "cmr → ecg", "guessing", "among the 5 nearest"):
        assert text in words
    with pytest.raises(InputError, match="no recall"):
        retrieval_chart([])


def test_groups_stand_beside_everybody_and_too_few_is_said() -> None:
    known = {"auroc": {"value": 0.8, "low": 0.7, "high": 0.9}}
    groups = [
        {"group": "group_sex", "level": "female", "n": 50, "positives": 12, "metrics": known},
        {"group": "group_sex", "level": "male", "n": 7, "positives": 1, "metrics": {}},
    ]
    words = texts(subgroup_forest({"metrics": known, "subgroups": groups}, metric="auroc"))
    for text in ("sex: female  (12/50)", "sex: male  (1/7)", "too few", "0.800 (0.700–0.900)", "all test subjects"):
        assert text in words
    with pytest.raises(InputError, match="in no group"):
        subgroup_forest({"metrics": known, "subgroups": groups[1:]}, metric="auroc")
