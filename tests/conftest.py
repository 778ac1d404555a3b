"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real recordings beside the checkout, or CARDIOBIND_SHARED_DATA; skips where it is absent."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("CARDIOBIND_SHARED_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set CARDIOBIND_SHARED_DATA")
    return folder
