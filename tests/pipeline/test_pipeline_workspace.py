"""The folder of a run: one process at a time, each stage once, damage named, what was interrupted left behind."""

from __future__ import annotations

import fcntl
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from cardiobind.errors import ArtifactError, CorruptArtifactError
from cardiobind.pipeline.workspace import Stage, Workspace


class Builder:
    """A stage that counts how often it is computed, and may be interrupted."""

    def __init__(self, interrupted: bool = False) -> None:
        self.calls, self.interrupted, self.found = 0, interrupted, [""]

    def __call__(self, stage: Stage) -> None:
        self.calls += 1
        self.found = sorted(f.name for f in stage.work.iterdir())
        (stage.work / "checkpoint").write_text("half")
        if self.interrupted:
            raise KeyboardInterrupt
        with stage.commit() as folder:
            (folder / "value.txt").write_text("done")


def obtain(workspace: Workspace, build: Builder, value: int = 1) -> Path:
    found = workspace.obtain("stage", "thing", build, config={"value": value}, rooms=["rng"])
    return found.path


def test_two_runs_in_one_folder_are_refused(tmp_path: Path) -> None:
    with Workspace(tmp_path).locked():
        with pytest.raises(ArtifactError, match="another run is at work"), Workspace(tmp_path).locked():
            pass
    with Workspace(tmp_path).locked():
        pass


def test_a_killed_writer_s_leftovers_are_cleared(tmp_path: Path) -> None:
    (tmp_path / ".cohort-1.partial-aa").mkdir()
    with Workspace(tmp_path).locked():
        assert not list(tmp_path.glob(".*partial*"))


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="output folder cannot be used"), Workspace(tmp_path / "file").locked():
        pass


def test_a_stage_is_computed_once_for_one_config(tmp_path: Path) -> None:
    build, workspace = Builder(), Workspace(tmp_path)
    first = obtain(workspace, build)
    assert obtain(Workspace(tmp_path), build) == first
    assert build.calls == 1
    assert obtain(workspace, build, value=2) != first
    assert build.calls == 2
    assert workspace.used["stage"].config == {"value": 2}


def test_an_interrupted_stage_finds_its_work_again(tmp_path: Path) -> None:
    broken, whole = Builder(interrupted=True), Builder()
    with pytest.raises(KeyboardInterrupt):
        obtain(Workspace(tmp_path), broken)
    assert not list(tmp_path.glob("stage-*"))
    path = obtain(Workspace(tmp_path), whole)
    assert (broken.found, whole.found) == ([], ["checkpoint"])
    assert not (tmp_path / ".work" / path.name).exists()


def test_a_stage_again_is_computed_from_the_start(tmp_path: Path) -> None:
    build, workspace = Builder(), Workspace(tmp_path)
    path = obtain(workspace, build)
    left = tmp_path / ".work" / path.name / "checkpoint"
    left.parent.mkdir()
    left.write_text("left by a killed one")
    workspace.obtain("stage", "thing", build, config={"value": 1}, rooms=["rng"], again=True)
    assert (build.calls, build.found) == (2, [])
    assert path.is_dir()
    assert not left.parent.exists()


def test_a_stage_that_another_computes_is_not_removed_under_it(tmp_path: Path) -> None:
    began, go_on, calls = Event(), Event(), []

    def build(stage: Stage) -> None:
        calls.append((stage.work / "checkpoint").exists())
        (stage.work / "checkpoint").write_text("half")
        began.set()
        assert go_on.wait(20)
        assert (stage.work / "checkpoint").read_text() == "half"
        with stage.commit() as folder:
            (folder / "value.txt").write_text("done")

    def digest(again: bool) -> str:
        return Workspace(tmp_path).obtain("s", "thing", build, config={}, rooms=["rng"], again=again).digest

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(digest, False)
        assert began.wait(20)
        second = pool.submit(digest, True)
        with pytest.raises(TimeoutError):
            second.result(0.2)
        go_on.set()
        assert first.result(20) == second.result(20)
    assert calls == [False, False]


def test_the_lock_is_a_file_open_for_writing_that_outlives_the_work(tmp_path: Path) -> None:
    """NFS makes of flock a lock of a range of bytes, which a folder opened for reading cannot have."""
    modes = []

    def build(stage: Stage) -> None:
        shutil.rmtree(stage.work)
        lock = stage.work.with_name(f"{stage.work.name}.lock")
        with lock.open("w") as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held = [f for f in Path("/proc/self/fd").iterdir() if f.exists() and f.resolve() == lock.resolve()]
        modes.extend(fcntl.fcntl(int(f.name), fcntl.F_GETFL) & os.O_ACCMODE for f in held)
        with stage.commit() as folder:
            (folder / "value.txt").write_text("done")

    path = Workspace(tmp_path).obtain("stage", "thing", build, config={}, rooms=["rng"]).path
    assert modes == [os.O_WRONLY]
    with (tmp_path / ".work" / f"{path.name}.lock").open("w") as free:
        fcntl.flock(free, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_damaged_stage_is_named_and_not_used(tmp_path: Path) -> None:
    path = obtain(Workspace(tmp_path), Builder())
    (path / "value.txt").write_text("dono")
    with pytest.raises(CorruptArtifactError, match=r"value\.txt") as error:
        obtain(Workspace(tmp_path), Builder())
    assert path.name in str(error.value.hint)


def test_a_plain_name_points_at_the_newest_artefact(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    for value in (1, 2):
        workspace.obtain("stage", "thing", Builder(), config={"value": value}, rooms=["rng"])
        link = workspace.link("thing", workspace.used["stage"])
    assert link == tmp_path / "thing"
    assert link.resolve() == workspace.used["stage"].path.resolve()
    assert sorted(f.name for f in tmp_path.glob(".*link*")) == []
