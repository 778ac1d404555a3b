"""The page of the speed table, from the figures of `speed.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

HEAD = """# Speed

Written by `python benchmarks/speed.py --write docs/results/speed.md`; the figures are in [speed.json](speed.json).
Machine: {cpu}, {date}; precision of the package: {precision}{quick}.
Read ratios, not rates: they depend on the machine.

Each line is the same mathematics twice, one process and one thread each, in turn: a plain float32 step
(`benchmarks/reference`, written as the public codes compute it) and the package. Rates count processor time, the least
of several repetitions. Memory is the most a process held, Python and torch (about 0.4 GB) included. Peak is the
package's share of what a square matrix product reaches on the same core in the same precision, in the same run.

"""
NOTES = """
A training step is forward, backward and AdamW, without data and views; views have lines of their own. What makes the
difference: products in bfloat16 (`cardiobind.training.choose_precision`), images with channels last
(`cardiobind.models.layout`), attention block by block in the backward pass (`cardiobind.models.attention`), only
visible patches embedded and both views in one batch (`cardiobind.models.mae`), views of whole batches. The loss of each
pair is the same to 1e-4 in float32 (`tests/methods/test_methods_reference.py`). The reference of the CMR view also
changes saturation, which ours leaves out.

"""
CHEAP = """
## Fewer operations

These change what is computed, so they owe a check of accuracy; ratios are to the first line of the same work.
The shipped experiment `fast` ([fast.toml](../../src/cardiobind/experiments/fast.toml)) has them all.

"""


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def rate(value: float) -> str:
    """Return a rate with two or three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def page(found: dict[str, Any]) -> str:
    """Return the whole page."""
    quick = "; **a quick run with small batches**" if found["quick"] else ""
    text = HEAD.format(cpu=found["cpu"], date=found["date"], precision=found["precision"], quick=quick)
    text += table(
        ("work", "batch", "reference, a second", "ours, a second", "ratio", "asked", "memory, GB", "of peak"),
        [_row(line) for line in found["rows"]],
    )
    text += NOTES
    return text + _sections(found) if "processes" in found else text


def _row(line: dict[str, Any]) -> list[str]:
    share = f"{line['share_of_peak']:.0%}" if "share_of_peak" in line else ""
    memory = f"{line['reference_gb']:.2f} → {line['ours_gb']:.2f}"
    rates = [rate(line["reference_per_s"]), rate(line["ours_per_s"])]
    return [line["title"], str(line["batch"]), *rates, f"{line['ratio']:.1f}", f"{line['goal']:g}", memory, share]


def _sections(found: dict[str, Any]) -> str:
    scaling = [[str(p["processes"]), str(p["threads"]), rate(p["per_s"])] for p in found["processes"]]
    batches = [[str(b["batch"]), rate(b["per_s"]), f"{b['gb']:.2f}"] for b in found["batch"]]
    tokens = [[str(t["tokens"]), rate(t["per_s"]), f"{t['gb']:.2f}"] for t in found["tokens"]]
    cheaper = [[c["title"], rate(c["per_s"]), f"{c['ratio']:.2f}"] for c in found["cheaper"]]
    return (
        "## How cost grows\n\nECG masked autoencoder, two views. By processes and threads, by wall clock:\n\n"
        + table(("processes", "threads each", "samples a second"), scaling)
        + "\nBy the batch, and by the tokens of a view (12 leads, 0.2 s each):\n\n"
        + table(("batch", "samples a second", "memory, GB"), batches)
        + "\n"
        + table(("tokens", "samples a second", "memory, GB"), tokens)
        + "\nCost grows in proportion to the samples: a step does not know how many there are.\n"
        + CHEAP
        + table(("change", "samples a second", "ratio"), cheaper)
    )
