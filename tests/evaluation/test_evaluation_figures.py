"""The pictures: true scale, right content, the same bytes each time."""

from __future__ import annotations

import base64
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cardiobind.errors import InputError
from cardiobind.evaluation import evaluate
from cardiobind.evaluation.cells import read_cells
from cardiobind.evaluation.figures import (
    Curve,
    FlowStep,
    cine_montage,
    cohort_flow,
    decision_curve,
    ecg_paper,
    embedding_map,
    forest,
    label_efficiency,
    png_base64,
    precision_recall,
    reconstruction,
    reliability,
    roc,
    svg,
    training_curves,
)
from cardiobind.modalities.records import LEADS
from evaluation_fakes import make_predictions

Floats = NDArray[np.float64]


def ecg(seconds: float = 10.0, rate_hz: float = 100.0) -> Floats:
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    return np.stack([(i + 1) / 12 * np.sin(2 * np.pi * t) for i in range(12)])


def curves() -> list[Curve]:
    return [Curve(c.arm, c.labels, c.values["score"]) for c in read_cells(make_predictions())]


def texts(figure: Figure) -> str:
    return " ".join(t.get_text() for t in figure.findobj(matplotlib.text.Text))


def test_a_second_is_25_mm_and_a_millivolt_10_mm_on_paper() -> None:
    figure = ecg_paper(ecg(), 100.0)
    axes = figure.axes[0]
    figure.canvas.draw()
    dots_per_mm = figure.dpi / 25.4
    origin, corner = axes.transData.transform([(0, 0), (25, 10)])
    np.testing.assert_allclose(corner - origin, np.array([25, 10]) * dots_per_mm, rtol=1e-6)
    rhythm = max(axes.lines, key=lambda line: len(line.get_xdata()))
    x, y = np.asarray(rhythm.get_xdata()), np.asarray(rhythm.get_ydata())
    assert x[100] - x[0] == pytest.approx(25.0)
    assert np.ptp(y) == pytest.approx(10 * np.ptp(ecg()[1]), rel=1e-6)


def test_the_grid_is_1_mm_and_5_mm() -> None:
    steps = []
    for lines in ecg_paper(ecg(), 100.0).axes[0].collections:
        if isinstance(lines, LineCollection):
            xs = sorted({path.vertices[0][0] for path in lines.get_paths() if np.ptp(path.vertices[:, 0]) == 0})
            steps.append({round(float(d), 6) for d in np.diff(xs)})
    assert steps == [{1.0}, {5.0}]


def test_the_calibration_pulse_is_1_mv_for_200_ms() -> None:
    pulse = next(line for line in ecg_paper(ecg(), 100.0).axes[0].lines if len(line.get_xdata()) == 6)
    x, y = np.asarray(pulse.get_xdata()), np.asarray(pulse.get_ydata())
    assert np.ptp(y) == pytest.approx(10.0)
    assert x[3] - x[2] == pytest.approx(5.0)


@pytest.mark.parametrize("layout", ["3x4", "6x2"])
def test_every_lead_is_named_and_the_scales_are_printed(layout: str) -> None:
    signal = ecg()
    signal[8] = np.nan
    words = texts(ecg_paper(signal, 100.0, layout=layout, note="0.05–150 Hz"))  # type: ignore[arg-type]
    for lead in LEADS:
        assert lead in words
    for text in ("25 mm/s", "10 mm/mV", "100 Hz", "0.05–150 Hz", "V3 (absent)"):
        assert text in words


def test_each_lead_shows_its_own_signal() -> None:
    axes = ecg_paper(ecg(), 100.0, rhythm=None).axes[0]
    heights = sorted(np.ptp(np.asarray(line.get_ydata())) for line in axes.lines if len(line.get_xdata()) == 250)
    np.testing.assert_allclose(heights, [10 * np.ptp(lead[:250]) for lead in ecg()], rtol=1e-3)


