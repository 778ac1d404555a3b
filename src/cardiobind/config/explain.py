"""What is wrong with an experiment, in the words of the file it was written in."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from cardiobind.errors import ConfigError

MOST_PROBLEMS = 5


def origin(error: ValidationError, overrides: Sequence[str], where: str) -> str:
    """Return where what is wrong was written: in the file `where`, or in one of the overrides."""
    place = ".".join(str(part) for part in _problems(error)[0]["loc"])
    keys = [word.partition("=")[0] for word in overrides]
    guilty = [key for key in keys if f"{place}.".startswith(f"{key}.")]
    return f"command line, {guilty[-1]}" if guilty else where


def _problems(error: ValidationError) -> list[Any]:
    """Return what is wrong, unknown names first: one that is misspelt makes others missing."""
    return sorted(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")


def explain(error: ValidationError, where: str, root: type[BaseModel]) -> ConfigError:
    """Return an error that says which field is wrong, what was there, and the nearest name of a misspelt one.

    Args:
        error: of pydantic.
        where: file or override.
        root: model that was read.
    """
    first, *others = _problems(error)
    place = ".".join(str(part) for part in first["loc"])
    hint = _nearest(root, first["loc"]) if first["type"] == "extra_forbidden" else None
    what = f"{place or 'experiment'}: {first['msg']}"
    for other in others[: MOST_PROBLEMS - 1]:
        what += f"; {'.'.join(str(part) for part in other['loc'])}: {other['msg']}"
    more = f" (and {len(others) + 1 - MOST_PROBLEMS} more)" if len(others) >= MOST_PROBLEMS else ""
    return ConfigError(what + more, where=where, got=_short(first.get("input")), hint=hint)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _nearest(root: type[BaseModel], loc: tuple[int | str, ...]) -> str:
    annotation: object = root
    for part in loc[:-1]:
        annotation = _below(annotation, part)
    model = _find_model(annotation)
    fields = list(model.model_fields) if model else []
    near = difflib.get_close_matches(str(loc[-1]), fields, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"fields there: {', '.join(fields)}"


def _below(annotation: object, part: int | str) -> object:
    """Return the annotation of what a part of a path leads to: an entry of a list or dict, or a field of a model."""
    if isinstance(part, int):
        return annotation
    if get_origin(annotation) is dict:
        return get_args(annotation)[1]
    model = _find_model(annotation)
    return model.model_fields[part].annotation if model and part in model.model_fields else None


def _find_model(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for m in map(_find_model, get_args(annotation)) if m is not None), None)
