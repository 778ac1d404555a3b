"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from calling import Call, Done
from once import once

if TYPE_CHECKING:
    from walking import Walk

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
if "PYTEST_XDIST_WORKER" in os.environ:  # two workers with a pool of threads each wait for one another
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
# how long an example takes, and how long it waits for the disk, depends on who else is at work on the machine
settings.register_profile("beside others", settings(deadline=None, suppress_health_check=[HealthCheck.too_slow]))
settings.load_profile("beside others")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Folders are tested by a worker for each core, four at most; files and single tests in this process."""
    if not any(Path(argument).is_dir() for argument in config.args):
        return 0
    return min(4, len(os.sched_getaffinity(0)))


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
    return once(tmp_path_factory, "walk", lambda folder: walk(Path(kept) if kept else folder))


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
