"""A bundle as a folder for model hubs, and as a bundle that knows nothing of the folders it came from."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from cardiobind import artifact
from cardiobind.artifact import Artifact
from cardiobind.errors import ArtifactError, ArtifactExistsError
from cardiobind.inference import NOTICE
from cardiobind.inference.bundle import KIND, BundleContract, open_bundle
from cardiobind.inference.hub import CONFIG, HUB_VERSION, MODEL_TYPE, config_digest, hub_name
from cardiobind.sharing.card import CardFacts, model_card

CARD = "README.md"


@dataclass(frozen=True)
class HubFolderWritten:
    """What was written.

    Attributes:
        path: the folder.
        files: names in it.
        bundle: digest of the bundle.
    """

    path: Path
    files: tuple[str, ...]
    bundle: str


def export_hub(
    bundle: Path | str, out: Path | str, *, licence: str = "other", metrics: Mapping[str, Any] | None = None
) -> HubFolderWritten:
    """Write a bundle in the layout of model hubs; `cardiobind.load` opens it.

    Weights and contract are the bundle's files byte for byte, so scores are the same to the bit.

    Args:
        bundle: folder of a bundle.
        out: folder to write; must not exist.
        licence: of the weights, by its name on the hub, for the card; whoever shares them decides.
        metrics: what a run wrote to ``metrics.json``, for the card.

    Raises:
        ArtifactError, CorruptArtifactError, InputError: as `cardiobind.inference.open_bundle`; or `out` exists.
    """
    found, contract, _ = open_bundle(bundle)
    with _appearing(Path(out)) as folder:
        for name in found.manifest["files"]:
            shutil.copyfile(found.file(name), folder / hub_name(name))
        config = _config(found, contract)
        (folder / CONFIG).write_text(json.dumps(config, indent=1, allow_nan=False) + "\n")
        facts = CardFacts(found.digest, licence, metrics or {})
        (folder / CARD).write_text(model_card(contract, facts), encoding="utf-8")
        names = tuple(sorted(file.name for file in folder.iterdir()))
    return HubFolderWritten(Path(out), names, found.digest)


def export_release(bundle: Path | str, out: Path | str) -> Artifact:
    """Write a bundle again without the places of what it was made from; digests of its parents stay.

    Args:
        bundle: folder of a bundle.
        out: folder of the copy; must not exist.

    Raises:
        ArtifactError, CorruptArtifactError, InputError: as `cardiobind.inference.open_bundle`; or `out` exists.
    """
    found, _, _ = open_bundle(bundle)
    parents = [Artifact(Path(), parent) for parent in found.manifest["parents"]]
    kept = {"fingerprint": found.manifest.get("fingerprint", ""), "schema_version": found.manifest["schema_version"]}
    with artifact.commit(out, KIND, parents=parents, placed=False, **kept) as folder:
        for name in found.manifest["files"]:
            shutil.copyfile(found.file(name), folder / name)
    return artifact.open_artifact(out, KIND)


def _config(found: Artifact, contract: BundleContract) -> dict[str, Any]:
    described = contract.to_json()
    parts = {name: described[name] for name in ("task", "title", "kind", "encoders", "pool", "fusion")}
    config = {
        "model_type": MODEL_TYPE,
        "architectures": ["Fusion"],
        "hub_version": HUB_VERSION,
        "cardiobind_version": metadata.version("cardiobind"),
        "bundle": found.digest,
        "schema_version": found.manifest["schema_version"],
        **parts,
        "files": dict(found.manifest["files"]),
        "notice": NOTICE,
    }
    return config | {"digest": config_digest(config)}


@contextmanager
def _appearing(out: Path) -> Iterator[Path]:
    """Give a private folder that becomes `out` when the block ends well."""
    out = out.absolute()
    if os.path.lexists(out):
        raise ArtifactExistsError("there is something at that path already", where=out, hint="choose another path")
    partial = out.parent / f".{out.name}.partial-{uuid.uuid4().hex}"
    try:
        partial.mkdir(parents=True)
        yield partial
        partial.rename(out)
    except OSError as error:
        raise ArtifactError("the folder could not be written", where=out, got=error.strerror) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
