"""Which arithmetic a training uses: bfloat16 products where the hardware multiplies faster in it, else float32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch

from cardiobind.errors import ConfigError
from cardiobind.training.device import device_kind

PrecisionName = Literal["auto", "32-true", "bf16-mixed"]
PRECISIONS: tuple[PrecisionName, ...] = ("auto", "32-true", "bf16-mixed")


@dataclass(frozen=True)
class Precision:
    """An arithmetic and why it was chosen.

    Attributes:
        name: ``32-true``, or ``bf16-mixed``: weights, sums, losses and normalisations in float32, products of matrices
            and convolutions in bfloat16.
        reason: for a person.
    """

    name: Literal["32-true", "bf16-mixed"]
    reason: str

    def __str__(self) -> str:
        return f"{self.name} ({self.reason})"


def choose_precision(wanted: PrecisionName = "auto", accelerator: str = "auto") -> Precision:
    """Return the arithmetic of a training.

    Args:
        wanted: ``auto`` leaves the choice to the hardware; the others are taken as they are.
        accelerator: ``auto``, ``cpu``, ``cuda`` (or ``gpu``) or ``mps``.

    Raises:
        ConfigError: there is no such precision.
    """
    if wanted not in PRECISIONS:
        raise ConfigError("unknown precision", where="precision", expected=" | ".join(PRECISIONS), got=wanted)
    if wanted != "auto":
        return Precision(wanted, "as asked for")
    device = device_kind(accelerator)
    fast = {"cuda": _gpu_multiplies_bf16, "cpu": _cpu_multiplies_bf16}.get(device, lambda: None)()
    if fast is None:
        return Precision("32-true", f"this {device} has no fast bfloat16")
    return Precision("bf16-mixed", f"this {device} has {fast}")


def multiplying(wanted: PrecisionName, device: torch.device) -> torch.autocast:
    """Return the context in which networks multiply in a precision.

    Args:
        wanted: as in `choose_precision`.
        device: that they are on.

    Raises:
        ConfigError: there is no such precision.
    """
    half = choose_precision(wanted, device.type).name == "bf16-mixed"
    return torch.autocast(device.type, torch.bfloat16, enabled=half)


def _gpu_multiplies_bf16() -> str | None:
    if not torch.cuda.is_available() or not torch.cuda.is_bf16_supported(including_emulation=False):
        return None
    return "bfloat16 tensor cores"


def _cpu_multiplies_bf16() -> str | None:
    cpu: Any = torch.cpu
    for instructions, test in {"AMX": "_is_amx_tile_supported", "AVX512-BF16": "_is_avx512_bf16_supported"}.items():
        if hasattr(cpu, test) and getattr(cpu, test)():
            return instructions
    return None
