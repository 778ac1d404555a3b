"""What makes raw files be read again, and what does not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cardiobind.config import Experiment
from cardiobind.errors import ConfigError
from cardiobind.pipeline import run_until
from cardiobind.pipeline.prepare import raw_inventory
from cardiobind.sources import SOURCES

Make = Callable[..., Experiment]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    (tmp_path / "raw" / "bulk").mkdir(parents=True)
    (tmp_path / "raw" / "bulk" / "a.xml").write_text("a")
    return tmp_path / "raw"


def inventory(raw: Path, out: Path) -> str:
    return raw_inventory(SOURCES.get("ukb")(root=raw), raw, out)


def test_any_change_of_a_raw_file_is_seen(raw: Path, tmp_path: Path) -> None:
    out, found = tmp_path / "out", []
    found.append(inventory(raw, out))
    (raw / "bulk" / "b.xml").write_text("a")
    found.append(inventory(raw, out))
    os.utime(raw / "bulk" / "a.xml", (1, 1))
    found.append(inventory(raw, out))
    (raw / "bulk" / "b.xml").rename(raw / "bulk" / "c.xml")
    found.append(inventory(raw, out))
    assert len(set(found)) == 4
    assert inventory(raw, out) == found[-1]


def test_outputs_among_the_raw_files_are_passed_over(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = inventory(raw, raw / "runs")
    (raw / "runs").mkdir()
    (raw / "runs" / "report.html").write_text("")
    assert inventory(raw, raw / "runs") == before
    assert inventory(raw, tmp_path) != before
    monkeypatch.chdir(raw)
    assert inventory(Path("."), Path("runs")) == before


def test_a_simulated_source_counts_by_its_settings(tmp_path: Path) -> None:
    made = [raw_inventory(SOURCES.get("simulated")(seed=seed), None, tmp_path) for seed in (0, 0, 1)]
    assert made[0] == made[1] != made[2]


def test_outputs_do_not_go_into_the_folder_of_the_raw_files(make: Make, raw: Path) -> None:
    with pytest.raises(ConfigError, match="mixed with the raw files"):
        run_until("prepare", make("source={kind='ukb'}", f"data_root={raw}"), raw)
