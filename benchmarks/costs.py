"""What large cohorts would cost, from measured rates and counted operations."""

from __future__ import annotations

from typing import Any

H200_BF16 = 790e12
"""Operations a second of a bfloat16 matrix product on a lent H200 (its description; not measured by `speed.py`)."""
GPU_SHARE = 0.25
"""Assumed share of it that a training step reaches; assumed, not measured."""
EIGHT = 0.9
"""Assumed efficiency of eight devices."""
COHORTS = {
    "60,000 subjects, 400 epochs": (60_000 * 400, ("ecg_mae", "cmr_simclr", "cmr_ecg")),
    "10 million ECGs, 20 epochs": (10**7 * 20, ("ecg_mae", "ecg_mae_fast")),
    "10 million ECGs embedded once": (10**7, ("ecg_embedding",)),
}
TITLES = {
    "ecg_mae": "ECG masked autoencoder", "ecg_mae_fast": "the same with fewer operations",
    "cmr_simclr": "SimCLR, ResNet50, 210 px", "cmr_ecg": "alignment of CMR and ECG", "ecg_embedding": "ECG embedding",
}  # fmt: skip


def rates(found: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """Return samples a second of one core, and operations a sample, of each work that was measured."""
    measured = {row["work"]: (row["ours_per_s"], row["operations"]) for row in found["rows"] if "operations" in row}
    for line in found.get("cheaper", []):
        name = "ecg_mae_fast" if line["title"].startswith("as `fast`") else line["work"]
        measured.setdefault(name, (line["per_s"], line["operations"]))
    return measured


def two_for_one(found: dict[str, Any]) -> float:
    """Return how many times as fast as one two processes were that share a training; 2 where that was not measured."""
    lines = {(p["processes"], p["shared"], p["threads"]): p["per_s"] for p in found.get("processes", [])}
    one, two = lines.get((1, False, 1)), lines.get((2, True, 1))
    return 2.0 if one is None or two is None else two / one


def costs(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return for each cohort and work the hours on 2 cores (measured rates), one H200 and 8 (assumed share of peak)."""
    lines, measured, factor = [], rates(found), two_for_one(found)
    for what, (samples, works) in COHORTS.items():
        for work in (name for name in works if name in measured):
            per_s, operations = measured[work]
            one = samples * operations / (H200_BF16 * GPU_SHARE) / 3600
            lines.append(
                {
                    "what": what, "work": work, "gflop": operations / 1e9,
                    "two_cores_h": samples / (factor * per_s) / 3600, "h200_h": one, "eight_h200_h": one / 8 / EIGHT,
                }
            )  # fmt: skip
    return lines


def duration(hours: float) -> str:
    """Return hours with two digits, days or years."""
    if hours < 100:
        return f"{hours:.2g} h"
    return f"{hours / 24:,.0f} days" if hours < 24 * 1000 else f"{hours / 24 / 365:,.0f} years"
