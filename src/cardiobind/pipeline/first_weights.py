"""Encoders that start from a file of weights, such as the public ones of the field, instead of random ones."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from cardiobind.artifact import file_sha256
from cardiobind.config import resolved
from cardiobind.config.parts import EncoderConfig, WeightsConfig
from cardiobind.errors import ConfigError, InputError
from cardiobind.modalities.spec import InputSpec
from cardiobind.models import Encoder, ViT, build_encoder, load_weights, resized_positions, spread_channels

POSITIONS = "pos_embed"
_WRAPPERS = ("state_dict", "model")
"""Entries under which public files keep the weights beside other things."""


def first_encoder(chosen: EncoderConfig, spec: InputSpec) -> Encoder:
    """Return an encoder with its first weights: those of its file if it names one, else random ones.

    Args:
        chosen: kind, options and weights.
        spec: what it is fed.

    Raises:
        ConfigError: an option is wrong, or the file is not there, cannot be read or does not fit; the message names the
            weights that are missing, unexpected or of another shape.
    """
    options = {k: tuple(v) if isinstance(v, list | tuple) else v for k, v in chosen.options.items()}
    encoder = build_encoder(chosen.kind, spec, **options)
    if chosen.weights is not None:
        _fill(encoder, chosen.weights, f"{spec.modality}.encoder.weights")
    return encoder


def encoder_facts(chosen: EncoderConfig) -> dict[str, Any]:
    """Return what decides an encoder's first weights, JSON-compatible: of a file its hash and not its place.

    Raises:
        ConfigError: the file is not there.
    """
    facts = resolved(chosen)
    if chosen.weights is not None:
        rest = {name: value for name, value in facts["weights"].items() if name != "file"}
        facts["weights"] = {"sha256": _sha256(chosen.weights.file), **rest}
    return facts


def _fill(encoder: nn.Module, chosen: WeightsConfig, where: str) -> None:
    state = _state(chosen.file, chosen.entry, where)
    try:
        part = encoder.get_submodule(chosen.into)
    except AttributeError as error:
        parts = ", ".join(name for name, _ in encoder.named_children())
        raise ConfigError("the encoder has no such part", where=f"{where}.into", got=chosen.into, hint=parts) from error
    if chosen.spread:
        state = _spread(part, state, chosen.prefix, chosen.spread, where)
    if chosen.positions:
        state = _place(part, state, chosen, where)
    try:
        load_weights(part, state, prefix=chosen.prefix, ignore=chosen.ignore)
    except InputError as error:
        raise ConfigError(error.what, where=where, got=error.got, hint=error.hint) from error


def _spread(part: nn.Module, state: Mapping[str, Tensor], prefix: str, name: str, where: str) -> dict[str, Tensor]:
    own, kernel = part.state_dict().get(name), state.get(prefix + name)
    if own is None or kernel is None or own.ndim != 4 or kernel.ndim != 4:
        raise ConfigError(
            "no such kernel (outputs, channels, rows, columns) in encoder and file", where=f"{where}.spread", got=name
        )
    return {**state, prefix + name: spread_channels(kernel, own.shape[1])}


def _place(part: nn.Module, state: Mapping[str, Tensor], chosen: WeightsConfig, where: str) -> dict[str, Tensor]:
    name, where = f"{chosen.prefix}{POSITIONS}", f"{where}.positions"
    own, found = part.state_dict().get(POSITIONS), state.get(name)
    if own is None or not isinstance(part, ViT):
        hint = "options = { positions = 'learned' }"
        raise ConfigError("the encoder has no learned positions", where=where, hint=hint)
    if found is None or found.ndim != 3 or found.shape[2] != own.shape[2]:
        got = None if found is None else tuple(found.shape)
        raise ConfigError("no positions of that width in the file", where=where, expected=tuple(own.shape), got=got)
    cells = found.shape[1] - own.shape[1]
    if chosen.positions == "exact":
        if cells not in (0, 1):
            raise ConfigError(
                "positions of another number of patches", where=where, expected=own.shape[1], got=found.shape[1],
                hint="positions = 'interpolate'",
            )  # fmt: skip
        return {**state, name: found[:, cells:]}
    try:
        return {**state, name: resized_positions(found, part.grid)}
    except InputError as error:
        raise ConfigError(error.what, where=where, got=error.got) from error


def _state(file: str, entry: str, where: str) -> Mapping[str, Tensor]:
    _sha256(file)
    try:
        found: Any = load_file(file) if file.endswith(".safetensors") else _torch_file(file)
    except Exception as error:  # bytes that are no weights may raise anything
        raise ConfigError(
            "the weights cannot be read", where=where, got=f"{file}: {type(error).__name__}",
            expected="safetensors, or what torch.save wrote of tensors alone",
        ) from error  # fmt: skip
    if entry:
        found = _entry(found, entry, where)
    for wrapper in _WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise ConfigError("the file holds more than named tensors", where=where, got=file)
    return found


def _entry(found: Any, entry: str, where: str) -> Any:
    entries = found if isinstance(found, Mapping) else {}
    if not isinstance(entries.get(entry), Mapping):
        named = " | ".join(str(name) for name, value in entries.items() if isinstance(value, Mapping))
        raise ConfigError("the file has no such entry of weights", where=f"{where}.entry", expected=named, got=entry)
    return entries[entry]


def _torch_file(file: str) -> Any:
    # command lines that made a file are kept beside its weights by many, as argparse leaves them
    with torch.serialization.safe_globals([argparse.Namespace]):
        return torch.load(file, map_location="cpu", weights_only=True)


def _sha256(file: str) -> str:
    path = Path(file)
    if not path.is_file():
        hint = "a relative path counts from the current folder"
        raise ConfigError("no file of weights there", where="encoder.weights.file", got=file, hint=hint)
    stat = path.stat()
    return _hashed(path.resolve(), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=16)
def _hashed(path: Path, size: int, changed_ns: int) -> str:
    """Return the hash of a file; its size and time of change are asked for so that a changed one is read again."""
    return file_sha256(path)
