"""Many comparisons at once: p values adjusted over a stated family."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DEFAULT = "holm"
_TESTS = ("both", "delong")


def holm(p: Floats) -> Floats:
    """Return p values adjusted so that the chance of any false finding in the family stays below the level.

    Args:
        p: (n,), NaN where undefined; those do not count.

    Source: Holm 1979, Scandinavian Journal of Statistics 6:65-70.
    """
    return _adjusted(p, lambda q: np.maximum.accumulate(q * np.arange(len(q), 0, -1)))


def benjamini_hochberg(p: Floats) -> Floats:
    """Return p values adjusted so that the expected share of false among all findings stays below the level.

    Args:
        p: (n,), NaN where undefined; those do not count.

    Source: Benjamini and Hochberg 1995, Journal of the Royal Statistical Society B 57:289-300.
    """
    return _adjusted(
        p, lambda q: np.minimum.accumulate((q * len(q) / np.arange(1, len(q) + 1))[::-1])[::-1]
    )  # fmt: skip


def adjust(entries: Sequence[dict[str, Any]], family: str) -> list[dict[str, Any]]:
    """Add ``family``, ``family_size``, ``p_holm`` and ``p_bh`` to differences that make up one family, in place.

    The p values over both causes and DeLong's, where there are any, are adjusted in the same family among themselves.

    Args:
        entries: differences with ``p`` and, perhaps, ``both`` and ``delong``.
        family: its name.

    Returns:
        For ``metrics.json``: the family, its size and how many of it are undefined; nothing where it is empty.
    """
    if not entries:
        return []
    _write(entries)
    for test in _TESTS:
        _write([entry[test] for entry in entries if test in entry])
    size = sum(entry["p"] is not None for entry in entries)
    for entry in entries:
        entry |= {"family": family, "family_size": size}
    return [{"family": family, "size": size, "undefined": len(entries) - size}]


def adjust_by_metric(entries: Sequence[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Adjust the differences of each metric among themselves; arguments and result as `adjust`."""
    metrics = dict.fromkeys(entry["metric"] for entry in entries)
    return [
        family
        for metric in metrics
        for family in adjust([e for e in entries if e["metric"] == metric], f"{name}: {metric}")
    ]


def _write(entries: Sequence[dict[str, Any]]) -> None:
    p = np.array([np.nan if entry["p"] is None else entry["p"] for entry in entries], np.float64)
    for key, method in _METHODS.items():
        for entry, value in zip(entries, method(p), strict=True):
            entry[key] = float(value) if np.isfinite(value) else None


def _adjusted(p: Floats, along: Callable[[Floats], Floats]) -> Floats:
    out: Floats = np.full(len(p), np.nan)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    out[order] = np.minimum(1.0, along(p[order]))
    return out


_METHODS: Mapping[str, Callable[[Floats], Floats]] = {"p_holm": holm, "p_bh": benjamini_hochberg}