def test_pictures_refuse_what_they_cannot_draw() -> None:
    with pytest.raises(InputError, match="12-lead"):
        ecg_paper(np.zeros((3, 10)), 100.0)
    with pytest.raises(InputError, match="12-lead"):
        ecg_paper(ecg(), 100.0, overlay=np.zeros((12, 3)))
    with pytest.raises(InputError, match="rate"):
        ecg_paper(ecg(), 0.0)
    with pytest.raises(InputError, match="layout"):
        ecg_paper(ecg(), 100.0, layout="4x3")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="both classes"):
        roc([Curve("a", np.zeros(4), np.zeros((1, 4)))])
    with pytest.raises(InputError, match="no curve"):
        reliability([])
    with pytest.raises(InputError, match="grid of frames"):
        cine_montage(np.zeros((4, 4)))
    with pytest.raises(InputError, match="nothing to map"):
        embedding_map({})
    with pytest.raises(InputError, match="not finite"):
        embedding_map({"ecg": np.full((3, 2), np.nan)})
    with pytest.raises(InputError, match="labels"):
        embedding_map({"ecg": np.zeros((4, 2))}, {"ecg": np.zeros(3)})
    with pytest.raises(InputError, match="numeric columns"):
        training_curves(pd.DataFrame({"step": [1, 2]}))
    with pytest.raises(InputError, match="no step"):
        cohort_flow([])
    with pytest.raises(InputError, match="leads nowhere"):
        cohort_flow([FlowStep("kept", 3, (("bad", 1),))])


def test_hidden_patches_are_shaded() -> None:
    masked = np.zeros((12, 10), bool)
    masked[LEADS.index("V6"), [2, 5]] = True
    figure = reconstruction(ecg(2), ecg(2), 100.0, masked=masked)
    shaded = {axes.get_title(loc="left"): len(axes.patches) for axes in figure.axes}
    assert shaded["V6"] == 2
    assert sum(shaded.values()) == 2
    assert len(reconstruction(ecg(2), ecg(2), 100.0, masked=masked[0]).axes) == 12


def test_precision_recall_shows_the_prevalence() -> None:
    assert "prevalence 20.0 %" in texts(precision_recall(curves()))


def test_roc_ends_in_the_corners_and_has_the_area_of_the_metric() -> None:
    curve = curves()[0]
    line = next(line for line in roc([curve]).axes[0].lines if line.get_label() == curve.name)
    x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    cell = evaluate(make_predictions(), resamples=5)["cells"][0]
    assert np.trapezoid(y, x) == pytest.approx(cell["metrics"]["auroc"]["value"], abs=0.01)


def test_reliability_agrees_with_the_table() -> None:
    metrics = evaluate(make_predictions(), resamples=5)["cells"][0]["metrics"]
    assert f"ECE {metrics['ece']['value']:.2f}, slope {metrics['calibration_slope']['value']:.2f}" in texts(
        reliability(curves())
    )


def test_net_benefit_at_no_threshold_is_the_prevalence() -> None:
    lines = {line.get_label(): np.asarray(line.get_ydata()) for line in decision_curve(curves()).axes[0].lines}
    assert lines["aligned"][0] == pytest.approx(0.2, abs=0.002)
    assert lines["act on all"][0] == pytest.approx(0.2, abs=0.002)


def test_forest_and_label_efficiency_draw_every_model() -> None:
    oracle = [{"task": "mi", "inputs": "ecg", "metrics": {"auroc": {"value": 0.95}}}]
    metrics = evaluate(make_predictions(fractions=(0.1, 1.0)), resamples=20, oracle=oracle)
    words = texts(forest(metrics))
    assert "aligned" in words
    assert "10 % of the labels" in words
    assert "best possible" in words
    drawn = texts(label_efficiency(metrics, baselines=["scratch"]))
    assert "10 %" in drawn
    assert "scratch" in drawn


def test_tasks_are_not_mixed_in_one_line() -> None:
    one = make_predictions(fractions=(0.1, 1.0), seeds=1, test=40)
    metrics = evaluate(pd.concat([one, one.assign(task="af")]), resamples=5)
    panels = label_efficiency(metrics).axes
    assert [axes.get_title(loc="left") for axes in panels] == ["mi, ecg", "af, ecg"]
    assert "af, ecg" in texts(forest(metrics))


def test_an_undefined_slope_is_a_dash() -> None:
    labels = np.array([0.0, 0.0, 1.0, 1.0])
    assert "slope –" in texts(reliability([Curve("a", labels, np.full((1, 4), 0.5))]))


def test_training_curves_pair_training_and_validation() -> None:
    history = pd.DataFrame(
        {"round": [1, 2], "step": [10, 20], "gradient_norm": [1.0, 2.0], "train_loss": [3.0, 2.0],
         "validation_loss": [3.5, np.nan], "validation/ncc": [0.1, 0.2], "note": ["a", "b"]}
    )  # fmt: skip
    titles = [axes.get_title(loc="left") for axes in training_curves(history).axes if axes.get_visible()]
    assert titles == ["loss", "ncc", "gradient_norm"]


