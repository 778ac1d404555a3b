"""How an ECG is drawn: numbers with known answers, and a check that one odd value does not set off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cardiobind.inference.trust.likeness import Familiar, fit_clipped, fit_values, load_likeness, save_likeness
from cardiobind.inference.trust.texture import BANDS_HZ, ECG_TEXTURE, ecg_texture

RATE_HZ = 100.0
TIME_S = np.arange(1000) / RATE_HZ


def told(x: NDArray[np.floating]) -> dict[str, float]:
    return dict(zip(ECG_TEXTURE, ecg_texture(x, RATE_HZ).tolist(), strict=True))


def beats(seed: int, noise_uv: float = 10.0) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    phase = (TIME_S * rng.uniform(0.9, 1.5)) % 1.0
    wave = np.exp(-(((phase - 0.35) / 0.03) ** 2)) + 0.3 * np.exp(-(((phase - 0.6) / 0.08) ** 2))
    return 900 * rng.uniform(0.5, 1.5, (12, 1)) * wave + rng.normal(0, noise_uv, (12, 1000))


@pytest.mark.parametrize(("low", "high"), BANDS_HZ)
def test_a_sine_has_its_power_in_its_band(low: float, high: float) -> None:
    frequency = (low + high) / 2
    found = told(np.tile(1000 * np.sin(2 * np.pi * frequency * TIME_S), (12, 1)))
    shares = {name: np.exp(v) for name, v in found.items() if name.startswith("band_")}
    assert shares[f"band_{low:g}_{high:g}"] == pytest.approx(1.0, abs=0.02)
    assert sum(shares.values()) == pytest.approx(1.0, abs=0.02)


def test_a_larger_ecg_differs_in_its_size_alone() -> None:
    one, ten = told(beats(0)), told(10 * beats(0))
    assert ten["quiet"] - one["quiet"] == pytest.approx(np.log(10), abs=0.05)
    for name in ECG_TEXTURE:
        if name not in ("quiet", "drift"):
            assert ten[name] == pytest.approx(one[name], abs=0.1), name
    order = np.r_[np.random.default_rng(1).permutation(6), 6 + np.random.default_rng(2).permutation(6)]
    assert told(beats(0)[order]) == pytest.approx(one)


def test_noise_and_its_kind_are_told() -> None:
    clean, rough = told(beats(0, 3.0)), told(beats(0, 30.0))
    assert rough["quiet_to_signal"] > clean["quiet_to_signal"] + 1
    white = np.random.default_rng(3).normal(0, 200, (12, 10_000))
    smooth = np.stack([np.convolve(row, np.hanning(9), mode="same") for row in white])
    # the second difference of white noise has an autocorrelation of -2/3 at one sample; quiet windows have less
    assert -0.67 < told(white)["quiet_sameness"] < -0.45
    assert told(smooth)["quiet_sameness"] > told(white)["quiet_sameness"] + 0.5


def test_what_cannot_be_told_is_missing() -> None:
    limbs = beats(0)
    limbs[6:] = 0
    found = told(limbs)
    assert {name for name, v in found.items() if not np.isfinite(v)} == {"chest_spread"}
    assert np.isnan(ecg_texture(np.zeros((12, 1000)), RATE_HZ)).all()
    assert np.isfinite(ecg_texture(np.ones((12, 1000)), RATE_HZ)).all()
    short = ecg_texture(beats(0)[:, :5], RATE_HZ)
    assert short.shape == (len(ECG_TEXTURE),)


def test_heavy_tails_move_neither_centre_nor_spread_and_count_no_more_than_the_clip() -> None:
    rng = np.random.default_rng(4)
    rows = rng.normal(3.0, 2.0, (4000, 5))
    rows[:60, 0] = 1e4
    check = fit_clipped(rows, 4.0)
    assert check.mean == pytest.approx(np.full(5, 3.0), abs=0.15)
    assert check.scale == pytest.approx(np.full(5, 2.0), rel=0.05)
    odd = np.full((1, 5), 3.0)
    odd[0, 0] = 1e9
    usual = check.distances(np.array([[11.0, 3.0, 3.0, 3.0, 3.0]]))
    assert check.distances(odd) == pytest.approx(usual, rel=0.05)  # 4 standard deviations are the most that counts
    assert fit_values(rows).distances(rows[60:]).mean() < 0.95 * check.distances(rows[60:]).mean()


def test_values_that_nobody_has_are_borne() -> None:
    rows = np.random.default_rng(5).normal(size=(50, 3))
    rows[:, 1] = np.nan
    rows[::3, 2] = np.nan
    check = fit_clipped(rows, 4.0)
    assert np.isfinite(check.mean).all()
    assert np.isfinite(check.distances(rows)).all()


def test_a_clip_survives_its_file_and_older_files_have_none(tmp_path: Path) -> None:
    rows = np.random.default_rng(6).standard_t(2, size=(200, 4))
    known = Familiar({"texture": fit_clipped(rows, 4.0).limited(2.0), "signs": fit_values(rows).limited(2.0)}, 200, 50)
    save_likeness(tmp_path / "likeness.safetensors", {"ecg": known})
    found = load_likeness(tmp_path / "likeness.safetensors")["ecg"]
    assert (found.checks["texture"].clip, found.checks["signs"].clip) == (4.0, np.inf)
    for name, row in (("texture", rows[0]), ("signs", 100 * rows[1])):
        assert found.distance({name: row}) == known.distance({name: row})
