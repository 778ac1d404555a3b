"""Raw files to a cohort, and a cohort to a protocol."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from cardiobind import artifact
from cardiobind.artifact import Artifact
from cardiobind.cohort import Cohort, Limits, Protocol, Shard, build_cohort, make_protocol, prepare_shard
from cardiobind.config import Experiment, resolved
from cardiobind.config.parts import Component
from cardiobind.errors import ArtifactError, ConfigError, InputError
from cardiobind.formats.location import files_below
from cardiobind.pipeline.components import (
    COHORT_ROOMS,
    Study,
    build_source,
    cmr_preparation,
    ecg_preparation,
    feature_names,
)
from cardiobind.pipeline.losses import kept_and_lost
from cardiobind.pipeline.workspace import Stage, Workspace
from cardiobind.sources import Source

WORKERS = 2
DIVISION = ("splits.parquet", "table_contract.json")


@dataclass(frozen=True)
class Ingest:
    """How raw files are read; what comes out does not depend on it, as long as no record meets a limit.

    Attributes:
        workers: processes; None for two, 0 for this process alone.
        dask: address of a dask scheduler, ``local``, or empty.
        limits: time and memory of one record.
        accept_missing: quarantine missing files even where most are missing.
        cohort: a cohort that was prepared elsewhere, so that no raw files are needed; it must have been made from the
            experiment's source with its preparation of the signals. None to read the raw files.
    """

    workers: int | None = None
    dask: str = ""
    limits: Limits = field(default_factory=Limits)
    accept_missing: bool = False
    cohort: Path | str | None = None

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments of `cardiobind.cohort.build_cohort`."""
        workers = WORKERS if self.workers is None else self.workers
        return {
            "workers": workers, "dask": self.dask, "limits": self.limits, "accept_missing": self.accept_missing,
        }  # fmt: skip


_USUAL = Ingest()


def prepare(experiment: Experiment, workspace: Workspace, ingest: Ingest = _USUAL) -> Study:
    """Read the raw files of an experiment into a cohort and divide its subjects.

    Args:
        experiment: names the source, the preparation of each modality and the protocol.
        workspace: receives the artefacts ``cohort`` and ``protocol``.
        ingest: how the raw files are read.

    Returns:
        The study that the later stages work on.

    Raises:
        ConfigError: the data are not where the experiment says, or the source does not take an option.
        InputError: a split is empty, or the cohort has no labels of the task.
        LabelLeakageError: a feature gives the label away and is not allowed.
        SplitLeakageError: a subject would be in two splits.
    """
    return prepare_each(experiment.model_copy(update={"endpoints": ()}), workspace, ingest)[0]


def prepare_each(experiment: Experiment, workspace: Workspace, ingest: Ingest = _USUAL) -> list[Study]:
    """Prepare an experiment once for all of its endpoints, see `Experiment.per_endpoint`; arguments as of `prepare`.

    Returns:
        A study for each endpoint, all on the same subjects in the same splits.
    """
    if ingest.cohort is None:
        _check_folders(experiment, workspace)
        cohort = _cohort(experiment, workspace, ingest)
    else:
        cohort = prepared_cohort(experiment, ingest.cohort)
    first, *others = experiment.per_endpoint()
    studies = [_study(first, workspace, cohort, "")]
    return studies + [_study(other, workspace, cohort, other.protocol.task) for other in others]


def _study(experiment: Experiment, workspace: Workspace, cohort: Cohort, endpoint: str) -> Study:
    protocol = _protocol(experiment, workspace, cohort, endpoint)
    return Study(experiment, workspace, cohort, protocol, _division(experiment, workspace, protocol), endpoint)


def prepared_cohort(experiment: Experiment, path: Path | str) -> Cohort:
    """Open a cohort that was prepared elsewhere for an experiment.

    Args:
        experiment: its source and its preparation of each signal must be those the cohort was made with; a cohort may
            hold a signal that the experiment does not use.
        path: folder of the cohort, or its address in object storage.

    Raises:
        ArtifactError, CorruptArtifactError: no cohort there, or it is damaged.
        InputError: it was made from another source or with another preparation.
    """
    cohort, wanted = Cohort.open(path), preparation(experiment)
    made = cohort.artifact.config
    for part, value in wanted.items():
        if value is not None and made.get(part) != value:
            raise InputError(
                "the cohort was prepared in another way", where=part, expected=value, got=made.get(part),
                hint="give the cohort of this experiment, or prepare it from the raw files",
            )  # fmt: skip
    return cohort


