"""The page of `gpu.py`, and what large cohorts would cost at the measured rates."""

from __future__ import annotations

from typing import Any

from page import rate, table

TITLES = {
    "ecg_mae": "ECG masked autoencoder, two views, step", "ecg_mae_fast": "the same, one view, a third decoded",
    "simclr": "SimCLR, ResNet50, 3 x 210 x 210, two views, step", "align": "alignment of ECG, CMR and table, step",
    "finetune": "fine-tuning of all three, step", "ecg_embedding": "ECG embedding, 12 x 2500",
    "cmr_embedding": "CMR embedding, 3 x 210 x 210",
}  # fmt: skip
SCALING = 0.9
"""Assumed efficiency of 8 GPUs: not measured here."""
COHORTS = {
    "60,000 subjects, 400 epochs": (60_000 * 400, ("ecg_mae", "simclr", "align")),
    "10 million ECGs, 20 epochs": (10**7 * 20, ("ecg_mae", "ecg_mae_fast")),
    "10 million ECGs embedded once": (10**7, ("ecg_embedding",)),
}
TWO_CORES = {"ecg_mae": "ecg_mae", "ecg_embedding": "ecg_embedding", "align": "cmr_ecg"}


def page(found: dict[str, Any]) -> str:
    """Return the page in Markdown."""
    device = found["machine"]
    text = f"# Speed on a GPU\n\n{device['device']}, torch {device['torch']}. Steps include the random views.\n\n"
    peaks = found.get("matmul_tflops", {})
    text += "Matrix product: " + ", ".join(f"{name} {value:,.0f} TFLOP/s" for name, value in peaks.items()) + ".\n\n"
    text += table(("work", "batch", "precision", "samples a second", "of peak", "memory, GB"), _rows(found["rows"]))
    for name, reader in found.get("readers", {}).items():
        text += (
            f"\n{reader['threads']} threads prepare {rate(reader['per_s'])} {name} samples a second for the network."
        )
    text += f"\n\nHours at the fastest measured batch in bfloat16; 8 GPUs at an assumed efficiency of {SCALING:g}.\n\n"
    text += table(("what", "work", "one GPU", "8 GPUs", "2 cores"), costs(found))
    errors = [f"- {e['section']}: {e['error']}" for e in found["errors"]]
    return text + ("\nNot measured:\n\n" + "\n".join(errors) + "\n" if errors else "")


def _rows(rows: list[dict[str, Any]]) -> list[list[str]]:
    return [
        [
            TITLES[row["work"]], str(row["batch"]), row["precision"], rate(row["per_s"]),
            f"{row['share_of_peak']:.0%}" if "share_of_peak" in row else "",
            "" if row["gb"] is None else f"{row['gb']:.1f}",
        ]
        for row in rows
    ]  # fmt: skip


def costs(found: dict[str, Any]) -> list[list[str]]:
    """Return the hours that cohorts take on one GPU, 8 GPUs and 2 cores; a dash where no rate was measured."""
    lines = []
    for what, (samples, works) in COHORTS.items():
        for work in works:
            rates = [r["per_s"] for r in found["rows"] if r["work"] == work and r["precision"] == "bf16"]
            one = samples / max(rates) / 3600 if rates else None
            eight = None if one is None else one / (8 * SCALING)
            cores = two_cores(found.get("two_cores"), work)
            slow = None if cores is None else samples / cores / 3600
            lines.append([what, TITLES[work], *("-" if h is None else hours(h) for h in (one, eight, slow))])
    return lines


def two_cores(measured: dict[str, Any] | None, work: str) -> float | None:
    """Return the samples a second of two processes with a core each, from `speed.json`."""
    rows = {row["work"]: row["ours_per_s"] for row in (measured or {}).get("rows", [])}
    rate_of_one = rows.get(TWO_CORES.get(work, ""))
    return None if rate_of_one is None else 2 * rate_of_one


def hours(value: float) -> str:
    """Return hours, or days where there are many."""
    return f"{value:.2g} h" if value < 100 else f"{value / 24:,.0f} days"
