"""The page of the speed table, from the figures of `speed.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from costs import EIGHT, GPU_SHARE, H200_BF16, TITLES, costs, duration, two_for_one

HEAD = """# Speed{where}

Written by `python benchmarks/speed.py --write docs/results/{name}.md`, {minutes:.0f} minutes of measurement; the
figures are in [{name}.json]({name}.json). Machine: {cpu}, {date}; code of `{code}`; precision of the package:
{precision}{quick}.
Read ratios, not rates: they depend on the machine.

Each line is the same mathematics twice, one process and one thread each, in turn: a plain float32 step
(`benchmarks/reference`, written as the public codes compute it) and the package. Rates count processor time, the least
of several repetitions. Memory is the most a process held, Python and torch (about 0.4 GB) included. Peak is the
package's share of what a square matrix product reaches on the same core in the same precision, in the same run; what is
computed twice counts once.

"""
MEMORY_ASKED = {"ecg_mae": 0.5}
"""Share of the reference's memory that a work may need."""
PEAK_ASKED = {"ecg_mae": 0.7}
"""Share of the matmul peak that a work should reach."""
NOTES = """
A training step is forward, backward and AdamW, without data and views; views have lines of their own. What makes the
difference: products in bfloat16 (`cardiobind.training.choose_precision`), images with channels last and batch norms put
into the weights (`cardiobind.models.layout`), since 2026-11-29 the gradient of many weights as one product
(`cardiobind.models.convolution`) and freed memory that stays in the process, as in every training of the package
(`cardiobind.training.memory`), attention block by block (`cardiobind.models.attention`), only visible patches embedded
and both views in one batch (`cardiobind.models.mae`), a decoder whose parts are differentiated one by one
(`cardiobind.methods.in_parts`), views of whole batches. The loss of each pair is the same to 1e-4 in float32
(`tests/methods/test_methods_reference.py`).

What the references of the views do: a table's view copies the row, draws 30 % of its fields, for each of them
`random.sample` of its column, then encodes field by field with `one_hot`. A CMR's view follows torchvision's transforms
of tensors: flips, rotation to the nearest pixel with a mask channel for what is outside, brightness, contrast and
saturation, antialiased resized crop; ours leaves saturation out, as the channels are no colours. The goals of 300 and 3
were set against 150-300 and 150-210 views a second of the public codes as shipped; our references are faster than that
on this machine, and are not slowed down.

"""


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def rate(value: float) -> str:
    """Return a rate with two or three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def page(found: dict[str, Any], name: str = "speed") -> str:
    """Return the whole page, of the parts that were measured; `name` is that of its file."""
    quick = "; **a quick run with small batches**" if found["quick"] else ""
    minutes = found.get("seconds", 0.0) / 60
    where = "" if name == "speed" else f" on {found['cpu'].partition(' x ')[2]}"
    head = HEAD.format(**found | {"quick": quick}, minutes=minutes, name=name, where=where)
    headers = ("work", "batch", "reference, a second", "ours, a second", "ratio", "asked", "memory, GB", "of peak")
    if found.get("again"):
        head += f"Measured again, alone: {_again(found['again'])}.\n\n"
    text = head + table(headers, [_row(line) for line in found["rows"]]) + NOTES
    parts = {"processes": _processes, "samples": _samples, "batch": _batch, "tokens": _tokens, "cheaper": _cheaper}
    text += "## How cost grows\n\nOf a step of the ECG masked autoencoder with two views.\n\n"
    text += "\n".join(write(found[name]) for name, write in parts.items() if name in found) + "\n" + _costs(found)
    failed = [f"- {name}: {error}" for name, error in found["failed"].items()]
    return text + ("\n## Not measured\n\n" + "\n".join(failed) + "\n" if failed else "")


def _again(parts: dict[str, str]) -> str:
    return ", ".join(f"`{name}` ({when} UTC)" for name, when in parts.items())


def _row(line: dict[str, Any]) -> list[str]:
    work, share = line["work"], line.get("share_of_peak")
    rates = [rate(line["reference_per_s"]), rate(line["ours_per_s"])]
    asked = f"{line['goal']:g}" + missed(line["ratio"] < line["goal"])
    memory = f"{line['reference_gb']:.2f} → {line['ours_gb']:.2f}"
    if work in MEMORY_ASKED:
        wanted = MEMORY_ASKED[work]
        memory += f", asked × {wanted:g}" + missed(line["ours_gb"] > wanted * line["reference_gb"])
    peak = "" if share is None else f"{share:.0%}"
    if share is not None and work in PEAK_ASKED:
        peak += f", asked {PEAK_ASKED[work]:.0%}" + missed(share < PEAK_ASKED[work])
    return [line["title"], str(line["batch"]), *rates, f"{line['ratio']:.1f}", asked, memory, peak]


def missed(is_missed: bool) -> str:
    """Return a word for a goal that was not reached."""
    return " (missed)" if is_missed else ""


def _processes(lines: list[dict[str, Any]]) -> str:
    kinds = {False: "each its own training", True: "one training, gradients shared (gloo)"}
    rows = [
        [
            str(p["processes"]), str(p["threads"]), kinds[p["shared"]] if p["processes"] > 1 else "one training",
            rate(p["per_s"]), f"{p['per_s'] / lines[0]['per_s']:.2f}",
        ]
        for p in lines
    ]  # fmt: skip
    return (
        f"By processes and threads, by wall clock, {lines[0]['batch']} samples a process:\n\n"
        + table(("processes", "threads each", "what", "samples a second", "ratio"), rows)
    )  # fmt: skip


def _samples(lines: list[dict[str, Any]]) -> str:
    rows = [[str(s["samples"]), f"{s['seconds']:.2f}", f"{s['samples'] / s['seconds']:.3g}"] for s in lines]
    return "By the samples of an epoch:\n\n" + table(("samples", "seconds", "samples a second"), rows)


def _batch(lines: list[dict[str, Any]]) -> str:
    rows = [[str(b["batch"]), rate(b["per_s"]), f"{b['gb']:.2f}"] for b in lines]
    return "By the batch:\n\n" + table(("batch", "samples a second", "memory, GB"), rows)


def _tokens(lines: list[dict[str, Any]]) -> str:
    rows = [
        [str(t["tokens"]), rate(t["per_s"]), f"{1e6 / t['per_s'] / t['tokens']:.0f}", f"{t['gb']:.2f}"] for t in lines
    ]
    headers = ("tokens", "samples a second", "microseconds a token", "memory, GB")
    return "By the tokens of a view (12 leads, 0.2 s each):\n\n" + table(headers, rows)


def _cheaper(lines: list[dict[str, Any]]) -> str:
    rows = [[c["title"], rate(c["per_s"]), f"{c['ratio']:.2f}", f"{c['operations'] / 1e9:.2f}"] for c in lines]
    return (
        "## Fewer operations\n\nThese change what is computed; what each costs in accuracy is "
        "[measured beside it](../howto/speed.md#less-arithmetic). The experiment `fast` "
        "([fast.toml](../../src/cardiobind/experiments/fast.toml)) has one view, half the rate and the smaller images. "
        "Ratios are to the first line of the same work.\n\n"
        + table(("change", "samples a second", "ratio", "GFLOP a sample"), rows)
    )  # fmt: skip


def _costs(found: dict[str, Any]) -> str:
    lines = costs(found)
    if not lines:
        return ""
    rows = [
        [
            c["what"], TITLES[c["work"]], f"{c['gflop']:.2f}", duration(c["two_cores_h"]), duration(c["h200_h"]),
            duration(c["eight_h200_h"]),
        ]
        for c in lines
    ]  # fmt: skip
    return (
        f"## What large cohorts would cost\n\nTwo cores: the rates above, two processes {two_for_one(found):.2f} times "
        "as fast as one. **No H200 was timed**: its columns take the counted operations at an assumed "
        f"{GPU_SHARE:.0%} of {H200_BF16 / 1e12:,.0f} TFLOP/s, eight of them at an assumed efficiency of {EIGHT:g}; "
        "`python benchmarks/gpu.py OUT` measures it. Reading and preparing data are left out.\n\n"
        + table(("what", "work", "GFLOP a sample", "2 cores", "one H200", "8 H200"), rows)
    )  # fmt: skip
