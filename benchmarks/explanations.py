"""Do explanations point at the truth? python benchmarks/explanations.py; docs/results/explanations.md has what it said.

Small predictors of a simulated infarct are trained, then explained; where the infarct alters the signals is known.
About 15 minutes of one core; --scale 0.2 for a look, --only cmr for a part.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from explained_measures import WITHIN, cell
from explained_networks import ENCODERS, Subjects, simulated
from explained_places import WAYS, localisation
from explained_sanity import leaking_column, randomised, shuffled_labels

COUNTS = {
    "ecg": {"train": 800, "validation": 120, "test": 220}, "cmr": {"train": 350, "validation": 100, "test": 220},
}  # fmt: skip
RANDOMISED = {"ecg": "integrated_gradients, flat", "cmr": "integrated_gradients, normal"}
SHUFFLED = (("ecg", "vit"), ("cmr", "resnet"))
PARTS = ("ecg", "cmr", "tabular")


def of_signals(modality: str, kind: str, splits: Mapping[str, Subjects], scale: float) -> Iterator[str]:
    """Yield what is found of one network as parts of a page."""
    learnt = localisation(modality, kind, splits, scale)
    chosen = {way: round(learnt["rows"][way]["validation"], 3) for way in WAYS[modality]}
    yield (
        f"### {modality} by `{kind}`\n\nTest AUROC of the predictor {learnt['auroc']:.2f}; "
        f"{learnt['subjects']} infarcts that it recognises; the truth is {100 * learnt['mask']:.1f} % of the "
        f"signal. AUROC within {WITHIN[modality]} on validation subjects: {chosen}.\n\n{table_of(learnt)}\n"
    )
    x, way = learnt["given"][0][: max(4, round(6 * scale))], RANDOMISED[modality]
    rows = [
        f"| {stage} | {signed:.2f} | {sizes:.2f} |" for stage, signed, sizes in randomised(learnt["predictor"], x, way)
    ]
    yield "\n".join([f"Randomised, {way}:\n\n| down to | signed | sizes |\n| --- | --- | --- |", *rows, ""])
    if (modality, kind) in SHUFFLED:
        other = shuffled_labels(modality, kind, splits, learnt, scale)
        for name, words in (("test", "Shuffled labels"), ("untrained", "Never trained")):
            yield f"{words}: " + "; ".join(f"{measure} {cell(values)}" for measure, values in other[name].items())
        yield f"Correlation signed {other['signed']:.2f}, sizes {other['sizes']:.2f}\n"


def table_of(learnt: Mapping[str, Any]) -> str:
    """Return the rows of one modality as a Markdown table."""
    columns = list(next(iter(learnt["rows"].values()))["test"])
    lines = [f"| map | read as | {' | '.join(columns)} |", f"| --- | --- |{' --- |' * len(columns)}"]
    for name, row in learnt["rows"].items():
        cells = [cell(row["test"][column]) for column in columns]
        lines.append(f"| {name.replace('_', ' ')} | {row.get('variant', '')} | {' | '.join(cells)} |")
    return "\n".join(lines)


def of_facts(scale: float) -> Iterator[str]:
    """Yield the places of the facts that leak the outcome."""
    for name, by in leaking_column(scale).items():
        yield f"{name}: " + "; ".join(f"{column} {cell(values)}" for column, values in by.items())


def everything(wanted: tuple[str, ...], scale: float) -> Iterator[str]:
    """Yield all parts of the page that are wanted."""
    for modality, kinds in ENCODERS.items():
        if modality in wanted:
            counts = {split: max(120, round(count * scale)) for split, count in COUNTS[modality].items()}
            splits = {split: simulated(modality, split, count) for split, count in counts.items()}
            for kind in kinds:
                yield from of_signals(modality, kind, splits, scale)
    if "tabular" in wanted:
        yield from of_facts(scale)


def main() -> None:
    """Run what is wanted and print what it says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", choices=PARTS, action="append", help="a part of it; several may be named")
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.perf_counter()
    for part in everything(tuple(options.only or PARTS), options.scale):
        print(part, f"{time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