def preparation(experiment: Experiment) -> dict[str, Any]:
    """Return what a cohort of an experiment depends on: its source, and the preparation of ECG and cine."""
    ecg, cmr = experiment.ecg, experiment.cmr
    return {
        "source": resolved(experiment.source),
        "ecg": None if ecg is None else ecg.model_dump(mode="json", exclude={"encoder", "pretrain", "pool"}),
        "cmr": None if cmr is None else cmr.model_dump(mode="json", exclude={"encoder", "pretrain", "pool"}),
    }


def prepare_part(experiment: Experiment, workspace: Workspace, shard: Shard, ingest: Ingest = _USUAL) -> int:
    """Read one shard's part of the raw files; `prepare` with the same experiment and folder finds it done.

    Args:
        experiment: as for `prepare`.
        workspace: folder that all shards share.
        shard: which part.
        ingest: how the raw files are read.

    Returns:
        How many records are the shard's; 0 if the cohort is there already.

    Raises:
        ArtifactError: `prepare`, or this very shard, is at work in the folder.
        ConfigError, InputError: as for `prepare`.
    """
    _check_folders(experiment, workspace)
    source = build_source(experiment)
    stage = workspace.stage("cohort", "cohort", config=_config(experiment, workspace, source), rooms=COHORT_ROOMS)
    name = f"shard {shard}"
    workspace.reporter.start(name)
    found = stage.path.exists()
    own = 0 if found else prepare_shard(
        source, shard, work=stage.work, ecg=ecg_preparation(experiment.ecg), cmr=cmr_preparation(experiment.cmr),
        fingerprint=stage.fingerprint, progress=partial(workspace.reporter.advance, name), **ingest.options(),
    )  # fmt: skip
    workspace.reporter.finish(name, cached=found)
    return own


