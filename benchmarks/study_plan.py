"""The jobs of a methods study, put together from the pieces of a TOML file."""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Tree = dict[str, Any]

TINY = {
    "pretrain_steps": 4, "pretrain_batch": 16, "align_steps": 4, "align_batch": 16, "finetune_steps": 4,
    "finetune_batch": 16, "subjects": 120,
}  # fmt: skip
TINY_SOURCE = {
    "kind": "simulated",
    "options": {
        "subjects": TINY["subjects"], "mi_prevalence": 0.4, "ecg_fraction": 0.95, "cmr_fraction": 0.5, "slices": 1,
        "phases": 8, "image_px": 64, "pixel_spacing_mm": 3.6,
    },
}  # fmt: skip
TINY_ENCODERS = {
    "vit": {"width": 16, "depth": 1, "heads": 2}, "lead_vit": {"width": 16, "depth": 1, "heads": 2},
    "s4": {"width": 8, "depth": 1}, "xresnet1d": {"blocks": [1, 1], "widths": [8, 8]},
    "resnet1d": {"base_width": 4, "blocks": [1, 1]}, "resnet": {"base_width": 4},
    "tabular_mlp": {"width": 8}, "tabular_transformer": {"width": 8, "depth": 1, "heads": 2},
}  # fmt: skip


@dataclass(frozen=True)
class Job:
    """One experiment of a study.

    Attributes:
        name: as in the plan.
        tree: the experiment.
        stage: how far it goes.
        after: the job whose pre-trained encoders it takes over, or "".
    """

    name: str
    tree: Tree
    stage: str = "finetune"
    after: str = ""

    @property
    def folder(self) -> str:
        """Name of the job's folder."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")


@dataclass(frozen=True)
class Plan:
    """A study.

    Attributes:
        title, baselines: for the results.
        experiment: what all jobs share; its signals and protocol make the cohort.
        budget: steps and batches, the same for all jobs.
        jobs: in order.
    """

    title: str
    baselines: tuple[str, ...]
    experiment: Tree
    budget: Mapping[str, int]
    jobs: tuple[Job, ...]


def read_plan(
    file: Path, study: str, *, tiny: bool = False, budget: Mapping[str, int | None] | None = None,
    task: str | None = None,
) -> Plan:  # fmt: skip
    """Return a study of a plan file.

    Args:
        file: TOML.
        study: section of it.
        tiny: make everything as small as can be, on a small simulated cohort, to see that it works.
        budget: replaces numbers of the plan's budget where it is not None.
        task: endpoint instead of the plan's, or None.
    """
    section = tomllib.loads(file.read_text())[study]
    given = {k: v for k, v in (budget or {}).items() if v is not None and k in section["budget"]}
    numbers = section["budget"] | ({k: v for k, v in TINY.items() if k in section["budget"]} if tiny else {}) | given
    experiment = section["experiment"]
    if "subjects" in numbers:
        experiment["source"]["options"]["subjects"] = numbers["subjects"]
    if task is not None:
        experiment["protocol"]["task"] = task
    if tiny:
        _shrink(experiment)
    jobs = tuple(_jobs(section, experiment, numbers, tiny=tiny))
    return Plan(section["title"], tuple(section["baselines"]), jobs[0].tree, numbers, jobs)


def merged(tree: Tree, change: Mapping[str, Any]) -> Tree:
    """Return a tree with another laid over it; lists and components (`kind`) are replaced as a whole."""
    result = copy.deepcopy(tree)
    for key, value in change.items():
        whole = not isinstance(value, Mapping) or not isinstance(result.get(key), dict) or "kind" in value
        result[key] = copy.deepcopy(value) if whole else merged(result[key], value)
    return result


def _jobs(section: Tree, experiment: Tree, numbers: Mapping[str, int], *, tiny: bool) -> Iterator[Job]:
    for entry in section["job"]:
        tree = experiment
        for piece in entry.get("use", []):
            tree = merged(tree, section["pieces"][piece])
        arms = [_arm(arm, entry) for arm in section["arms"][entry["arms"]]]
        tree = _with_budget(merged(tree, {"arms": arms}), numbers)
        for modality in ("ecg", "cmr", "tabular") if tiny else ():
            if modality in tree:
                encoder = tree[modality]["encoder"]
                encoder["options"] = encoder.get("options", {}) | TINY_ENCODERS.get(encoder["kind"], {})
        yield Job(entry["name"], tree, entry.get("stage", "finetune"), entry.get("after", ""))


def _arm(arm: Tree, job: Tree) -> Tree:
    named = arm | {"name": arm["name"].replace("{job}", job["name"])}
    return merged(named, {"options": job.get("options", {})}) if job.get("options") else named


def _with_budget(tree: Tree, numbers: Mapping[str, int]) -> Tree:
    tree = copy.deepcopy(tree)
    for modality in ("ecg", "cmr", "tabular"):
        if "pretrain" in tree.get(modality, {}):
            _limit(tree[modality]["pretrain"]["training"], numbers, "pretrain")
            _last_as_long(tree[modality]["pretrain"]["method"], numbers["pretrain_steps"])
    if "align" in tree:
        _limit(tree["align"]["training"], numbers, "align")
    _limit(tree["finetune"], numbers, "finetune")
    return tree


def _limit(training: Tree, numbers: Mapping[str, int], stage: str) -> None:
    steps = numbers[f"{stage}_steps"]
    rounds = 15 if stage == "finetune" else 10
    training |= {"steps": steps, "batch_size": numbers[f"{stage}_batch"], "round_steps": max(1, steps // rounds)}


def _last_as_long(method: Tree, steps: int) -> None:
    """Let the schedule of a method's own, such as that of a teacher's momentum, end with the training."""
    if "momentum_steps" in method.get("options", {}):
        method["options"]["momentum_steps"] = steps


def _shrink(experiment: Tree) -> None:
    experiment.pop("data_root", None)
    experiment["source"] = copy.deepcopy(TINY_SOURCE)
    experiment["protocol"] = {"task": "mi", "fractions": [0.5, 0.25, 0.25]}
    experiment |= {"seeds": [0], "label_fractions": [1.0]}
    experiment.setdefault("evaluation", {})["resamples"] = 100
