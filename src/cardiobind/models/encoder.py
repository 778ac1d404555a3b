"""What every encoder offers, the registry of encoders, and their options checked before any work."""

from __future__ import annotations

import importlib.util
import inspect
import typing
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError
from torch import nn

from cardiobind.errors import ConfigError
from cardiobind.modalities.cmr.layouts import optional_places
from cardiobind.modalities.spec import InputSpec
from cardiobind.registry import Registry, did_you_mean


class Encoder(nn.Module):
    """The interface of an encoder: ``forward(x)`` turns a batch (B, *inputs.shape) into tokens (B, N, width).

    A plug-in sets the attributes below; its constructor takes ``inputs`` and then keyword-only options with defaults.

    Attributes:
        inputs: what it is fed.
        width: length of a token.
        modalities: which modalities the class can encode.
        requires: package that its constructor imports, and the extra that brings it; empty: none.
        takes_absent_places: whether it leaves out the planes of a long-axis view that a subject lacks.
    """

    inputs: InputSpec
    width: int
    modalities: ClassVar[tuple[str, ...]] = ()
    requires: ClassVar[tuple[str, ...]] = ()
    takes_absent_places: ClassVar[bool] = False


ENCODERS: Registry[type[Encoder]] = Registry("encoder")


def encoder_options(kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the complete options of an encoder, defaults filled in, without building it.

    Args:
        kind: a name in `ENCODERS`.
        options: keyword arguments of its constructor; a list stands for a tuple, as TOML has no tuples.

    Raises:
        UnknownNameError: no encoder of that kind.
        ConfigError: an option is unknown or of the wrong type.
    """
    factory = ENCODERS.get(kind)
    hints = typing.get_type_hints(factory.__init__)
    parameters = inspect.signature(factory).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    for name in options:
        if name not in defaults:
            hint = did_you_mean(name, tuple(defaults))
            raise ConfigError(f"unknown option {name!r} of encoder {kind!r}", where=f"{kind}.{name}", hint=hint)
    return {name: _typed(kind, name, options.get(name, default), hints[name]) for name, default in defaults.items()}


def _typed(kind: str, name: str, value: Any, hint: Any) -> Any:
    value = tuple(value) if isinstance(value, list) else value
    try:
        return TypeAdapter(hint, config=ConfigDict(strict=True, allow_inf_nan=False)).validate_python(value)
    except ValidationError as error:
        problem = f"option {name!r} of encoder {kind!r} has the wrong type"
        expected = hint.__name__ if isinstance(hint, type) else hint
        raise ConfigError(problem, where=f"{kind}.{name}", expected=expected, got=repr(value)) from error


def build_encoder(kind: str, inputs: InputSpec, **options: Any) -> Encoder:
    """Build a randomly initialised encoder of a registered kind for one modality.

    Args:
        kind: a name in `ENCODERS`.
        inputs: what it will be fed.
        options: keyword arguments of its constructor.

    Raises:
        UnknownNameError: no encoder of that kind.
        ConfigError: an option is unknown, of the wrong type or out of range, the encoder is for another modality or for
            layouts without long-axis views, or its package is not installed.
    """
    factory = ENCODERS.get(kind)
    if inputs.modality not in factory.modalities:
        fitting = [name for name in ENCODERS if inputs.modality in ENCODERS.get(name).modalities]
        raise ConfigError(
            f"encoder {kind!r} cannot encode {inputs.modality!r}",
            expected=" | ".join(factory.modalities),
            hint=f"for {inputs.modality!r} choose one of: {', '.join(fitting)}",
        )
    refuse_missing_extra(kind)
    refuse_absent_places(kind, inputs)
    return factory(inputs, **encoder_options(kind, options))


def refuse_missing_extra(kind: str) -> None:
    """Refuse an encoder whose package is not installed.

    Raises:
        UnknownNameError: no encoder of that kind.
        ConfigError: naming the extra that brings the package.
    """
    required = ENCODERS.get(kind).requires
    if required and importlib.util.find_spec(required[0]) is None:
        raise ConfigError(
            f"encoder {kind!r} needs {required[0]}, which is not installed", where="encoder.kind", got=kind,
            hint=f"pip install 'cardiobind[{required[1]}]', or choose another encoder",
        )  # fmt: skip


def refuse_absent_places(kind: str, inputs: InputSpec) -> None:
    """Refuse a layout in which subjects may lack a place, for an encoder that does not leave it out.

    Raises:
        UnknownNameError: no encoder of that kind.
        ConfigError: naming those that do.
    """
    absent = optional_places(inputs.names)
    if absent and not ENCODERS.get(kind).takes_absent_places:
        fitting = [name for name in ENCODERS if ENCODERS.get(name).takes_absent_places]
        raise ConfigError(
            f"encoder {kind!r} would take an absent view for a black image", where="cmr.long_axis",
            got=", ".join(absent), hint=f"choose one of: {', '.join(fitting)}; or leave long_axis empty",
        )  # fmt: skip
