"""A bundle in the layout of model hubs: the same bytes under the names that hubs know."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from cardiobind.artifact import MANIFEST, Artifact, canonical_json, file_sha256
from cardiobind.errors import ArtifactError, CorruptArtifactError, InputError

CONFIG = "config.json"
MODEL_TYPE = "cardiobind"
HUB_VERSION = 1
HUB_NAMES = {"contract.json": "preprocessor_config.json", "weights.safetensors": "model.safetensors"}
"""Names of a bundle's files in the layout; other files keep theirs."""


class HubFolder(Artifact):
    """A bundle in the layout of hubs; files are asked for by their names in the bundle."""

    def file(self, name: str) -> Path:
        """Return the path of a file by its name in a bundle.

        Raises:
            CorruptArtifactError: the folder has no such file.
        """
        if name not in self.manifest["files"]:
            raise CorruptArtifactError("the folder has no such file", where=self.path / hub_name(name))
        return self.path / hub_name(name)


def hub_name(name: str) -> str:
    """Return the name in the layout of hubs of a bundle's file."""
    return HUB_NAMES.get(name, name)


def is_hub(path: Path | str) -> bool:
    """Tell whether a folder is in the layout of hubs and not an artefact."""
    return (Path(path) / CONFIG).is_file() and not (Path(path) / MANIFEST).exists()


def open_hub(path: Path | str) -> HubFolder:
    """Open a bundle in the layout of hubs, each of its files checked; other files in the folder are not looked at.

    Args:
        path: the folder.

    Raises:
        ArtifactError: it holds another kind of model, or is of a newer layout.
        CorruptArtifactError: a file is missing or is not what was written.
    """
    path = Path(path)
    config = _config(path)
    for name, entry in config["files"].items():
        file = path / hub_name(name)
        if not file.is_file():
            raise CorruptArtifactError("a file is missing", where=file)
        if file.stat().st_size != entry["bytes"] or file_sha256(file) != entry["sha256"]:
            raise CorruptArtifactError("a file was altered: its hash differs", where=file)
    manifest = {
        "kind": "bundle",
        "schema_version": config.get("schema_version", 1),
        "parents": [],
        "config": {},
        "digest": config["bundle"],
    }
    return HubFolder(path, {**manifest, "files": config["files"]})


def config_digest(config: Mapping[str, Any]) -> str:
    """Return the digest of what `config.json` says beside it."""
    body = {name: value for name, value in config.items() if name != "digest"}
    return hashlib.sha256(canonical_json(body).encode()).hexdigest()


def _config(path: Path) -> dict[str, Any]:
    file = path / CONFIG
    try:
        config = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise CorruptArtifactError("the configuration cannot be read", where=file) from error
    if not isinstance(config, dict) or config.get("model_type") != MODEL_TYPE:
        raise ArtifactError(
            "no cardiobind model here", where=file, expected=f"a folder of `cardiobind export --hub` ({MODEL_TYPE})"
        )
    if not isinstance(config.get("hub_version"), int) or config["hub_version"] > HUB_VERSION:
        raise ArtifactError(
            "folder of a newer layout", where=file, expected=f"at most {HUB_VERSION}", hint="update cardiobind"
        )
    if not _whole(config):
        raise CorruptArtifactError("the configuration was altered after it was written", where=file)
    return config


def _whole(config: Mapping[str, Any]) -> bool:
    try:
        files = config["files"]
        plain = all(
            PurePosixPath(name).name == name and set(entry) == {"bytes", "sha256"} for name, entry in files.items()
        )
        return plain and isinstance(config["bundle"], str) and config_digest(config) == config["digest"]
    except (KeyError, TypeError, AttributeError, InputError):
        return False
