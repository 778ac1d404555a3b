"""The notebooks run from beginning to end, and what is stored in them is small."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "docs" / "notebooks").glob("*.ipynb"))


def test_there_are_notebooks() -> None:
    assert {file.stem for file in NOTEBOOKS} >= {"first_steps", "your_own_ecgs"}


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_what_is_stored_is_small_and_without_errors(file: Path) -> None:
    cells = json.loads(file.read_text())["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    assert outputs, "python docs/run_notebooks.py"
    assert not [output for output in outputs if output["output_type"] == "error" or output.get("name") == "stderr"]
    assert file.stat().st_size < 300_000
    assert not [line for cell in cells for line in cell["source"] if len(line) > 145]


@pytest.mark.slow
@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_it_runs(file: Path, tmp_path: Path) -> None:
    pytest.importorskip("nbclient", reason="pip install -e '.[docs]'")
    execute = runpy.run_path(str(file.parents[1] / "run_notebooks.py"))["execute"]
    notebook = execute(file, tmp_path)
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")
