"""Stretches of an ECG at fixed places."""

from __future__ import annotations

from torch import Tensor


def spaced_crops(x: Tensor, length: int, count: int) -> list[Tensor]:
    """Cut `count` evenly spaced stretches (B, 12, length) out of ECGs (B, 12, T); a single one is central."""
    room = x.shape[2] - length
    starts = [room // 2] if count == 1 else [round(i * room / (count - 1)) for i in range(count)]
    return [x[:, :, start : start + length] for start in starts]