def raw_inventory(
    source: Source, root: Path | None, out: Path, named: Sequence[Path] = (), without: Sequence[Path] = ()
) -> str:
    """Return a digest of the names, sizes and times of the raw files, so that changed data are read again.

    Args:
        source: counts by its settings where there is no folder.
        root: folder of the raw files, or None.
        out: folder of the artefacts; where it lies among the raw files it is passed over.
        named: files that the source reads wherever they lie, such as a table.
        without: files that do not count.
    """
    passed_over = {file.resolve() for file in without}
    sha = hashlib.sha256(repr(source if root is None else None).encode())
    for file in [] if root is None else _files(root.resolve(), out.resolve()):
        if file in passed_over:
            continue
        stat = file.stat()
        sha.update(f"{file.relative_to(root.resolve())}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())  # type: ignore[union-attr]
    for file in (f for f in named if f.resolve() not in passed_over):
        stat = file.stat()
        sha.update(f"{file}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return sha.hexdigest()


def named_files(source: Component) -> list[Path]:
    """Return the files that the options of a source name: they may lie outside its folder."""
    paths = [Path(value) for _, value in sorted(source.options.items()) if isinstance(value, str) and value]
    return [path for path in paths if path.is_file()]


def files_beyond(source: Source, root: Path, out: Path) -> list[Path]:
    """Return the raw files outside `root` that a source is pointed to by a list of paths.

    Of a recording that is a file all files in its folder count, as some formats keep a header, a layout or the samples
    beside it. Recordings of withdrawn participants count as well: an inventory is of files, not of persons.
    """
    places: Callable[[], list[Path]] = getattr(source, "places", list)
    whole = {place.resolve() for place in places() if place.is_dir()}
    parents = {folder.resolve() for folder in {place.parent for place in places()} if folder.is_dir()} - whole
    found = [file for folder in _beyond(whole, root) for file in _files(folder, out.resolve())]
    found += [file for folder in _beyond(parents, root) for file in folder.iterdir() if file.is_file()]
    return sorted(set(found))


def _beyond(folders: set[Path], root: Path) -> list[Path]:
    return [folder for folder in folders if not folder.is_relative_to(root.resolve())]


def withdrawal_lists(source: Source) -> list[Path]:
    """Return the files in which a source finds who has withdrawn; none of a source that knows no withdrawals.

    A list that is named and not there is left to the source, which refuses it.
    """
    lists: Callable[[], list[Path]] = getattr(source, "withdrawal_lists", list)
    return sorted(file for file in lists() if file.is_file())


def _files(root: Path, out: Path) -> list[Path]:
    passed_over = out if out.is_relative_to(root) else None
    found = (f for f in files_below(root) if passed_over is None or not f.is_relative_to(passed_over))
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


def _config(experiment: Experiment, workspace: Workspace, source: Source) -> dict[str, Any]:
    root = None if experiment.data_root is None else Path(experiment.data_root)
    lists = withdrawal_lists(source)
    named = named_files(experiment.source) + ([] if root is None else files_beyond(source, root, workspace.out))
    inventory = raw_inventory(source, root, workspace.out, named, lists)
    config = {**preparation(experiment), "inventory": inventory}
    recipe = artifact.fingerprint("cohort", config, [], artifact.code_digest(COHORT_ROOMS))
    withdrawn = hashlib.sha256("".join(artifact.file_sha256(file) for file in lists).encode()).hexdigest()
    return {**config, "recipe": recipe, "withdrawals": withdrawn}


def _cohort(experiment: Experiment, workspace: Workspace, ingest: Ingest) -> Cohort:
    source = build_source(experiment)
    config = _config(experiment, workspace, source)

    def build(stage: Stage) -> None:
        build_cohort(
            source, stage.path, work=stage.work, ecg=ecg_preparation(experiment.ecg),
            cmr=cmr_preparation(experiment.cmr), config=config, fingerprint=stage.fingerprint,
            earlier=_earlier(workspace.out, config), progress=partial(workspace.reporter.advance, stage.name),
            **ingest.options(),
        )  # fmt: skip
        workspace.forget_others(stage)

    cohort = Cohort(workspace.obtain("cohort", "cohort", build, config=config, rooms=COHORT_ROOMS))
    _warn_of_outdated(workspace, config)
    for line in kept_and_lost(cohort, experiment.protocol.task):
        workspace.reporter.say(line)
    return cohort


def _same_files(out: Path, config: Mapping[str, Any]) -> list[Path]:
    """Return the cohorts in `out` that were made from the same files under another list of withdrawals."""
    found = []
    for folder in sorted(out.glob("cohort-*")):
        try:
            theirs = artifact.read_config(folder)
        except ArtifactError:
            continue
        if theirs.get("recipe") == config["recipe"] and theirs["withdrawals"] != config["withdrawals"]:
            found.append(folder)
    return found


def _earlier(out: Path, config: Mapping[str, Any]) -> Artifact | None:
    for folder in _same_files(out, config):
        try:
            return artifact.open_artifact(folder, "cohort")
        except ArtifactError:
            continue
    return None


def _warn_of_outdated(workspace: Workspace, config: Mapping[str, Any]) -> None:
    for folder in _same_files(workspace.out, config):
        workspace.reporter.say(
            f"{folder.name} was made under another list of withdrawals: if participants have withdrawn since, delete "
            "it and what was made from it"
        )


def _protocol(experiment: Experiment, workspace: Workspace, cohort: Cohort, endpoint: str) -> Protocol:
    choices = experiment.protocol
    config = {"protocol": resolved(choices), "features": feature_names(experiment)}

    def build(stage: Stage) -> None:
        make_protocol(
            cohort, stage.path, task=choices.task, features=feature_names(experiment), split=choices.split,
            seed=choices.seed, fractions=choices.fractions, allow_leaks=choices.allow_leaks, config=config,
            fingerprint=stage.fingerprint,
        )  # fmt: skip

    found = workspace.obtain(
        f"protocol-{endpoint}" if endpoint else "protocol", "protocol", build, config=config, rooms=COHORT_ROOMS,
        parents=[cohort.artifact],
    )  # fmt: skip
    return Protocol.open(found.path, cohort)


def _division(experiment: Experiment, workspace: Workspace, protocol: Protocol) -> Artifact:
    """Return what of a protocol does not depend on its endpoint: who is in which split, and the contract of the table.

    Raises:
        ArtifactError: the protocol of another endpoint of the same experiment has divided the subjects otherwise.
    """
    own = {"split", "fractions", "seed"}
    chosen = experiment.protocol.model_dump(mode="json", include=own)
    config = {"division": chosen, "features": feature_names(experiment)}

    def build(stage: Stage) -> None:
        with stage.commit() as folder:
            for name in DIVISION:
                shutil.copyfile(protocol.artifact.file(name), folder / name)

    found = workspace.obtain(
        "division", "division", build, config=config, rooms=COHORT_ROOMS, parents=[protocol.cohort.artifact]
    )
    for name in DIVISION:
        if found.file(name).read_bytes() != protocol.artifact.file(name).read_bytes():
            raise ArtifactError(
                "two endpoints of one experiment divide the subjects or read the table in different ways",
                where=protocol.artifact.path, hint=f"delete the folders {found.path.name} and protocol-*",
            )  # fmt: skip
    return found
