"""Checkpoints of a run: immutable artefacts, two or more kept, the newest undamaged one used."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from cardiobind import artifact
from cardiobind.errors import ArtifactError, TrainingError

log = logging.getLogger(__name__)

KIND = "checkpoint"
STATE_FILE = "state.ckpt"


def save_checkpoint(
    folder: Path, round_: int, write: Callable[[Path], None], *, identity: Mapping[str, Any], keep: int,
    step: int | None = None,
) -> Path:  # fmt: skip
    """Commit the checkpoint of a round, or of a step within the next one, then delete all but the newest `keep`.

    Args:
        folder: the run's checkpoints.
        round_: rounds done.
        write: writes the state to the file it is given.
        identity: what the run is; a resumed run must have the same.
        keep: checkpoints kept, at least 2.
        step: steps done, where it is not the end of a round.
    """
    path = folder / (f"round-{round_:06d}" if step is None else f"round-{round_:06d}-step-{step:09d}")
    with artifact.commit(path, KIND, config=identity) as partial:
        write(partial / STATE_FILE)
    for old in _checkpoints(folder)[keep:]:
        shutil.rmtree(old)
    return path


def newest_checkpoint(folder: Path, identity: Mapping[str, Any]) -> artifact.Artifact | None:
    """Return the newest undamaged checkpoint, or None if there is none.

    A torn or altered checkpoint is set aside with a warning and the one before it is tried.

    Args:
        folder: the run's checkpoints; need not exist.
        identity: what the run is.

    Raises:
        TrainingError: the folder belongs to another run.
    """
    if folder.is_dir():
        artifact.remove_partials(folder)
    for path in _checkpoints(folder):
        try:
            checkpoint = artifact.open_artifact(path, KIND)
        except ArtifactError as error:
            log.warning("checkpoint %s is damaged and is skipped: %s", path.name, error.what)
            _set_aside(path)
            continue
        _check_identity(checkpoint, identity)
        return checkpoint
    return None


def settings_of_run(folder: Path) -> Mapping[str, Any]:
    """Return the settings of the run whose checkpoints lie in a folder; none where none of them can be read."""
    for path in _checkpoints(folder):
        try:
            settings: Mapping[str, Any] = artifact.read_manifest(path)["config"]["settings"]
        except (ArtifactError, KeyError):
            continue
        return settings
    return {}


def read_state(checkpoint: artifact.Artifact) -> dict[str, Any]:
    """Return the state that a checkpoint holds, on the CPU; no code in it is run."""
    state: dict[str, Any] = torch.load(checkpoint.file(STATE_FILE), map_location="cpu", weights_only=True)
    return state


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob("round-*"), reverse=True)


def _set_aside(path: Path) -> None:
    aside = path.with_name(f"damaged-{path.name}")
    shutil.rmtree(aside, ignore_errors=True)
    path.rename(aside)


def _check_identity(checkpoint: artifact.Artifact, identity: Mapping[str, Any]) -> None:
    found, wanted = _flat(checkpoint.config), _flat(identity)
    differing = sorted(name for name in wanted if found.get(name) != wanted[name])
    if differing:
        raise TrainingError(
            "the work folder holds checkpoints of another run",
            where=checkpoint.path.parent,
            expected=", ".join(f"{name} {wanted[name]}" for name in differing),
            got=", ".join(f"{name} {found.get(name)}" for name in differing),
            hint="ask for what the run was begun with, choose another work folder, or delete this one",
        )


def _flat(identity: Mapping[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in identity.items() if name != "settings"}
    return {**rest, **identity.get("settings", {})}
