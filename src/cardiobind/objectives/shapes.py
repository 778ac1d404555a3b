"""Checks of what contrastive losses are given."""

from __future__ import annotations

from torch import Tensor

from cardiobind.errors import InputError


def check_rows(embeddings: tuple[Tensor, ...], temperature: float | Tensor) -> None:
    """Check that embeddings are (n, d) of one shape with n at least 2, and that a fixed temperature is positive.

    Raises:
        InputError: they are not.
    """
    first = embeddings[0]
    if any(z.shape != first.shape for z in embeddings) or first.ndim != 2 or len(first) < 2:
        got = " and ".join(str(tuple(z.shape)) for z in embeddings)
        raise InputError("the embeddings do not match", expected="(n, d) each, n >= 2", got=got)
    if not isinstance(temperature, Tensor) and not temperature > 0.0:
        raise InputError("the temperature must be positive", got=temperature)
