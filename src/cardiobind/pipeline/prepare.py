"""Raw files to a cohort, and a cohort to a protocol."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from cardiobind.cohort import Cohort, Protocol, build_cohort, make_protocol
from cardiobind.config import Component, Experiment, resolved
from cardiobind.errors import ConfigError
from cardiobind.pipeline.components import (
    COHORT_ROOMS,
    Study,
    build_source,
    cmr_preparation,
    ecg_preparation,
    feature_names,
)
from cardiobind.pipeline.workspace import Stage, Workspace
from cardiobind.sources import Source

WORKERS = 2


def prepare(experiment: Experiment, workspace: Workspace) -> Study:
    """Read the raw files of an experiment into a cohort and divide its subjects.

    Args:
        experiment: names the source, the preparation of each modality and the protocol.
        workspace: receives the artefacts ``cohort`` and ``protocol``.

    Returns:
        The study that the later stages work on.

    Raises:
        ConfigError: the data are not where the experiment says, or the source does not take an option.
        InputError: a split is empty, or the cohort has no labels of the task.
        LabelLeakageError: a feature gives the label away and is not allowed.
        SplitLeakageError: a subject would be in two splits.
    """
    _check_folders(experiment, workspace)
    cohort = _cohort(experiment, workspace)
    return Study(experiment, workspace, cohort, _protocol(experiment, workspace, cohort))


def raw_inventory(source: Source, root: Path | None, out: Path, named: Sequence[Path] = ()) -> str:
    """Return a digest of the names, sizes and times of the raw files, so that changed data are read again.

    Args:
        source: counts by its settings where there is no folder.
        root: folder of the raw files, or None.
        out: folder of the artefacts; where it lies among the raw files it is passed over.
        named: files that the source reads wherever they lie, such as a list of withdrawn participants.
    """
    sha = hashlib.sha256(repr(source if root is None else None).encode())
    for file in [] if root is None else _files(root.resolve(), out.resolve()):
        stat = file.stat()
        sha.update(f"{file.relative_to(root.resolve())}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())  # type: ignore[union-attr]
    for file in named:
        stat = file.stat()
        sha.update(f"{file}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return sha.hexdigest()


def named_files(source: Component) -> list[Path]:
    """Return the files that the options of a source name: they may lie outside its folder."""
    paths = [Path(value) for _, value in sorted(source.options.items()) if isinstance(value, str) and value]
    return [path for path in paths if path.is_file()]


def _files(root: Path, out: Path) -> list[Path]:
    passed_over = out if out.is_relative_to(root) else None
    found = (f for f in root.rglob("*") if passed_over is None or not f.is_relative_to(passed_over))
    return sorted(f for f in found if f.is_file())


def _check_folders(experiment: Experiment, workspace: Workspace) -> None:
    if experiment.data_root is None:
        return
    root = Path(experiment.data_root)
    if not root.is_dir():
        hint = "it is a file: give the folder" if root.exists() else "the folder does not exist: correct data_root=PATH"
        raise ConfigError("no such folder", where="data_root", got=root.absolute(), hint=hint)
    if root.resolve() == workspace.out.resolve():
        raise ConfigError(
            "artefacts would be mixed with the raw files", where="data_root", got=root, hint="choose another --out"
        )


def _cohort(experiment: Experiment, workspace: Workspace) -> Cohort:
    source = build_source(experiment)
    root = None if experiment.data_root is None else Path(experiment.data_root)
    ecg, cmr = experiment.ecg, experiment.cmr
    config = {
        "source": resolved(experiment.source),
        "inventory": raw_inventory(source, root, workspace.out, named_files(experiment.source)),
        "ecg": None if ecg is None else ecg.model_dump(mode="json", exclude={"encoder", "pretrain"}),
        "cmr": None if cmr is None else cmr.model_dump(mode="json", exclude={"encoder", "pretrain"}),
    }

    def build(stage: Stage) -> None:
        build_cohort(
            source, stage.path, work=stage.work, ecg=ecg_preparation(ecg), cmr=cmr_preparation(cmr), workers=WORKERS,
            config=config, fingerprint=stage.fingerprint, progress=partial(workspace.reporter.advance, stage.name),
        )  # fmt: skip

    return Cohort(workspace.obtain("cohort", "cohort", build, config=config, rooms=COHORT_ROOMS))


def _protocol(experiment: Experiment, workspace: Workspace, cohort: Cohort) -> Protocol:
    choices = experiment.protocol
    config = {"protocol": resolved(choices), "features": feature_names(experiment)}

    def build(stage: Stage) -> None:
        make_protocol(
            cohort, stage.path, task=choices.task, features=feature_names(experiment), split=choices.split,
            seed=choices.seed, fractions=choices.fractions, allow_leaks=choices.allow_leaks, config=config,
            fingerprint=stage.fingerprint,
        )  # fmt: skip

    found = workspace.obtain(
        "protocol", "protocol", build, config=config, rooms=COHORT_ROOMS, parents=[cohort.artifact]
    )
    return Protocol.open(found.path, cohort)
