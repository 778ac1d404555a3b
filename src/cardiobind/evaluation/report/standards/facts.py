"""What a run knows about itself, in sentences, for checklist and model card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cardiobind.evaluation.metrics import METRICS
from cardiobind.evaluation.report.content import Report
from cardiobind.evaluation.tables import kinds_of, percent

_GAPS: Mapping[str, tuple[str, ...]] = {
    "Networks impute nothing: they are told what is absent.": ("network", "semi_supervised"),
    "Risk scores take an absent value for the median of the training rows (of categories, the commonest), and a column "
    "tells the gap.": ("risk_score",),
    "Boosted trees learn which way a gap goes.": (
        "boosted_table", "boosted_ecg", "boosted_ecg_table", "boosted_cmr", "boosted_all",
    ),
    "Linear models of features are fitted on those who have all modalities they see.": (
        "linear_probe", "random_kernels",
    ),
    "An ensemble does as its members do.": ("ensemble",),
}  # fmt: skip
"""How what is absent is handled -> kinds of arms that do so."""
FEW_EVENTS = 100
"""Events that a test set should have: Vergouwe et al. 2005, J Clin Epidemiol 58:475-483."""


def tasks(report: Report) -> str:
    """Return the endpoints, comma-separated."""
    return ", ".join(dict.fromkeys(str(cell["task"]).partition(": ")[0] for cell in report.metrics["cells"]))


def arms(report: Report) -> list[str]:
    """Return the names of all models."""
    return list(dict.fromkeys(str(cell["arm"]) for cell in report.metrics["cells"]))


def inputs(report: Report) -> str:
    """Return the sets of inputs that models were tested on."""
    return "; ".join(dict.fromkeys(str(cell["inputs"]) for cell in report.metrics["cells"]))


def simulated(report: Report) -> bool:
    """Tell whether the data are simulated, as far as the run knows."""
    return bool(report.metrics.get("oracle")) or report.settings.get("source", {}).get("kind") == "simulated"


def sizes(report: Report) -> str:
    """Return how many samples, labels and positives each split has."""
    counts = (report.protocol or {}).get("counts", {})
    return "; ".join(f"{split}: " + ", ".join(f"{n:,} {what}" for what, n in c.items()) for split, c in counts.items())


def tested(report: Report) -> str:
    """Return how many test rows and events each set of inputs has."""
    found: dict[str, str] = {}
    for cell in report.metrics["cells"]:
        events = "" if cell["positives"] is None else f" ({cell['positives']:,} positive)"
        found.setdefault(f"{cell['task']}, {cell['inputs']}", f"{cell['n']:,}{events}")
    return "; ".join(f"{name}: {n}" for name, n in found.items())


def trained(report: Report) -> str:
    """Return with how many labels the models were trained, by share."""
    by_share: dict[float, list[int]] = {}
    for (_, fraction), n in report.training_labels.items():
        by_share.setdefault(fraction, []).append(n)
    return "; ".join(f"{percent(f)}: {min(n):,} to {max(n):,} labels" for f, n in sorted(by_share.items()))


def flow(report: Report) -> str:
    """Return how many records were read, kept and left out."""
    return "; ".join(
        f"{modality}: {c['read']:,} read, {c['kept']:,} kept, {c['quarantined']:,} left out with a reason"
        for modality, c in (report.counts or {}).items()
    )


def preparation(report: Report) -> str:
    """Return how each modality of the experiment was prepared."""
    said = []
    ecg, cmr, table = (report.settings.get(name) for name in ("ecg", "cmr", "tabular"))
    if ecg:
        said.append(
            f"ECG: {ecg.get('duration_s')} s at {ecg.get('rate_hz')} Hz, clipped at {ecg.get('clip_sd')} SD, baseline "
            "removed by asymmetric least squares, z-scored by groups of leads"
        )
    if cmr:
        said.append(
            f"CMR: layout {cmr.get('layout')}, {cmr.get('crop_mm')} mm around the left ventricle at "
            f"{cmr.get('size_px')} px, phases from the area of the blood pool"
        )
    if table:
        said.append(
            "table: units and ranges checked, values out of range set to missing, numbers as z-scores of training"
        )
    return "; ".join(said)


def metrics_measured(report: Report) -> str:
    """Return the titles of all metrics that have a value in the run."""
    cells = report.metrics["cells"]
    names = dict.fromkeys(name for c in cells for name, m in c["metrics"].items() if m.get("value") is not None)
    return ", ".join(METRICS[name].title for name in names if name in METRICS)


def groups(report: Report) -> list[str]:
    """Return the subgroups that were measured."""
    found = (g["group"] for cell in report.metrics["cells"] for g in cell.get("subgroups", ()))
    return [str(name).removeprefix("group_") for name in dict.fromkeys(found)]


def is_binary(report: Report) -> bool:
    """Tell whether any endpoint is binary."""
    return "binary" in kinds_of(report.metrics)


def has_settled(report: Report, key: str) -> bool:
    """Tell whether validation settled anything for any model.

    Args:
        report: what is known.
        key: "thresholds" or "recalibration".
    """
    return any(_settled(cell, key) for cell in report.metrics["cells"])


def is_official(report: Report) -> bool:
    """Tell whether the source itself says who is tested, so that these may be of another hospital."""
    return (report.protocol or {}).get("split") == "official"


def gaps(report: Report) -> str:
    """Return how the arms of the experiment handle what is absent, "" where one is of a kind not known here."""
    kinds = {str(arm.get("kind")) for arm in report.settings.get("arms", ())}
    known = {kind for same in _GAPS.values() for kind in same}
    return " ".join(words for words, same in _GAPS.items() if kinds & set(same)) if kinds <= known else ""


def weaknesses(report: Report) -> list[str]:
    """Return what the numbers of the run themselves say against it."""
    cells: Sequence[Mapping[str, Any]] = report.metrics["cells"]
    said = []
    if simulated(report):
        said.append("The data are simulated: the numbers say that the method works there, and nothing about patients.")
    events = [cell["positives"] for cell in cells if cell["positives"] is not None]
    if events and min(events) < FEW_EVENTS:
        said.append(f"Some results rest on {min(events):,} test subjects with the endpoint, fewer than {FEW_EVENTS}.")
    settled = [c for c in cells if _settled(c, "thresholds") or _settled(c, "recalibration")]
    chosen = [c["validation"]["positives"] for c in settled if c.get("validation", {}).get("positives") is not None]
    if chosen and min(chosen) < FEW_EVENTS:
        said.append(
            f"Threshold and recalibration rest on as few as {min(chosen):,} validation subjects with the endpoint."
        )
    if is_binary(report) and not settled:
        said.append(
            "Validation settled neither threshold nor recalibration: no decision at a chosen threshold was measured."
        )
    if any(len(cell["seeds"]) == 1 for cell in cells):
        said.append("Of some models there is one seed: how much another training would differ is not known.")
    if not groups(report):
        said.append("No subgroup was measured.")
    return said + _one_source(report)


def _one_source(report: Report) -> list[str]:
    if not report.cohort:
        return []
    if is_official(report):
        return ["All data come from one source; the run does not know whether its test part is of another hospital."]
    return ["All data come from one source; no other hospital or country was tested."]


def _settled(cell: Mapping[str, Any], key: str) -> bool:
    value = "value" if key == "thresholds" else "slope"
    return any(found.get(value) is not None for found in cell.get(key, ()))
