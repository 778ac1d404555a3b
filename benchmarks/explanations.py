"""Do explanations point at the truth? python benchmarks/explanations.py; docs/results/explanations.md has what it said.

Small predictors of a simulated infarct are trained, then explained; where the infarct alters the signals is known.
About ten minutes of one core; --scale 0.2 for a look, --only cmr for a part.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn import functional as F

import explained_hearts as truth
from cardiobind.data.dataset import scale_cmr
from cardiobind.explain import Explanation, explain
from cardiobind.explain.normal_beat import normal_ecg
from cardiobind.explain.normal_motion import normal_motion
from cardiobind.explain.signals import METHODS, Signal
from cardiobind.explain.subject import DEFAULT_BASELINES
from cardiobind.explain.units import waves
from cardiobind.inference import Predictor, PreparedSubject
from cardiobind.inference.bundle import BundleContract, network_of
from cardiobind.modalities.cmr import cmr_spec
from cardiobind.modalities.ecg import ecg_spec
from cardiobind.modalities.ecg.preparation import normalise_by_lead_group
from cardiobind.modalities.features import CORE_FEATURES
from cardiobind.modalities.tabular.contract import TableContract
from cardiobind.simulate import simulate_table

Floats = NDArray[np.float64]

SEEDS = {"train": 101, "validation": 202, "test": 303}
ENCODERS: dict[str, dict[str, dict[str, Any]]] = {
    "ecg": {
        "vit": {"patch": [12, 25], "width": 128, "depth": 4, "heads": 4},
        "resnet1d": {"base_width": 24},
    },
    "cmr": {"resnet": {"depth": 18, "base_width": 16}},
}
LEAKS = tuple(f.name for f in CORE_FEATURES if f.role == "leak")
CROP_S, CROPS = 5.0, 3
PIXEL_MM = truth.CMR.crop_mm / truth.CMR.size_px
BLUR_S, BLURS_MM = 0.02, (3.3, 6.6)
"""Standard deviations by which maps are smoothed: of an ECG, and of a cine those that are chosen from."""
STEPS_OF = {"ecg": 32, "cmr": 16, "tabular": 2}
WITHIN = {"ecg": "altered moments", "cmr": "the wall"}
WAYS = {
    "ecg": (
        "integrated_gradients, flat", "integrated_gradients, normal", "gradient_x_input, flat",
        "gradient_x_input, normal", "occlusion, flat", "wave_occlusion, flat", "wave_occlusion, normal",
    ),
    "cmr": (
        "integrated_gradients, normal", "integrated_gradients, grey", "integrated_gradients, blurred",
        "gradient_x_input, normal", "gradient_x_input, grey", "wave_occlusion, normal", "wave_occlusion, grey",
    ),
}  # fmt: skip
TWIN = "integrated_gradients, twin without the infarct"
"""Against the truth itself, which nobody has of a patient: what a baseline can give at best."""
RANDOMISED = {"ecg": "integrated_gradients, flat", "cmr": "integrated_gradients, normal"}
RESAMPLES = 1000
PARTS = ("ecg", "cmr", "tabular")


# --- predictors -------------------------------------------------------------------------------------------------------


def predictor(modality: str, kind: str, table: TableContract | None = None, seed: int = 0) -> Predictor:
    """Return an untrained predictor of one modality."""
    specs = {"ecg": ecg_spec(truth.ECG), "cmr": cmr_spec(truth.CMR)}
    if table is not None:
        specs["tabular"] = table.spec()
    options = {"width": 64} if modality == "tabular" else ENCODERS[modality][kind]
    contract = BundleContract(
        task="mi", title="infarct", inputs={modality: specs[modality]},
        encoders={modality: {"kind": kind, "options": options}}, pool="mean", fusion={"hidden": 0}, ecg=truth.ECG,
        cmr=truth.CMR, table=table, crop_s=CROP_S if modality == "ecg" else None, crops=CROPS, calibration={},
        summary={},
    )  # fmt: skip
    torch.manual_seed(seed)
    artifact: Any = SimpleNamespace(digest="none")
    return Predictor(artifact, contract, network_of(contract).eval())


def train(found: Predictor, x: Tensor, labels: Floats, *, steps: int, seed: int = 0) -> None:
    """Fit a predictor of one modality by AdamW on balanced cross-entropy, an ECG by random crops."""
    (modality,) = found.contract.inputs
    network = found.fusion.train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-3, total_steps=steps)
    weight = torch.tensor((1 - labels.mean()) / labels.mean())
    rng, length = np.random.default_rng(seed), round(CROP_S * truth.ECG.rate_hz)
    for _ in range(steps):
        rows = rng.choice(len(x), 48, replace=False)
        batch = x[rows]
        if modality == "ecg":
            start = rng.integers(batch.shape[2] - length + 1)
            batch = batch[:, :, start : start + length]
        logits = network({modality: batch}, {modality: torch.ones(len(rows), dtype=torch.bool)})[:, 0]
        loss = F.binary_cross_entropy_with_logits(logits, torch.from_numpy(labels[rows]).float(), pos_weight=weight)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    network.eval()


def logits(found: Predictor, x: Tensor) -> Floats:
    """Return the logits (n,) of signals."""
    (modality,) = found.contract.inputs
    parts = [x[i : i + 64] for i in range(0, len(x), 64)]
    ones = [torch.ones(len(part), dtype=torch.bool) for part in parts]
    return np.concatenate([found.logits({modality: p}, {modality: o})[:, 0] for p, o in zip(parts, ones, strict=True)])


# --- maps -------------------------------------------------------------------------------------------------------------


def explained(found: Predictor, x: Tensor, way: str) -> list[Explanation]:
    """Return the explanation of each subject by the code that ships; a way is a method and a baseline."""
    (modality,) = found.contract.inputs
    method, _, against = way.partition(", ")
    chosen = {modality: against} if against else None
    subjects = [PreparedSubject({modality: x[i : i + 1]}, {}) for i in range(len(x))]
    return [explain(found, one, method=method, baselines=chosen, steps=STEPS_OF[modality]) for one in subjects]


def maps(found: Predictor, x: Tensor, way: str) -> Floats:
    """Return signed attributions (n, ...)."""
    (modality,) = found.contract.inputs
    return np.stack([getattr(one, modality) for one in explained(found, x, way)])


def alternatives(modality: str, x: Floats) -> dict[str, Floats]:
    """Return maps that no network made."""
    noise = np.random.default_rng(0).random(x.shape)
    if modality == "ecg":
        rate = float(truth.ECG.rate_hz)
        window = np.stack([np.tile((waves(one, rate) == 1).astype(float), (12, 1)) for one in x])
        departure = np.abs(x - np.stack([normal_ecg(one, rate) for one in x]))
        return {
            "noise": noise, "amplitude": np.abs(x), "slope": np.abs(np.gradient(x, axis=2)), "QRS window": window,
            "departure from normal": departure,
        }  # fmt: skip
    motion = np.repeat(np.abs(x[:, :1] - x[:, 2:]), 3, axis=1)
    contrast = np.abs(x - x.mean(axis=(2, 3), keepdims=True))
    normal = np.stack([normal_motion(one, cmr_spec(truth.CMR).names, PIXEL_MM) for one in x])
    return {
        "noise": noise, "contrast": contrast, "motion": motion, "stillness": motion.max() - motion,
        "departure from normal motion": np.abs(x - normal),
    }  # fmt: skip


def against_twins(found: Predictor, x: Tensor, twins: Tensor) -> Floats:
    """Return integrated gradients of cines against those of the same hearts had they had no infarct."""
    rows = torch.ones(1, dtype=torch.bool)

    def score(many: Tensor) -> Tensor:
        return found.fusion({"cmr": many}, {"cmr": rows.expand(len(many))})[:, 0]

    signals = [Signal("cmr", one[None].clone().requires_grad_(), twin[None], score)
               for one, twin in zip(x, twins, strict=True)]  # fmt: skip
    return np.stack([METHODS.get("integrated_gradients")(one, STEPS_OF["cmr"]).values for one in signals])


Reading = Callable[[Floats], Floats]
SIGNS: Mapping[str, Reading] = {"towards the infarct": lambda a: np.maximum(a, 0.0), "both signs": np.abs}


def _over_time(a: Floats) -> Floats:
    return np.asarray(gaussian_filter1d(a, BLUR_S * truth.ECG.rate_hz, axis=2))


def _over_planes(a: Floats, blur_mm: float) -> Floats:
    return np.asarray(gaussian_filter(a, (0, 0, blur_mm / PIXEL_MM, blur_mm / PIXEL_MM)))


def _together(a: Floats) -> Floats:
    return np.repeat(a.sum(axis=1, keepdims=True), a.shape[1], axis=1)


def readings(modality: str) -> dict[str, Reading]:
    """Return the ways of reading a map of attributions that are chosen from."""
    if modality == "ecg":
        return {name: lambda a, sign=sign: _over_time(sign(a)) for name, sign in SIGNS.items()}
    found: dict[str, Reading] = {}
    for name, sign in SIGNS.items():
        for blur_mm in BLURS_MM:
            found[f"each moment, {name}, {blur_mm} mm"] = lambda a, s=sign, b=blur_mm: _over_planes(s(a), b)
            found[f"moments together, {name}, {blur_mm} mm"] = lambda a, s=sign, b=blur_mm: _over_planes(
                s(_together(a)), b
            )
    return found


# --- measures ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Truth:
    """What is known of the subjects that are explained, first axis subjects.

    Attributes:
        mask: where the infarct is in the signal.
        within: where else it could have been: the moments at which some lead is altered, the wall.
        leads: (n, 12) over the infarct, of an ECG.
        change: (n, 12) by how much it alters each lead.
        twins: cines of the same hearts without the infarct.
    """

    mask: truth.Mask
    within: truth.Mask
    leads: truth.Mask | None = None
    change: Floats | None = None
    twins: Tensor | None = None


def measures(modality: str, values: Floats, known: Truth) -> dict[str, Floats]:
    """Return each measure of localisation, one number a subject."""
    found: dict[str, list[float]] = {}
    for i, one in enumerate(values):
        mask, flat = known.mask[i], one.ravel()
        add = found.setdefault
        add("AUROC", []).append(_auroc(mask.ravel(), flat))
        add("share in the infarct, over chance", []).append(_share(one, mask) / mask.mean())
        add("largest is in the infarct", []).append(float(mask.ravel()[flat.argmax()]))
        within = known.within[i]
        add(f"AUROC within {WITHIN[modality]}", []).append(_auroc(mask[within], one[within]))
        if known.leads is None:
            add("share in the wall, over chance", []).append(_share(one, within) / within.mean())
        else:
            add("AUROC of the territory's leads", []).append(_auroc(known.leads[i], one.sum(axis=1)))
            add("rank of leads", []).append(_rank_of_leads(one, known.change[i]))
    return {name: np.array(numbers) for name, numbers in found.items()}


def _rank_of_leads(one: Floats, change: Floats) -> float:
    return float(spearmanr(one.sum(axis=1), change).statistic) if np.ptp(one.sum(axis=1)) > 0 else 0.0


def _auroc(mask: truth.Mask, values: Floats) -> float:
    return float(roc_auc_score(mask, values)) if 0 < mask.sum() < mask.size else float("nan")


def _share(values: Floats, mask: truth.Mask) -> float:
    total = float(values.sum())
    return float(values[mask].sum()) / total if total > 0 else float(mask.mean())


def interval(values: Floats, seed: int = 0) -> tuple[float, float, float]:
    """Return the mean over subjects with its 95 % percentile bootstrap interval."""
    known = values[np.isfinite(values)]
    rows = np.random.default_rng(seed).integers(len(known), size=(RESAMPLES, len(known)))
    low, high = np.quantile(known[rows].mean(axis=1), (0.025, 0.975))
    return float(known.mean()), float(low), float(high)


# --- one modality -----------------------------------------------------------------------------------------------------


@dataclass
class Subjects:
    """Signals, labels and what is known of one split; `shown` are the infarcts that are explained."""

    x: Tensor
    labels: Floats
    hearts: pd.DataFrame


def simulated(modality: str, split: str, count: int) -> Subjects:
    """Return a split of simulated subjects of one modality."""
    found = truth.hearts(count, SEEDS[split])
    if modality == "ecg":
        x = torch.from_numpy(normalise_by_lead_group(truth.ecgs(found)))
    else:
        x = torch.from_numpy(scale_cmr(truth.cines(found, masks=False).frames))
    return Subjects(x, found["label"].to_numpy(np.float64), found)


def shown(modality: str, split: Subjects, score: Floats, most: int) -> tuple[Tensor, Truth]:
    """Return the infarcts that the network recognises, with the truth about them, at most so many."""
    rows = np.flatnonzero((split.labels == 1) & (score > 0))[:most]
    hearts = split.hearts.iloc[rows].reset_index(drop=True)
    if modality == "ecg":
        change = truth.change(hearts)
        mask = truth.altered(change)
        moments = np.broadcast_to(mask.any(axis=1, keepdims=True), mask.shape)
        return split.x[rows], Truth(mask, moments, truth.territory_leads(hearts), change.sum(axis=2))
    found = truth.cines(hearts, masks=True)
    there = found.scar.any(axis=(1, 2, 3))
    twins = torch.from_numpy(scale_cmr(truth.cines(truth.without_scar(hearts), masks=False).frames))[there]
    return split.x[rows][torch.from_numpy(there)], Truth(found.scar[there], found.wall[there], twins=twins)


def localisation(modality: str, kind: str, splits: Mapping[str, Subjects], scale: float) -> dict[str, Any]:
    """Train a predictor, choose how maps are read on validation subjects, and measure them on test subjects."""
    found = predictor(modality, kind)
    train(found, splits["train"].x, splits["train"].labels, steps=max(20, round(STEPS[modality] * scale)))
    scores = {name: logits(found, splits[name].x) for name in ("validation", "test")}
    given = {
        name: shown(modality, splits[name], scores[name], max(6, round(most * scale)))
        for name, most in MOST[modality].items()
    }
    every = {name: _every_map(modality, found, *own) for name, own in given.items()}
    rows = {
        name: _chosen(modality, {split: own[name] for split, own in every.items()}, given) for name in every["test"]
    }
    return {
        "predictor": found, "auroc": roc_auc_score(splits["test"].labels, scores["test"]), "rows": rows,
        "subjects": len(given["test"][0]), "given": given["test"], "mask": float(given["test"][1].mask.mean()),
    }  # fmt: skip


def _every_map(modality: str, found: Predictor, x: Tensor, known: Truth) -> dict[str, Floats]:
    raw = {method: maps(found, x, method) for method in WAYS[modality]}
    if known.twins is not None:
        raw[TWIN] = against_twins(found, x, known.twins)
    return raw | alternatives(modality, x.numpy().astype(np.float64))


def _chosen(modality: str, raw: Mapping[str, Floats], given: Mapping[str, tuple[Tensor, Truth]]) -> dict[str, Any]:
    """Return the measures on test subjects of a map, read as is best on validation subjects."""
    headline, read = f"AUROC within {WITHIN[modality]}", {}
    for name, as_map in readings(modality).items():
        read[name] = float(np.nanmean(measures(modality, as_map(raw["validation"]), given["validation"][1])[headline]))
    best = max(read, key=lambda name: read[name])
    test = measures(modality, readings(modality)[best](raw["test"]), given["test"][1])
    return {"variant": best, "validation": read[best], "test": test}


STEPS = {"ecg": 300, "cmr": 200, "tabular": 300}
MOST = {"ecg": {"validation": 15, "test": 30}, "cmr": {"validation": 40, "test": 60}}


# --- sanity -----------------------------------------------------------------------------------------------------------


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
        rows.append((stage, _ranks(before, after), _ranks(np.abs(before), np.abs(after))))
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


def _ranks(a: Floats, b: Floats) -> float:
    return float(np.nanmean([spearmanr(x.ravel(), y.ravel()).statistic for x, y in zip(a, b, strict=True)]))


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
        "test": measures(modality, as_map(after), known), "signed": _ranks(before, after),
        "sizes": _ranks(np.abs(before), np.abs(after)), **_untrained(modality, kind, x, known, way, as_map),
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


# --- page -------------------------------------------------------------------------------------------------------------


def table_of(learnt: Mapping[str, Any]) -> str:
    """Return the rows of one modality as a Markdown table."""
    columns = list(next(iter(learnt["rows"].values()))["test"])
    lines = [f"| map | read as | {' | '.join(columns)} |", f"| --- | --- |{' --- |' * len(columns)}"]
    for name, row in learnt["rows"].items():
        cells = [_cell(row["test"][column]) for column in columns]
        lines.append(f"| {name.replace('_', ' ')} | {row.get('variant', '')} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(values: Floats) -> str:
    mean, low, high = interval(values)
    return f"{mean:.2f} ({low:.2f} to {high:.2f})"


def main() -> None:
    """Run everything and print what it says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", choices=PARTS, action="append", help="a part of it; several may be named")
    options = parser.parse_args()
    torch.set_num_threads(1)
    start, scale = time.perf_counter(), options.scale
    parts: list[str] = []
    counts = {
        "ecg": {"train": 800, "validation": 120, "test": 220}, "cmr": {"train": 350, "validation": 100, "test": 220},
    }  # fmt: skip
    wanted = options.only or PARTS
    for modality, kinds in ENCODERS.items():
        if modality not in wanted:
            continue
        splits = {
            name: simulated(modality, name, max(120, round(count * scale))) for name, count in counts[modality].items()
        }
        for kind in kinds:
            learnt = localisation(modality, kind, splits, scale)
            chosen = {m: round(learnt["rows"][m]["validation"], 3) for m in WAYS[modality]}
            parts.append(
                f"### {modality} by `{kind}`\n\nTest AUROC of the predictor {learnt['auroc']:.2f}; "
                f"{learnt['subjects']} infarcts that it recognises; the truth is {100 * learnt['mask']:.1f} % of the "
                f"signal. AUROC within {WITHIN[modality]} on validation subjects: {chosen}.\n\n{table_of(learnt)}\n"
            )
            print(parts[-1], f"{time.perf_counter() - start:.0f} s", flush=True)
            x = learnt["given"][0][: max(4, round(6 * scale))]
            rows = randomised(learnt["predictor"], x, RANDOMISED[modality])
            text = "\n".join(f"| {stage} | {signed:.2f} | {sizes:.2f} |" for stage, signed, sizes in rows)
            parts.append(
                f"Randomised, {RANDOMISED[modality]}:\n\n| down to | signed | sizes |\n| --- | --- | --- |\n{text}\n"
            )
            print(parts[-1], f"{time.perf_counter() - start:.0f} s", flush=True)
            if kind != "resnet1d":
                other = shuffled_labels(modality, kind, splits, learnt, scale)
                for name in ("test", "untrained"):
                    cells = {measure: _cell(values) for measure, values in other[name].items()}
                    parts.append(f"{'Never trained' if name == 'untrained' else 'Shuffled labels'}: {cells}")
                    print(parts[-1])
                parts.append(f"Correlation signed {other['signed']:.2f}, sizes {other['sizes']:.2f}\n")
                print(parts[-1], f"{time.perf_counter() - start:.0f} s", flush=True)
    for name, by in (leaking_column(scale) if "tabular" in wanted else {}).items():
        parts.append(f"{name}: " + "; ".join(f"{column} {_cell(values)}" for column, values in by.items()))
        print(parts[-1])
    print(f"{(time.perf_counter() - start) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
