"""What is measured by running a bundle's network over the cohort: what training subjects look like, what leads cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cardiobind.cohort import Cohort, Protocol
from cardiobind.data.dataset import scale_cmr
from cardiobind.inference.members import mean_logits
from cardiobind.inference.predictor import Predictor
from cardiobind.inference.trust.leads import SUBSETS, LeadCost, LeadTable, masked
from cardiobind.inference.trust.likeness import (
    FALSE_ALARM,
    FEWEST_TRAINING,
    FEWEST_VALIDATION,
    Check,
    Familiar,
    fit_clipped,
    fit_directions,
    fit_values,
    limit_of,
)
from cardiobind.inference.trust.signs import cmr_signs, ecg_signs, table_signs
from cardiobind.inference.trust.texture import ecg_texture
from cardiobind.inference.trust.verdicts import DOUBTFUL
from cardiobind.modalities.ecg.preparation import normalise_by_lead_group
from cardiobind.objectives import ENDPOINTS
from cardiobind.tasks import KINDS

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

MOST_SUBJECTS = 300
"""Subjects of a split that a network looks at for these measurements, evenly spread over it."""

MOST_FAMILIAR = 1000
"""The same, of likeness: limits far out in a tail need many."""

SHARES = {"ecg": {"embedding": 0.1, "signs": 0.2, "texture": 0.7}}
"""Parts of the false alarms of a modality by check, chosen on simulated ECGs and folds 1 to 4 of PTB-XL; else equal."""

MOST_MASKED = 100
"""Validation ECGs whose leads are masked to find the limit for fewer leads."""

_BATCH = 32


def likeness(predictor: Predictor, cohort: Cohort, protocol: Protocol) -> dict[str, Familiar]:
    """Return what the training subjects look like, by modality; a modality of too few subjects is left out.

    Signals with a code for which the bundle abstains anyway take no part. Limits are set so that all checks of a
    modality together alarm at `FALSE_ALARM` of the validation subjects, or of the training subjects where that needs a
    wider limit: the tail of a few hundred people is uncertain.
    ECGs with leads missing, where the network was trained for them, have a limit of their own: that of the subset of
    `SUBSETS` that needs the widest.
    """
    found = {}
    for modality in predictor.contract.inputs:
        rows = {split: _reliable(cohort, protocol, split, modality) for split in ("train", "validation")}
        if len(rows["train"]) < FEWEST_TRAINING or len(rows["validation"]) < FEWEST_VALIDATION:
            continue
        values = {split: _values(predictor, cohort, protocol, modality, own) for split, own in rows.items()}
        shares = SHARES.get(modality, dict.fromkeys(values["train"], 1 / max(len(values["train"]), 1)))
        checks = {
            name: _check(_fit(modality, name), own, values["validation"][name], FALSE_ALARM * shares[name])
            for name, own in values["train"].items()
        }
        if modality == "ecg" and predictor.contract.leads is not None and predictor.contract.leads.trained:
            checks["signs_of_few_leads"] = _few_leads(checks["signs"], predictor, cohort, rows["validation"])
        found[modality] = Familiar(checks, len(rows["train"]), len(rows["validation"]))
    return found


def lead_table(predictor: Predictor, cohort: Cohort, protocol: Protocol, *, trained: bool) -> LeadTable | None:
    """Return how well the ECG alone does with fewer leads, on validation subjects; None for a network without ECGs.

    Args:
        predictor: the bundle at work.
        cohort: with the ECGs.
        protocol: with the labels.
        trained: whether leads were left out in training.
    """
    if "ecg" not in predictor.contract.inputs or protocol.labels is None:
        return None
    labels = protocol.labels
    known = KINDS.get(predictor.contract.kind).known
    rows = _some(cohort, protocol, "validation", "ecg", lambda own: known(labels[own]))
    if len(rows) < FEWEST_VALIDATION:
        return LeadTable(trained)
    objective = ENDPOINTS.get(predictor.contract.kind).from_json(predictor.contract.objective)
    counts, costs, metric = cohort.read("ecg", rows), [], next(iter(objective.monitors))
    for leads in SUBSETS.values():
        signals = torch.from_numpy(normalise_by_lead_group(masked(counts, leads)))
        value = objective.measure(_logits(predictor, "ecg", signals), labels[rows])[metric]
        costs.append(LeadCost(leads, round(value, 4) if np.isfinite(value) else None))
    return LeadTable(trained, metric, len(rows), tuple(costs))


_FITS: Mapping[str, Callable[[Floats], Check]] = {"embedding": fit_directions, "signs": fit_values}
_FITS_OF_ECGS: Mapping[str, Callable[[Floats], Check]] = {
    "signs": partial(fit_clipped, clip=8.0), "texture": partial(fit_clipped, clip=4.0)
}  # fmt: skip


def _fit(modality: str, name: str) -> Callable[[Floats], Check]:
    return _FITS_OF_ECGS[name] if modality == "ecg" and name in _FITS_OF_ECGS else _FITS[name]


def _check(fit: Callable[[Floats], Check], training: Floats, validation: Floats, false_alarm: float) -> Check:
    found = fit(training)
    return found.limited(max(limit_of(found.distances(own), false_alarm) for own in (training, validation)))


def _few_leads(check: Check, predictor: Predictor, cohort: Cohort, rows: Rows) -> Check:
    counts, rate_hz = cohort.read("ecg", rows[:MOST_MASKED]), float(predictor.contract.inputs["ecg"].rate_hz or 0)
    limits = []
    for leads in SUBSETS.values():
        signs = np.stack([ecg_signs(one, rate_hz) for one in masked(counts, leads)])
        limits.append(limit_of(check.distances(signs), FALSE_ALARM))
    return check.limited(max(limits))


def _values(
    predictor: Predictor, cohort: Cohort, protocol: Protocol, modality: str, rows: Rows
) -> dict[str, Floats]:  # fmt: skip
    """Return the rows (n, d) that each check of a modality compares."""
    if modality == "tabular":
        if protocol.contract is None:
            return {}
        signs = table_signs(
            protocol.contract.encode(cohort.table.iloc[rows]), predictor.contract.inputs[modality].cardinalities
        )
        return {"signs": signs} if signs.shape[1] else {}
    stored: NDArray[Any] = cohort.read(modality, rows)
    if modality == "ecg":
        rate_hz = float(predictor.contract.inputs["ecg"].rate_hz or 0)
        simple = {"signs": np.stack([ecg_signs(one, rate_hz) for one in stored])}
        simple["texture"], signals = (
            np.stack([ecg_texture(one, rate_hz) for one in stored]),
            normalise_by_lead_group(stored),
        )
    else:
        simple, signals = {"signs": np.stack([cmr_signs(one) for one in stored])}, scale_cmr(stored)
    return simple | {"embedding": _held(predictor, modality, torch.from_numpy(signals))}


def _some(
    cohort: Cohort, protocol: Protocol, split: str, modality: str,
    usable: Callable[[Rows], NDArray[np.bool_]] | None = None, most: int = MOST_SUBJECTS,
) -> Rows:  # fmt: skip
    rows = cohort.rows_with(protocol.rows(split), [modality])
    rows = rows if usable is None else rows[usable(rows)]
    chosen = np.unique(np.linspace(0, max(len(rows) - 1, 0), min(most, len(rows))).round().astype(np.int64))
    return rows[chosen]


def _reliable(cohort: Cohort, protocol: Protocol, split: str, modality: str) -> Rows:
    """Return samples whose signal has no code for which a bundle abstains."""
    if modality == "tabular":
        return _some(cohort, protocol, split, modality, most=MOST_FAMILIAR)

    def usable(rows: Rows) -> NDArray[np.bool_]:
        codes = cohort.quality(modality, rows)
        return np.array([DOUBTFUL[modality].isdisjoint(own) for own in codes], dtype=bool)

    return _some(cohort, protocol, split, modality, usable, MOST_FAMILIAR)


def _held(predictor: Predictor, modality: str, signals: Tensor) -> Floats:
    parts = [predictor.held(modality, part).double().numpy() for part in _batches(signals)]
    return np.concatenate(parts)


def _logits(predictor: Predictor, modality: str, signals: Tensor) -> Floats:
    parts = []
    for part in _batches(signals):
        present = {m: torch.full((len(part),), m == modality) for m in predictor.contract.inputs}
        parts.append(mean_logits(predictor.hear({modality: part}, present).logits).double().numpy())
    return np.concatenate(parts)


def _batches(signals: Tensor) -> list[Tensor]:
    return [signals[start : start + _BATCH] for start in range(0, len(signals), _BATCH)]
