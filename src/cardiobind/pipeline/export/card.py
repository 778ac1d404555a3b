"""The model card that goes with a bundle, from what the bundle itself holds."""

from __future__ import annotations

from collections.abc import Mapping

from cardiobind.inference.bundle import BundleContract, Calibration
from cardiobind.inference.prediction import NOTICE
from cardiobind.inference.trust.intervals import in_words
from cardiobind.inference.trust.likeness import FALSE_ALARM, Familiar
from cardiobind.inference.trust.verdicts import DOUBTFUL, NAMES


def bundle_card(contract: BundleContract, likeness: Mapping[str, Familiar]) -> str:
    """Return the card in Markdown.

    Args:
        contract: of the bundle.
        likeness: what the training subjects look like.

    Source: Mitchell et al., Model cards for model reporting, FAT* 2019, for the sections.
    """
    sections = {
        "Model": _model(contract), "Intended use": [NOTICE], "Training data": _training(contract),
        "Calibration and intervals": _calibration(contract), "When it abstains": _doubts(contract, likeness),
        "Fewer leads": _leads(contract),
        "Not measured": [
            "How well it does elsewhere: discrimination and calibration here are of one cohort's validation subjects;",
            "whether it helps anybody: no trial, no follow-up of decisions.",
        ],
    }  # fmt: skip
    lines = [f"# {contract.title}", ""]
    for title, said in sections.items():
        if said:
            lines += [f"## {title}", "", *(f"- {line}" for line in said), ""]
    return "\n".join(lines)


def _model(contract: BundleContract) -> list[str]:
    encoders = ", ".join(f"{NAMES[m]}: {chosen['kind']}" for m, chosen in contract.encoders.items())
    members = "one network" if contract.members == 1 else f"the mean logit of {contract.members} networks (seeds)"
    return [f"Endpoint `{contract.task}`, {contract.kind}; {members}.", f"Encoders: {encoders}."]


def _training(contract: BundleContract) -> list[str]:
    known = contract.summary
    lines = [
        f"{in_words(known['training_labels'])} labels, arm “{known['arm']}”; a number of 1 to 9 people is not told."
    ]
    for split, counts in known["splits"].items():
        lines.append(f"{split}: " + ", ".join(f"{name} {in_words(n)}" for name, n in counts.items()))
    facts = known.get("training_facts", {})
    numbers = [f"{name} {fact['mean']:g} (sd {fact['sd']:g})" for name, fact in facts.items() if "mean" in fact]
    return [*lines, *(["Means of training subjects: " + ", ".join(numbers)] if numbers else [])]


def _calibration(contract: BundleContract) -> list[str]:
    return [f"{inputs}: {_one(contract, inputs, known)}" for inputs, known in contract.calibration.items()]


def _one(contract: BundleContract, inputs: str, known: Calibration) -> str:
    certain = contract.certainty[inputs]
    on = f"{in_words(certain.subjects)} validation subjects"
    if known.reason or certain.reason:
        return f"{known.reason or certain.reason} ({on})"
    if contract.kind == "binary":
        return f"risk = sigmoid({known.intercept:.3g} + {known.slope:.3g} x logit), on {on}"
    return f"value within {certain.half_width:g} {contract.unit}, on {on}" if certain.half_width else f"on {on}"


def _doubts(contract: BundleContract, likeness: Mapping[str, Familiar]) -> list[str]:
    lines = []
    for modality in contract.inputs:
        codes = ", ".join(f"`{code}`" for code in sorted(DOUBTFUL[modality]))
        own = likeness.get(modality)
        unlike = "likeness not checked: too few subjects"
        if own is not None:
            unlike = (
                f"unlike {own.training} training subjects, by limits that {FALSE_ALARM:.0%} of those like "
                f"{own.validation} validation subjects exceed"
            )
        lines.append(f"{NAMES[modality]}: {codes + '; ' if codes else ''}{unlike}.")
    return lines


def _leads(contract: BundleContract) -> list[str]:
    known = contract.leads
    if known is None:
        return []
    costs = [f"{known.metric} {c.value:g} with {', '.join(c.leads)}" for c in known.costs if c.value is not None]
    trained = "trained" if known.trained else "not trained: an ECG with leads missing gets no answer"
    return [f"Leads missing: {trained}.", *costs]
