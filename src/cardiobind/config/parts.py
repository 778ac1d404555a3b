"""What sections of an experiment are made of: strict models, entries of registries, first weights of an encoder."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

Scalar = bool | int | float | str
Option = Scalar | tuple[Scalar, ...] | dict[str, Scalar]


class Strict(BaseModel):
    """A frozen section in which every field is known and of its type."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)
    sparse: ClassVar[tuple[str, ...]] = ()
    """Fields that are written only where they are used, so that an experiment without them keeps its digest."""

    @model_serializer(mode="wrap")
    def _leave_out_unused(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        return {name: value for name, value in data.items() if value or name not in self.sparse}


class Component(Strict):
    """An entry of a registry and its keyword arguments."""

    kind: str
    options: dict[str, Option] = Field(default_factory=dict)


class WeightsConfig(Strict):
    """A file of weights that an encoder starts from, see `cardiobind.pipeline.first_weights`.

    ``prefix`` and ``ignore`` as of `cardiobind.models.load_weights`; ``into`` names a part of the encoder to fill
    instead of all of it, ``spread`` the kernel of three colours that is spread over the planes of a CMR, ``entry`` the
    entry of the file that holds the weights beside others, and ``positions`` says that learned positions are those of
    as many patches (``exact``) or may be interpolated (``interpolate``); a class token's is left out.
    """

    file: str
    prefix: str = ""
    ignore: tuple[str, ...] = ()
    into: str = ""
    spread: str = ""
    entry: str = ""
    positions: Literal["", "exact", "interpolate"] = ""
    sparse = ("prefix", "ignore", "into", "spread", "entry", "positions")


class EncoderConfig(Component):
    """An encoder; ``weights`` are its first ones wherever it would begin with random ones."""

    weights: WeightsConfig | None = None
    sparse = ("weights",)


Pool = str | Component
"""A name in `cardiobind.models.POOLS`, or name and options."""


def pool_in_words(pool: Pool) -> Any:
    """Return a pool as `cardiobind.models.build_pool` takes it: its name, or name and options."""
    if isinstance(pool, str):
        return pool
    return pool.model_dump(mode="json") if pool.options else pool.kind
