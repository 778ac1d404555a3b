"""Checks of paths that a verb makes before it imports anything slow: is it there, and may it be written?"""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import typer

from cardiobind import artifact
from cardiobind.errors import ArtifactError, CardiobindError, InputError

HUB_CONFIG = "config.json"
BUNDLE = "bundle"
MOST_NAMED = 3
_MADE_BY = {
    "bundle": "`cardiobind export PREDICTOR BUNDLE` makes one of a predictor",
    "index": "`cardiobind index ALIGNED INDEX` makes one of an alignment",
}

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Write over what is at --out already.")]


def check_artifact(path: Path, *kinds: str) -> None:
    """Check that an artefact of one of the kinds is at a path, by its manifest alone; else say where one may be.

    Raises:
        ArtifactError, CorruptArtifactError: there is none, or its manifest was altered.
    """
    if BUNDLE in kinds and (path / HUB_CONFIG).is_file() and not (path / artifact.MANIFEST).exists():
        return
    if not (path / artifact.MANIFEST).is_file():
        raise ArtifactError(
            f"no {' or '.join(kinds)} here", where=path, expected=f"a folder with {artifact.MANIFEST}",
            hint=_where_else(path, kinds),
        )  # fmt: skip
    got = str(artifact.read_manifest(path)["kind"])
    if got not in kinds:
        hint = "give it as --bundle" if got == BUNDLE and "encoder" in kinds else _MADE_BY.get(kinds[0])
        raise ArtifactError("artefact of another kind", where=path, expected=" | ".join(kinds), got=got, hint=hint)


def _where_else(path: Path, kinds: tuple[str, ...]) -> str | None:
    if not path.exists():
        beside = path.parent.iterdir() if path.parent.is_dir() else ()
        near = get_close_matches(path.name, [one.name for one in beside if one.is_dir()], n=1)
        return f"did you mean {path.parent / near[0]}?" if near else "there is no such folder: correct the path"
    if path.is_file():
        whole = path.parent
        return f"did you mean the folder, {whole}?" if _kind(whole) in kinds else "give the folder, not a file"
    named = [path / BUNDLE] if _kind(path / BUNDLE) in kinds else _inside(path, kinds)
    if named:
        return f"did you mean {' or '.join(map(str, named[:MOST_NAMED]))}?"
    if any(_kind(one) for one in path.iterdir()):
        return f"the folder of a run that holds none; {_MADE_BY.get(kinds[0], 'run its stage first')}"
    return None


def _inside(path: Path, kinds: tuple[str, ...]) -> list[Path]:
    return sorted(one for one in path.iterdir() if _kind(one) in kinds and not one.is_symlink())


def _kind(path: Path) -> str | None:
    try:
        return str(artifact.read_manifest(path)["kind"])
    except (CardiobindError, OSError):
        return None


def check_free(out: Path, *, overwrite: bool = False) -> None:
    """Check that a page or folder can be written without writing over another.

    Raises:
        InputError: something is at `out` and `overwrite` is not said, or its folder is not there.
    """
    taken = os.path.lexists(out) and not (out.is_dir() and not any(out.iterdir()))
    if taken and not overwrite:
        raise InputError(
            "there is something at that path already", where=out, hint="choose another --out, or say --overwrite"
        )
    if not out.absolute().parent.is_dir():
        raise InputError("no folder to write into", where=out, hint="make it first")
