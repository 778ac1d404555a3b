"""One TOML file an experiment, read into strict and frozen models, with dotted overrides and a stable digest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from cardiobind.config.explain import explain, origin
from cardiobind.config.overrides import apply_override
from cardiobind.errors import ConfigError

__all__ = []
