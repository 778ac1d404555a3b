"""The card of a shared model: what it takes, what it says, how good it was, what it is not for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cardiobind.inference import NOTICE
from cardiobind.inference.bundle import BundleContract
from cardiobind.inference.trust.intervals import in_words

TAGS = ("cardiology", "multimodal", "medical")
TAG_OF = {"ecg": "electrocardiogram", "cmr": "cardiac-mri", "tabular": "tabular"}
METRICS = {"auroc": "roc_auc", "auprc": "average_precision", "brier": "brier_score", "r2": "r_squared", "mae": "mae"}
"""Names of a run's metrics that hubs know by another."""


@dataclass(frozen=True)
class CardFacts:
    """What a card says beyond the contract.

    Attributes:
        bundle: digest.
        licence: of the weights.
        metrics: of a run, may be empty.
    """

    bundle: str
    licence: str
    metrics: Mapping[str, Any]


def model_card(contract: BundleContract, facts: CardFacts) -> str:
    """Return the card as Markdown with a YAML header.

    Args:
        contract: of the bundle.
        facts: what the card says beyond it.

    Source: Mitchell et al. 2019 for what a card holds; the header is what the Hugging Face hub reads.
    """
    results = _results(contract, facts.metrics)
    head = _header(contract, facts, results)
    parts = [
        f"# {contract.title}\n\n{NOTICE}",
        _inputs(contract),
        _use(contract),
        _calibration(contract),
        _measured(contract, results),
        _origin(contract, facts),
    ]
    return head + "\n\n".join(part for part in parts if part) + "\n"


def _header(contract: BundleContract, facts: CardFacts, results: Sequence[Mapping[str, Any]]) -> str:
    tags = [*TAGS, *(TAG_OF[m] for m in contract.inputs)]
    metrics = sorted({row["type"] for row in results})
    lines = {
        "license": facts.licence, "library_name": "cardiobind", "tags": tags, "metrics": metrics, "inference": False,
    }  # fmt: skip
    if results:
        lines["model-index"] = _index(contract, results)
    shown = [f"{name}: {json.dumps(value)}" for name, value in lines.items() if value != []]
    return "\n".join(["---", *shown, "---"]) + "\n\n"


def _index(contract: BundleContract, results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    measured: dict[str, list[dict[str, Any]]] = {}
    for row in results:
        measured.setdefault(row["inputs"], []).append({key: row[key] for key in ("type", "name", "value")})
    rows = [
        {
            "task": {"type": "other", "name": f"{contract.task} from {inputs}"},
            "dataset": {"type": "private", "name": "test subjects of the training cohort"},
            "metrics": metrics,
        }
        for inputs, metrics in measured.items()
    ]
    return [{"name": contract.task, "results": rows}]


def _results(contract: BundleContract, metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    own = [c for c in metrics.get("cells", []) if (c["task"], c["arm"]) == (contract.task, contract.summary.get("arm"))]
    fraction = contract.summary.get("label_fraction")
    rows = []
    for cell in own:
        for name, found in cell["metrics"].items():
            if cell["fraction"] == fraction and name in METRICS and found.get("value") is not None:
                kept = {key: round(found[key], 4) for key in ("value", "low", "high") if found.get(key) is not None}
                rows.append({"inputs": cell["inputs"], "type": METRICS[name], "name": name, **kept})
    return rows


def _inputs(contract: BundleContract) -> str:
    lines = [
        "## Inputs",
        "",
        "Any subset of these; the preparation from raw files is in `preprocessor_config.json`.",
        "",
    ]
    for modality, spec in contract.inputs.items():
        shape = " x ".join(map(str, spec.shape))
        rate = f", {spec.rate_hz:g} Hz" if spec.rate_hz else ""
        encoder = contract.encoders[modality]["kind"]
        lines.append(f"- `{modality}`: {shape}{rate}; encoder `{encoder}`; {', '.join(spec.names)}")
    return "\n".join(lines)


def _use(contract: BundleContract) -> str:
    given = {"ecg": 'ecg="ecg.xml"', "cmr": 'cmr="cine.zip"', "tabular": 'table={"age_years": 61, "sex": "male"}'}
    words = ", ".join(given[m] for m in contract.inputs)
    return f'## Use\n\n```python\nimport cardiobind\n\nprint(cardiobind.load(".").predict({words}))\n```'


def _calibration(contract: BundleContract) -> str:
    if contract.kind != "binary":
        return _validated(contract)
    lines = ["## Calibration", "", "Fitted on validation subjects, by the inputs that are given.", "",
             "| inputs | slope | intercept | threshold |", "| --- | --- | --- | --- |"]  # fmt: skip
    for inputs, known in contract.calibration.items():
        shown = ["-" if v is None else f"{v:.3g}" for v in (known.slope, known.intercept, known.threshold)]
        lines.append(f"| {inputs} | {' | '.join(shown)} |")
    return "\n".join(lines) if contract.calibration else ""


def _validated(contract: BundleContract) -> str:
    lines = ["## Validation", "", "The score is a value or a risk itself; nothing was calibrated.", ""]
    for inputs, known in contract.calibration.items():
        certain = contract.certainty.get(inputs)
        on = "validation subjects" if certain is None else f"{in_words(certain.subjects)} validation subjects"
        lines.append(f"- {inputs}: {known.reason or f'validated on {on}'}")
    return "\n".join(lines) if contract.calibration else ""


def _measured(contract: BundleContract, results: Sequence[Mapping[str, Any]]) -> str:
    this = "this bundle is one of them"
    if contract.members > 1:
        this = f"this bundle is {contract.members} of them together, which was not measured itself"
    lines = [
        "## Measured on test subjects",
        "",
        f"As the run reports this arm with this share of labels, the mean over its seeds; {this}.",
        "",
        "| inputs | metric | value | 95 % interval |",
        "| --- | --- | --- | --- |",
    ]
    for row in results:
        interval = f"{row['low']:.3f} to {row['high']:.3f}" if {"low", "high"} <= set(row) else "-"
        lines.append(f"| {row['inputs']} | {row['name']} | {row['value']:.3f} | {interval} |")
    return "\n".join(lines) if results else ""


def _origin(contract: BundleContract, facts: CardFacts) -> str:
    lines = ["## Origin", "", f"Bundle {facts.bundle}, by cardiobind.", ""]
    for split, counts in contract.summary.get("splits", {}).items():
        numbers = ", ".join(f"{value} {name}" for name, value in counts.items() if isinstance(value, int))
        lines.append(f"- {split}: {numbers}")
    limits = (
        "Trained on one cohort; it says nothing of people unlike those in it. Weights may hold traces of the subjects "
        "they were fitted to; `cardiobind verify --release` says what was checked before they left."
    )
    lines += ["", limits]
    return "\n".join(lines)