def test_embedding_map_is_a_rotation_that_keeps_distances() -> None:
    values = np.random.default_rng(0).normal(size=(30, 2))
    points = np.asarray(embedding_map({"ecg": values}).axes[0].collections[0].get_offsets())
    np.testing.assert_allclose(
        np.linalg.norm(points[0] - points, axis=1), np.linalg.norm(values[0] - values, axis=1), atol=1e-9
    )
    labels = {"ecg": np.array([0.0] * 15 + [1.0] * 14 + [np.nan])}
    assert "label unknown" in texts(embedding_map({"ecg": values}, labels))
    embedding_map({"ecg": np.ones((5, 1))})


def test_cine_montage_has_a_scale_bar_of_true_length() -> None:
    figure = cine_montage(np.random.default_rng(0).random((2, 3, 64, 64)), pixel_spacing_mm=(2.0, 2.0))
    bars = [line for axes in figure.axes for line in axes.lines]
    assert len(bars) == 1
    assert np.ptp(np.asarray(bars[0].get_xdata())) * 2.0 == pytest.approx(50.0)
    assert len(cine_montage(np.zeros((3, 8, 8)), column_titles=["ES", "between", "ED"]).axes) == 3


def test_flow_names_every_number() -> None:
    words = texts(cohort_flow([FlowStep("read", 1200, (("truncated", 3),)), FlowStep("kept", 1197)], title="ECG"))
    for text in ("1,200", "truncated: 3", "1,197"):
        assert text in words


def test_a_picture_is_the_same_bytes_each_time() -> None:
    assert svg(roc(curves())) == svg(roc(curves()))
    assert png_base64(roc(curves()), 60) == png_base64(roc(curves()), 60)
    assert base64.b64decode(png_base64(roc(curves()), 60)).startswith(b"\x89PNG")


def test_pictures_leave_the_callers_matplotlib_alone() -> None:
    before = dict(matplotlib.rcParams)
    svg(roc(curves()))
    assert dict(matplotlib.rcParams) == before


def test_a_real_ecg_is_drawn(shared_data: Path) -> None:
    wfdb = pytest.importorskip("wfdb")
    header = sorted((shared_data / "ptbxl" / "sample" / "records500").rglob("*.hea"))[0]
    record = wfdb.rdrecord(str(header.with_suffix("")))
    names = [name.upper() for name in record.sig_name]
    signal = record.p_signal.T[[names.index(lead.upper()) for lead in LEADS]]
    assert len(svg(ecg_paper(signal, float(record.fs)))) > 50_000


def test_tall_waves_make_room_and_no_trace_leaves_the_paper_or_meets_its_neighbour() -> None:
    signal = ecg()
    signal[6, 500:750] *= 5.0
    signal[9, 750] = 4.2
    signal[1] -= 1.2 * (np.arange(1000) == 30)
    figure = ecg_paper(signal, 100.0)
    axes = figure.axes[0]
    traces = [line for line in axes.lines if len(line.get_xdata()) == 250]
    tops, bottoms = [np.max(t.get_ydata()) for t in traces], [np.min(t.get_ydata()) for t in traces]
    paper_top = max(p.vertices[:, 1].max() for c in axes.collections for p in c.get_paths())
    assert max(tops) < paper_top
    for column in range(4):
        for row in range(2):
            assert bottoms[4 * row + column] > tops[4 * (row + 1) + column]
    lower, upper = axes.get_ylim()
    assert figure.get_figheight() * 25.4 == pytest.approx(upper - lower)


def test_a_low_signal_keeps_the_usual_paper_and_an_absurd_one_a_bounded_one() -> None:
    heights = [ecg_paper(k * ecg(), 100.0).get_figheight() * 25.4 for k in (0.1, 1e4)]
    assert heights == pytest.approx([4 * 30 + 30, 3 * 70 + 2 * 70 + 30])


def test_crops_are_framed_on_every_slice_and_the_title_fits() -> None:
    from cardiobind.evaluation.figures import cine_choice

    frames = np.random.default_rng(0).random((1, 2, 40, 40))
    title = "All slices; the chosen one and its crop are framed"
    figure = cine_choice(
        frames, (2.0, 2.0), column_titles=("ED", "ES"), chosen_row=0, centre_mm=(40, 40), crop_mm=30, title=title
    )
    figure.canvas.draw()
    assert figure._suptitle.get_window_extent().x1 <= figure.bbox.x1  # type: ignore[attr-defined]
    assert all(axes.patches for axes in figure.axes)
