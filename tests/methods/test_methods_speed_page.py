"""The page of the speed table: costs are products of measured rates, and a part that fails leaves the others."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import costs
import speed
from page import page

ROW = {
    "work": "ecg_mae", "title": "ECG MAE", "batch": 4, "goal": 2.5, "reference_per_s": 10.0, "ours_per_s": 20.0,
    "ratio": 2.0, "reference_gb": 2.0, "ours_gb": 1.0, "share_of_peak": 0.5, "operations": 1e10,
}  # fmt: skip


@pytest.fixture
def found():
    return {
        "cpu": "2 x CPU",
        "precision": "bf16",
        "date": "today",
        "code": "abc",
        "quick": False,
        "rows": [],
        "failed": {},
    }


def test_a_part_that_fails_is_named_and_the_others_go_on(found):
    def broken():
        raise RuntimeError("a timed process ended with 1")

    speed.measure(found, "rows", "cmr_ecg", broken)
    speed.measure(found, "rows", "ecg_mae", lambda: ROW)
    speed.measure(found, "samples", "samples", lambda: [{"samples": 4, "seconds": 0.5}])
    assert found["rows"] == [ROW]
    text = page(found)
    assert "cmr_ecg: RuntimeError: a timed process ended with 1" in text
    assert "| 2.5 (missed) | 2.00 → 1.00, asked × 0.5 | 50%, asked 70% (missed) |" in text
    assert "| 4 | 0.50 | 8 |" in text


def test_a_part_that_works_the_second_time_is_no_failure_any_more(found):
    found["failed"]["ecg_mae"] = "RuntimeError"
    speed.measure(found, "rows", "ecg_mae", lambda: ROW)
    assert not found["failed"]


def test_a_part_that_is_measured_again_takes_its_old_place_and_the_page_says_so(found):
    other = ROW | {"work": "cmr_ecg", "title": "CMR + ECG"}
    found["rows"] = [ROW, other]
    speed.measure(found, "rows", "ecg_mae", lambda: ROW | {"ratio": 3.5}, again=True)
    assert [(line["work"], line["ratio"]) for line in found["rows"]] == [("ecg_mae", 3.5), ("cmr_ecg", 2.0)]
    assert f"Measured again, alone: `ecg_mae` ({found['again']['ecg_mae']} UTC)." in page(found)


def test_a_part_that_fails_the_second_time_was_not_measured_again(found):
    def broken():
        raise RuntimeError("a timed process ended with 1")

    found["rows"] = [ROW]
    speed.measure(found, "rows", "ecg_mae", broken, again=True)
    assert found["rows"] == [ROW]
    assert "Measured again" not in page(found)


def test_the_page_of_another_machine_bears_its_name_and_that_of_its_figures(found):
    found["rows"] = [ROW]
    text = page(found, "speed_amx")
    assert text.startswith("# Speed on CPU\n")
    assert "[speed_amx.json](speed_amx.json)" in text


def test_figures_of_another_machine_are_not_gone_on_with(found, tmp_path, monkeypatch, capsys):
    (tmp_path / "page.json").write_text(json.dumps(found | {"cpu": "another"}))
    monkeypatch.setattr(sys, "argv", ["speed.py", "--resume", "--write", str(tmp_path / "page.md")])
    with pytest.raises(SystemExit):
        speed.main()
    assert "cpu is another" in capsys.readouterr().err


def test_costs_are_samples_over_measured_rates(found):
    found["rows"] = [ROW]
    found["processes"] = [
        {"processes": 1, "threads": 1, "shared": False, "batch": 4, "per_s": 20.0},
        {"processes": 2, "threads": 1, "shared": True, "batch": 4, "per_s": 36.0},
    ]
    line = next(c for c in costs.costs(found) if c["work"] == "ecg_mae")
    assert line["two_cores_h"] == pytest.approx(60_000 * 400 / 36.0 / 3600)
    assert line["h200_h"] == pytest.approx(60_000 * 400 * 1e10 / (costs.H200_BF16 * costs.GPU_SHARE) / 3600)
    assert line["eight_h200_h"] == pytest.approx(line["h200_h"] / 8 / costs.EIGHT)
    assert costs.two_for_one({"rows": []}) == 2.0
