"""What an encoder has to offer so that its future can be predicted from its past."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class SequenceEncoder(Protocol):
    """An encoder in two parts: tokens that see a short stretch of signal, and their context.

    Attributes:
        causal: whether the context of a token depends on no later token.
    """

    causal: bool

    def local(self, x: Tensor) -> Tensor:
        """Return local tokens (B, N, width) in order of time, of ECGs (B, 12, T)."""
        ...

    def context(self, tokens: Tensor) -> Tensor:
        """Return local tokens (B, N, width) in their context; ``forward`` is ``context(local(x))``."""
        ...
