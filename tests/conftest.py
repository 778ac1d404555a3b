"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from calling import Call, Done

if TYPE_CHECKING:
    from walking import Walk

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real recordings beside the checkout, or CARDIOBIND_SHARED_DATA; skips where it is absent."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("CARDIOBIND_SHARED_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set CARDIOBIND_SHARED_DATA")
    return folder


@pytest.fixture(scope="session")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Walk:
    """A finished run on simulated raw files; tests must not write into its folder.

    CARDIOBIND_WALK names a folder that is kept between sessions, so that only stages whose code has changed are done
    again.
    """
    from walking import walk

    kept = os.environ.get("CARDIOBIND_WALK")
    return walk(Path(kept) if kept else tmp_path_factory.mktemp("walk"))


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run ``cardiobind`` with arguments in this process."""
    from cardiobind import cli

    def run(words: Sequence[object]) -> Done:
        monkeypatch.setattr(sys, "argv", ["cardiobind", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        shown = capsys.readouterr()
        return Done(int(ended.value.code or 0), shown.out, shown.err)

    return run
