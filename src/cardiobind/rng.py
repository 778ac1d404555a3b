"""Randomness as a function of (seed, purpose, keys), never of history, so that a killed run ends with the same bits."""

from __future__ import annotations

import hashlib
from operator import index

import numpy as np

Key = int | str


def _digest(seed: int, purpose: str, keys: tuple[Key, ...]) -> bytes:
    text = "\x1f".join([str(index(seed)), purpose, *(_text(key) for key in keys)])
    return hashlib.sha256(text.encode()).digest()


def _text(key: Key) -> str:
    return f"str:{key}" if isinstance(key, str) else f"int:{index(key)}"


def generator(seed: int, purpose: str, *keys: Key) -> np.random.Generator:
    """Return a NumPy generator (Philox) that depends on nothing but its arguments.

    Args:
        seed: the run's seed.
        purpose: what the numbers are for ("split", "noise"), so that two uses never share a stream.
        keys: epoch, step or subject; a NumPy integer counts as the int it equals.

    Raises:
        TypeError: the seed or a key is a float, which would not be the same number everywhere.
    """
    words = np.frombuffer(_digest(seed, purpose, keys)[:16], dtype="<u8").astype(np.uint64)
    return np.random.Generator(np.random.Philox(key=words))


def integer(seed: int, purpose: str, *keys: Key) -> int:
    """Return a 63-bit seed for another library, such as ``torch.manual_seed``."""
    return int.from_bytes(_digest(seed, purpose, keys)[:8], "big") >> 1


def uniform(seed: int, purpose: str, *keys: Key) -> float:
    """Return a number in [0, 1), for instance to place a subject in a split whoever else is there."""
    return (int.from_bytes(_digest(seed, purpose, keys)[:8], "big") >> 11) / float(1 << 53)
