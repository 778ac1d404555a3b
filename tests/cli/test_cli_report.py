"""A page from predictions that were made anywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from typer.testing import CliRunner

from cardiobind.cli import app


def _predictions() -> pd.DataFrame:
    generator = np.random.default_rng(0)
    rows = pd.DataFrame({"subject": [f"SIM-{i:06d}" for i in range(200)], "label": generator.integers(0, 2, 200)})
    rows["split"] = np.where(np.arange(200) < 80, "validation", "test")
    score = np.clip(0.5 + 0.2 * (rows["label"] - 0.5) + 0.2 * generator.standard_normal(200), 0, 1)
    common = {"visit": "2", "inputs": "ecg", "fraction": 1.0, "seed": 0, "task": "mi"}
    worse = np.clip(0.5 + 0.2 * generator.standard_normal(200), 0, 1)
    return pd.concat([rows.assign(arm="mine", score=score, **common), rows.assign(arm="coin", score=worse, **common)])


def test_a_report_from_a_csv_of_predictions(tmp_path: Path) -> None:
    _predictions().to_csv(tmp_path / "predictions.csv", index=False)
    page = tmp_path / "page.html"
    arguments = [str(tmp_path / "predictions.csv"), "--out", str(page), "--baseline", "coin", "--resamples", "100"]
    result = CliRunner().invoke(app, ["report", *arguments, "--title", "My study"], catch_exceptions=False)
    assert result.exit_code == 0
    content = page.read_text()
    assert "My study" in content
    assert "predictions.csv, sha256" in content
    assert "SIM-0000" not in content
