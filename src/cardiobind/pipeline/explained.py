"""What the exported predictor's scores rest on, in the mean over test subjects, for the report."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cardiobind.cohort import Cohort, Protocol
from cardiobind.data import CohortDataset
from cardiobind.evaluation.report import Example
from cardiobind.explain import explain
from cardiobind.explain.averages import FEWEST, WAVE_NAMES, Averages, average
from cardiobind.inference import Predictor, PreparedSubject, load
from cardiobind.pipeline.examples import Shelf, examples

SUBJECTS, STEPS, SHOWN_FACTS = 40, 8, 12
_WORDS = {"ecg": "ECG", "cmr": "cine MRI", "tabular": "medical facts"}
Table = Sequence[Sequence[str]]


def explained_tables(
    bundle: Path, cohort: Cohort, protocol: Protocol, *, shown: int = 0
) -> tuple[dict[str, Table], list[Example]]:  # fmt: skip
    """Return what scores rest on as tables by caption, the header first, and a few subjects, drawn.

    The tables are means over at least 20 test subjects, those with the most modalities. No pixel is attributed. With
    fewer subjects, or where captum is not installed, there is nothing.

    Args:
        bundle: of the predictor.
        cohort: it was trained on.
        protocol: which subjects are of the test.
        shown: how many of the subjects are drawn one by one.
    """
    if find_spec("captum") is None:
        return {}, []
    shelf = Shelf(load(bundle), cohort, protocol)
    rows = _rows(shelf.predictor, cohort, protocol)
    if len(rows) < FEWEST:
        return {}, []
    subjects = _subjects(shelf, rows)
    found = [explain(shelf.predictor, one, steps=STEPS, inside=("ecg", "tabular")) for one in subjects]
    scores = [float(one.method["score"]) for one in found]
    return _tables(average(found, [_ecg(one) for one in subjects])), examples(shelf, rows, scores, shown)


def _rows(predictor: Predictor, cohort: Cohort, protocol: Protocol) -> NDArray[np.int64]:
    modalities = list(predictor.contract.inputs)
    rows = cohort.rows_with(protocol.rows("test"), modalities)
    several = np.sum([cohort.has(m)[rows] for m in modalities], axis=0)
    return np.sort(rows[np.argsort(-several, kind="stable")[:SUBJECTS]])


def _subjects(shelf: Shelf, rows: NDArray[np.int64]) -> list[PreparedSubject]:
    data = CohortDataset(shelf.cohort, shelf.protocol, rows, list(shelf.predictor.contract.inputs))
    batches = [data[place] for place in range(len(rows))]
    return [PreparedSubject({m: x for m, x in batch.signals.items() if len(x)}, {}) for batch in batches]


def _ecg(subject: PreparedSubject) -> NDArray[np.float64] | None:
    return subject.signals["ecg"][0].double().numpy() if "ecg" in subject.signals else None


def _tables(means: Averages) -> dict[str, Table]:
    found: dict[str, Table] = {}
    if means.modalities:
        rows = [(_WORDS[m], f"{size:.2f}", f"{mean:+.2f}", str(n)) for m, (mean, size, n) in means.modalities.items()]
        found["Modalities: Shapley values, in the unit of the score"] = [
            ("modality", "mean size", "mean", "subjects"),
            *rows,
        ]
    if means.leads is not None:
        rows_of_leads = [
            (lead, *(f"{100 * share:.1f}" for share in shares), f"{100 * shares.sum():.1f}")
            for lead, shares in zip(means.lead_names, means.leads, strict=True)
        ]
        caption = f"ECG: share of each lead and wave in the sizes of all attributions, %, {means.ecgs} subjects"
        found[caption] = [("lead", *WAVE_NAMES, "all"), *rows_of_leads]
    if means.facts:
        rows = [(f.title, f"{f.size:.3f}", f"{f.mean:+.3f}", str(f.subjects)) for f in means.facts[:SHOWN_FACTS]]
        found["Facts that weigh most: Shapley values, in the unit of the score"] = [
            ("fact", "mean size", "mean", "subjects"),
            *rows,
        ]
    return found
