"""Every arm of an experiment at every share of the labels and every seed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from cardiobind.artifact import Artifact
from cardiobind.pipeline.arms import ARMS, Cell
from cardiobind.pipeline.components import ARM_ROOMS, Study


def finetune(study: Study, encoders: Mapping[str, Artifact], aligned: Artifact | None) -> list[Artifact]:
    """Return the predictors of all cells, each fitted once.

    Args:
        study: the experiment at work.
        encoders: pre-trained encoders by modality.
        aligned: aligned encoders, or None.
    """
    return [_fit(cell) for cell in cells(study, encoders, aligned)]


def cells(study: Study, encoders: Mapping[str, Artifact], aligned: Artifact | None) -> Iterator[Cell]:
    """Yield the cells of the results table."""
    starts: dict[str, dict[str, tuple[Artifact, str]]] = {
        "scratch": {},
        "pretrained": {modality: (found, "") for modality, found in encoders.items()},
        "aligned": {} if aligned is None else {modality: (aligned, modality) for modality in study.modalities},
    }
    for fraction in study.experiment.label_fractions:
        for seed in study.experiment.seeds:
            for arm in study.experiment.arms:
                yield Cell(study, arm, fraction, seed, starts[arm.start])


def _fit(cell: Cell) -> Artifact:
    parents = {found.digest: found for found, _ in cell.start.values()}
    name = f"predictor-{_slug(cell.arm.name)}-{cell.fraction * 100:g}pct-seed{cell.seed}"
    return cell.study.workspace.obtain(
        name, "predictor", lambda stage: ARMS.get(cell.arm.kind).fit(cell, stage), config=cell.description(),
        rooms=ARM_ROOMS, parents=[cell.study.cohort.artifact, cell.study.protocol.artifact, *parents.values()],
    )  # fmt: skip


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
