"""What is measured in an ECG: drawn waves of known size and place, simulated hearts of known intervals, symmetries."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from cardiobind.errors import InputError
from cardiobind.formats import read_ecg
from cardiobind.modalities.ecg import EcgPreparation, prepare_ecg
from cardiobind.modalities.ecg.measurements import MEASUREMENTS, RATE_HZ, WAVES, measure_ecg
from cardiobind.modalities.records import LEADS, EcgRecord
from cardiobind.simulate import SimulationSettings, draw_hearts, simulate_ecg

Array = NDArray[np.float64]
# Place after the R peak and half width in ms, height in mV of the triangles of a drawn beat in II.
TRIANGLES = {"P": (-160, 40, 0.15), "Q": (-28, 14, -0.2), "R": (0, 18, 1.2), "S": (28, 14, -0.4), "T": (280, 80, 0.35)}
SIZE = {"I": 0.5, "II": 1.0, "V1": -0.6, "V2": 0.7, "V3": 1.0, "V4": 1.3, "V5": 1.1, "V6": 0.8}


def drawn(rr_ms: float = 900.0, rate_hz: float = RATE_HZ, seconds: float = 10.0) -> Array:
    time_ms = np.arange(round(seconds * rate_hz)) / rate_hz * 1000
    one = np.zeros_like(time_ms)
    for beat_ms in np.arange(500.0, seconds * 1000, rr_ms):
        for place_ms, half_ms, mv in TRIANGLES.values():
            one += mv * np.clip(1 - np.abs(time_ms - beat_ms - place_ms) / half_ms, 0, None)
    size = SIZE | {"III": 0.5, "aVR": -0.75, "aVL": 0.0, "aVF": 0.75}
    return np.stack([size[lead] * one for lead in LEADS])


def measured(signal: Array, rate_hz: float = RATE_HZ) -> dict[str, float]:
    return dict(zip(MEASUREMENTS, measure_ecg(signal, rate_hz), strict=True))


def test_drawn_waves_are_measured() -> None:
    found = measured(drawn())
    assert found["heart_rate_bpm"] == pytest.approx(60_000 / 900, rel=0.01)
    assert found["rr_sd_ms"] < 3
    assert found["qrs_ms"] == pytest.approx(84, abs=10)  # from 42 ms before to 42 ms after the peak
    assert found["pr_ms"] == pytest.approx(158, abs=14)
    assert found["qt_ms"] == pytest.approx(402, abs=16)
    assert found["qtc_ms"] == pytest.approx(found["qt_ms"] / np.sqrt(0.9), rel=1e-6)
    for wave, name in (("q_mv", "Q"), ("r_mv", "R"), ("s_mv", "S"), ("t_mv", "T")):
        assert found[f"II_{wave}"] == pytest.approx(TRIANGLES[name][2], abs=0.05), name
    assert found["p_mv"] == pytest.approx(0.15, abs=0.02)
    assert found["II_st_mv"] == pytest.approx(0.0, abs=0.02)
    assert found["V1_s_mv"] == pytest.approx(-0.6 * 1.2, abs=0.05)
    assert found["sokolow_lyon_mv"] == pytest.approx(1.1 * 1.2 + 0.6 * 1.2, abs=0.1)
    assert found["qrs_axis_deg"] == pytest.approx(np.degrees(np.arctan2(2 / np.sqrt(3) * 0.75, 0.5)), abs=1)
    assert np.isnan(found["aVL_r_mv"])


def test_amplitudes_scale_and_intervals_stay() -> None:
    one, two = measured(drawn()), measured(2 * drawn())
    for name in MEASUREMENTS:
        factor = 2 if name.endswith("_mv") and name != "flutter_mv" else 1
        if name.endswith("q_ms") or name == "flutter_mv":
            continue  # a Q wave lasts as long as it is deeper than a fixed depth; the flutter is numerical dust
        assert two[name] == pytest.approx(factor * one[name], rel=1e-6, abs=1e-6, nan_ok=True), name


def test_the_rate_of_the_record_hardly_matters() -> None:
    fine, coarse = measured(drawn()), measured(drawn(rate_hz=250.0), 250.0)
    for name in ("heart_rate_bpm", "qrs_ms", "pr_ms", "qt_ms"):
        assert coarse[name] == pytest.approx(fine[name], rel=0.08), name


def test_simulated_hearts_give_their_intervals_back() -> None:
    settings = SimulationSettings(subjects=40, seed=3)
    hearts = draw_hearts(settings)
    ready = EcgPreparation(rate_hz=100)
    rows = [measure_ecg(prepare_ecg(EcgRecord(x, 500.0), ready) / 1000, 100.0) for x in simulate_ecg(hearts, settings)]
    found, regular = pd.DataFrame(rows, columns=list(MEASUREMENTS)), ~hearts["af_now"].to_numpy(bool)
    for name, least in (("heart_rate_bpm", 0.99), ("pr_ms", 0.9), ("qrs_ms", 0.9), ("qtc_ms", 0.5)):
        known = regular & found[name].notna().to_numpy()
        assert known.sum() > 0.9 * regular.sum(), name
        assert np.corrcoef(found[name][known], hearts[name][known])[0, 1] > least, name


def test_fibrillation_is_irregular() -> None:
    regular, irregular = drawn(), drawn(rr_ms=700.0)
    at = np.sort(np.random.default_rng(0).uniform(300, 900, 12)).cumsum()
    irregular = np.concatenate([irregular[:, : round(a / 2)] for a in at[:4] % 900 + 600], axis=1)
    assert measured(irregular)["rr_sd_ms"] > 5 * measured(regular)["rr_sd_ms"]


def test_nothing_is_measured_where_there_is_nothing() -> None:
    flat = measured(np.zeros((12, 5000)))
    assert flat.pop("beats") == 0
    assert all(np.isnan(value) for value in flat.values())


@pytest.mark.parametrize("nothing", [0.0, np.nan])
@pytest.mark.parametrize(
    ("lead", "lacking"),
    [
        ("I", {"qrs_axis_deg", "t_axis_deg"}), ("II", {"p_mv", "flutter_mv"}), ("aVF", {"qrs_axis_deg", "t_axis_deg"}),
        ("aVL", {"cornell_mv"}), ("V1", {"sokolow_lyon_mv", "flutter_mv"}), ("V2", set()), ("V3", {"cornell_mv"}),
        ("V6", {"sokolow_lyon_mv"}),
    ],
)  # fmt: skip
def test_what_needs_an_absent_lead_is_missing_and_nothing_else(lead: str, lacking: set[str], nothing: float) -> None:
    signal = drawn()
    signal[LEADS.index("aVL")] = -0.2 * signal[LEADS.index("I")]
    assert np.isfinite(measure_ecg(signal, RATE_HZ)).all()
    signal[LEADS.index(lead)] = nothing
    missing = {name for name, value in measured(signal).items() if np.isnan(value)}
    assert missing == lacking | {f"{lead}_{wave}" for wave in WAVES}


@pytest.mark.parametrize(("shape", "rate_hz"), [((8, 1000), 100.0), ((12, 1000), 50.0), ((12,), 100.0)])
def test_what_is_no_ecg_is_refused(shape: tuple[int, ...], rate_hz: float) -> None:
    with pytest.raises(InputError, match="cannot be measured"):
        measure_ecg(np.zeros(shape), rate_hz)


def test_real_ecgs_are_plausible(shared_data: Path) -> None:
    files = sorted((shared_data / "ptbxl" / "sample" / "records500").glob("*/*.hea"))
    assert files
    for file in files:
        record = read_ecg(str(file.with_suffix("")))
        found = measured(prepare_ecg(record, EcgPreparation()) / 1000)
        assert 40 < found["heart_rate_bpm"] < 150
        assert 60 <= found["qrs_ms"] <= 200
        assert not 0 <= found["pr_ms"] < 60
