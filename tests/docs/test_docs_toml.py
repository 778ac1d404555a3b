"""Every piece of an experiment that the documents show is accepted, beside the experiment that they show whole."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from cardiobind.config import load_experiment, parse_experiment
from cardiobind.config.files import merged
from documented import Block, blocks

REPOSITORY = Path(__file__).resolve().parents[2]
SHOWN = [block for block in blocks(REPOSITORY) if block.language == "toml"]
WHOLE = next(block for block in SHOWN if block.body.startswith("name =") and block.page.endswith("own_experiment.md"))
ELSEWHERE = {"columns": "tests/sources/test_sources_folder.py reads a columns.toml"}
PIECES = [block for block in SHOWN if not ELSEWHERE.keys() & tomllib.loads(block.body).keys()]


@pytest.mark.parametrize("piece", PIECES, ids=lambda block: f"{block.page}:{block.line}")
def test_a_piece_is_accepted(piece: Block, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("resnet50.pth", "vit_base.pth"):
        (tmp_path / name).touch()
    tree, whole = tomllib.loads(piece.body), tomllib.loads(WHOLE.body)
    if "arms" in tree and "name" not in tree:
        members = [member for arm in tree["arms"] for member in arm.get("options", {}).get("members", [])]
        tree["arms"] = [*whole["arms"], *(whole["arms"][1] | {"name": name} for name in members), *tree["arms"]]
    if "extends" in tree:
        (tmp_path / "piece.toml").write_text(piece.body)
        load_experiment(tmp_path / "piece.toml", [])
    else:
        parse_experiment(merged(whole, tree))


def test_what_is_no_experiment_is_known() -> None:
    assert len(PIECES) > 20
    assert all((REPOSITORY / reason.split()[0]).is_file() for reason in ELSEWHERE.values())
