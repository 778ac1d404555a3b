"""Whether each signal of a subject can be relied on, and why not."""

from __future__ import annotations

from collections.abc import Mapping

from cardiobind.inference.prediction import Verdict
from cardiobind.inference.trust.combinations import IMPOSSIBLE

DOUBTFUL = {
    "ecg": frozenset({"wrong_unit", "wrong_rate", "limb_leads_inconsistent", "arm_electrodes_swapped"}),
    "cmr": frozenset({"wrong_orientation", "frames_out_of_order"}),
    "tabular": frozenset({IMPOSSIBLE}),
}
"""Codes of a signal that can be prepared but says something false: a bundle abstains. Others are remarks."""

MEANINGS = {
    "wrong_unit": "its amplitudes are not in mV",
    "wrong_rate": "its sampling rate is not the one stated, or its rhythm is far from any usual one",
    "limb_leads_inconsistent": "its limb leads contradict one another: leads are exchanged or inverted",
    "arm_electrodes_swapped": "the right arm's electrode is at another limb",
    "wrong_orientation": "it is not a short-axis stack",
    "frames_out_of_order": "its frames are not in the order of the beat",
    IMPOSSIBLE: "facts contradict one another, such as a diastolic pressure above the systolic",
    "missing_lead": "the network was not trained with leads missing",
}
NAMES = {"ecg": "ECG", "cmr": "cine", "tabular": "table"}
KINDS = {"ecg": "12-lead ECGs", "cmr": "short-axis cines", "tabular": "tables"}


def verdict(
    modality: str, codes: tuple[str, ...], distance: float | None, *, few_leads: bool = False, cost: str = ""
) -> Verdict:
    """Return the verdict on one modality.

    Args:
        modality: ``ecg``, ``cmr`` or ``tabular``.
        codes: what is wrong with the signal.
        distance: from the training subjects over the limit; None where it was not measured.
        few_leads: leads are missing, and the network was not trained for that.
        cost: what is known of leads that are missing, in words.
    """
    doubts = [code for code in codes if code in DOUBTFUL[modality]] + (["missing_lead"] if few_leads else [])
    alike = None if distance is None else distance <= 1.0
    reasons = [MEANINGS[code] for code in doubts]
    if alike is False:
        reasons.append(f"it is unlike the {KINDS[modality]} the network was trained on")
    says = f"{NAMES[modality]} not to be relied on: {'; '.join(reasons)}" if reasons else _fine(modality, codes, alike)
    return Verdict(not reasons, alike, codes, distance, f"{says}. {cost}".rstrip(" .") + ".")


def _fine(modality: str, codes: tuple[str, ...], alike: bool | None) -> str:
    said = f"{NAMES[modality]} usable"
    said += ", with remarks: " + ", ".join(code.replace("_", " ") for code in codes) if codes else ""
    return said + ("" if alike else "; the bundle cannot tell whether it is like those trained on")


def doubt(verdicts: Mapping[str, Verdict]) -> str | None:
    """Return why a bundle should say nothing, or None where all is well."""
    bad = {m: one for m, one in verdicts.items() if not one.usable}
    if not bad:
        return None
    others = [NAMES[m] for m in verdicts if m not in bad]
    hint = f" Without it the {' and '.join(others)} can be scored." if others else ""
    return " ".join(one.says for one in bad.values()) + hint
