"""The script of the documents that scores with numpy and onnxruntime alone says what a bundle says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from cardiobind import inference, sharing
from cardiobind.inference.bundle import Calibration


def test_numpy_and_onnxruntime_give_the_risk(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[2] / "docs/howto/share.md").read_text()
    (script,) = [body for body in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "onnxruntime" in body]
    assert "import cardiobind" not in script
    predictor = inference.load(make(calibration={"tabular": Calibration(1.3, -1.7, 0.2)}))
    sharing.export_onnx(predictor, tmp_path / "my-model.onnx")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(script, "share.md", "exec"), names)  # noqa: S102
    wanted = predictor.predict(table=names["FACTS"])
    assert wanted.risk == pytest.approx(float(names["risk"]), abs=1e-6)
    assert f"{wanted.title}: {100 * (wanted.risk or 0):.1f} %. {inference.NOTICE}" in capsys.readouterr().out
