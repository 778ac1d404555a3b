"""The folder of a run: one process at a time, each stage once, damage named, what was interrupted left behind."""

from __future__ import annotations

from pathlib import Path

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
