"""How often a bundle calls signals unlike those it was trained on: python benchmarks/likeness.py BUNDLE [PTBXL] [SEED].

On a simulated cohort of a seed of its own, made as the demo's, the share is that of false alarms. PTBXL is a folder of
PTB-XL, whose real ECGs are none that a bundle of simulated ones was trained on: folds 1 to 4 are those that the
check was chosen on, 5 to 10 those to report. Intervals are Clopper and Pearson's, 95 %.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scipy.stats import beta

from cardiobind import inference
from cardiobind.errors import CardiobindError
from cardiobind.inference.predictor import Predictor
from cardiobind.inference.trust.verdicts import DOUBTFUL
from cardiobind.pipeline.demo import DEMO_COHORT
from cardiobind.sources import SOURCES

SEED = 101
CHOSEN_ON = (1, 2, 3, 4)
Seen = tuple[str, str]


def clopper_pearson(hits: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share."""
    low = float(beta.ppf(0.025, hits, n - hits + 1)) if hits else 0.0
    return low, float(beta.ppf(0.975, hits + 1, n - hits)) if hits < n else 1.0


def told(predictor: Predictor, **given: Any) -> str:
    """Return ``refused``, ``code``, ``unlike`` or ``fine`` for one subject; a code comes before a likeness."""
    try:
        ((modality, one),) = predictor.predict(**given).verdicts.items()
    except CardiobindError:
        return "refused"
    if not DOUBTFUL[modality].isdisjoint(one.codes):
        return "code"
    return "unlike" if one.like_training is False else "fine"


def simulated(predictor: Predictor, seed: int) -> Iterator[Seen]:
    """Yield (what, answer) of each recording and each row of the table of a fresh cohort."""
    source = SOURCES.get("simulated")(seed=seed, **DEMO_COHORT)
    for ref in source.records():
        yield ("ECG", told(predictor, ecg=source.read(ref))) if ref.modality == "ecg" else (
            "cine", told(predictor, cmr=source.read(ref))
        )  # fmt: skip
    names = predictor.contract.inputs["tabular"].names
    for _, row in source.table().iterrows():
        yield "table", told(predictor, table=row[list(names)].dropna().to_dict())


def real(predictor: Predictor, root: Path) -> Iterator[Seen]:
    """Yield (what, answer) of each ECG of PTB-XL."""
    source = SOURCES.get("ptbxl")(root=root, rate_hz=100)
    table = source.table()
    folds = dict(zip(zip(table["subject"], table["visit"], strict=True), table["fold"], strict=True))
    for ref in source.records():
        part = "1 to 4" if folds[ref.subject, ref.visit] in CHOSEN_ON else "5 to 10"
        yield f"ECG of PTB-XL, folds {part}", told(predictor, ecg=source.read(ref))


def show(seen: Iterator[Seen]) -> None:
    """Print the shares."""
    counts: dict[str, dict[str, int]] = {}
    for what, answer in seen:
        own = counts.setdefault(what, {})
        own[answer] = own.get(answer, 0) + 1
    for what, own in sorted(counts.items()):
        n = sum(own.values()) - own.get("refused", 0) - own.get("code", 0)
        print(f"| {what} | {own.get('refused', 0)} | {own.get('code', 0)} | {n} | {_share(own, n)} |", flush=True)


def _share(own: dict[str, int], n: int) -> str:
    if n == 0:
        return "– | –"
    low, high = clopper_pearson(own.get("unlike", 0), n)
    return f"{100 * own.get('unlike', 0) / n:.1f} % | {100 * low:.1f} to {100 * high:.1f} %"


def main(bundle: Path, ptbxl: Path | None, seed: int) -> None:
    """Print the table."""
    predictor = inference.load(bundle)
    print("| what | refused | code | n of the others | unlike | 95 % |\n| --- | ---: | ---: | ---: | ---: | --- |")
    show(simulated(predictor, seed))
    if ptbxl is not None:
        show(real(predictor, ptbxl))


if __name__ == "__main__":
    given = sys.argv[1:]
    main(Path(given[0]), Path(given[1]) if len(given) > 1 else None, int(given[2]) if len(given) > 2 else SEED)
