"""What attributions are when weights or labels are drawn by chance, and if a fact that leaks the outcome is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import explained_hearts as truth
from cardiobind.explain.subject import DEFAULT_BASELINES
from cardiobind.inference import Predictor
from cardiobind.modalities.features import CORE_FEATURES
from cardiobind.modalities.tabular.contract import TableContract
from cardiobind.simulate import simulate_table
from explained_maps import Reading, explained, maps, readings
from explained_measures import Truth, measures, ranks
from explained_networks import SEEDS, Subjects, predictor, train
from explained_places import STEPS

Floats = NDArray[np.float64]

LEAKS = tuple(f.name for f in CORE_FEATURES if f.role == "leak")


def randomised(found: Predictor, x: Tensor, method: str) -> list[tuple[str, float, float]]:
    """Return the rank correlation with the attributions of the trained network as its weights are drawn anew.

    Layers are made random one after the other, the last first (cascading, Adebayo et al. 2018).

    Returns:
        (last layer made random, correlation of signed attributions, of their sizes).
    """
    (modality,) = found.contract.inputs
    kind = found.contract.encoders[modality]["kind"]
    before = maps(found, x, method)
    own = {name: value.clone() for name, value in found.fusion.state_dict().items()}
    fresh = predictor(modality, kind, found.contract.table, seed=99).fusion.state_dict()
    reached, rows = dict(own), []
    for stage, names in _stages(list(own)):
        reached |= {name: fresh[name] for name in names}
        found.fusion.load_state_dict(reached)
        after = maps(found, x, method)
        rows.append((stage, ranks(before, after), ranks(np.abs(before), np.abs(after))))
    found.fusion.load_state_dict(own)
    return rows


def _stages(names: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Return the weights of the head, then those of the encoder's parts from the last to the first."""
    groups: dict[str, list[str]] = {}
    for name in names:
        words = name.split(".")
        part = (
            "head"
            if words[0] in ("head", "norms", "absent")
            else ".".join(words[3:5] if len(words) > 5 else words[3:4])
        )
        groups.setdefault(part, []).append(name)
    encoder = [part for part in groups if part != "head"]
    return [("head", groups["head"]), *((part, groups[part]) for part in reversed(encoder))]


def shuffled_labels(
    modality: str, kind: str, splits: Mapping[str, Subjects], learnt: dict[str, Any], scale: float
) -> dict[str, Any]:  # fmt: skip
    """Return localisation and correlation of a network that was trained on labels in random order."""
    found, way = predictor(modality, kind), f"integrated_gradients, {DEFAULT_BASELINES[modality]}"
    labels = np.random.default_rng(1).permutation(splits["train"].labels)
    train(found, splits["train"].x, labels, steps=max(20, round(STEPS[modality] * scale)))
    x, known = learnt["given"]
    after, before = maps(found, x, way), maps(learnt["predictor"], x, way)
    as_map = readings(modality)[learnt["rows"][way]["variant"]]
    return {
        "test": measures(modality, as_map(after), known), "signed": ranks(before, after),
        "sizes": ranks(np.abs(before), np.abs(after)), **_untrained(modality, kind, x, known, way, as_map),
    }  # fmt: skip


def _untrained(
    modality: str, kind: str, x: Tensor, known: Truth, way: str, as_map: Reading
) -> dict[str, Any]:  # fmt: skip
    """Return localisation by a network that was never trained: what the baseline does by itself."""
    return {"untrained": measures(modality, as_map(maps(predictor(modality, kind, seed=99), x, way)), known)}


def leaking_column(scale: float) -> dict[str, dict[str, Floats]]:
    """Return the place of each leaking fact among all, by method and subject, of a predictor trained with them."""
    frames = {name: truth.draw_hearts(truth.settings(round(count * max(scale, 0.3)), SEEDS[name]))
              for name, count in (("train", 3000), ("test", 600))}  # fmt: skip
    names = [f.name for f in CORE_FEATURES]
    tables = {name: simulate_table(frame) for name, frame in frames.items()}
    contract = TableContract.fit(tables["train"], names)
    found = predictor("tabular", "tabular_mlp", contract)
    x = {name: torch.from_numpy(contract.encode(table)) for name, table in tables.items()}
    train(found, x["train"], frames["train"]["mi_prevalent"].to_numpy(np.float64), steps=STEPS["tabular"])
    told = np.flatnonzero(tables["test"]["heart_attack_by_doctor"].to_numpy() == 1)[:60]
    silent = np.flatnonzero(tables["test"]["heart_attack_by_doctor"].to_numpy() == 0)[:60]
    result: dict[str, dict[str, Floats]] = {}
    for method in ("integrated_gradients", "occlusion"):
        for group, rows in (("told", told), ("not told", silent)):
            shares = [
                [abs(f.attribution) for f in one.tabular or ()] for one in explained(found, x["test"][rows], method)
            ]
            place = (-np.array(shares)).argsort(axis=1).argsort(axis=1) + 1.0
            result[f"{method}, {group}"] = {leak: place[:, names.index(leak)] for leak in LEAKS}
    result["facts"] = {"count": np.array([float(len(names))])}
    return result
