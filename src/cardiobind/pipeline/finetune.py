"""Every arm of an experiment at every share of the labels and every seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cardiobind.artifact import Artifact
from cardiobind.config import ArmConfig
from cardiobind.config.names import slug
from cardiobind.pipeline.arms import ARMS, Cell, members_of
from cardiobind.pipeline.components import ARM_ROOMS, Study
from cardiobind.pipeline.variants import Learnt, start_of, varied


def finetune(
    study: Study, encoders: Mapping[str, Artifact], aligned: Artifact | None,
    variants: Mapping[str | None, Learnt] | None = None,
) -> list[Artifact]:  # fmt: skip
    """Return the predictors of all cells, each fitted once.

    Args:
        study: the experiment at work.
        encoders: pre-trained encoders by modality.
        aligned: aligned encoders, or None.
        variants: what the variants that arms name have learnt.
    """
    return [fit(cell) for cell in cells(study, encoders, aligned, variants)]


def cells(
    study: Study, encoders: Mapping[str, Artifact], aligned: Artifact | None,
    variants: Mapping[str | None, Learnt] | None = None,
) -> Iterator[Cell]:  # fmt: skip
    """Yield the cells of the results table; of what was not learnt the weights are random."""
    learnt = {**(variants or {}), None: Learnt(encoders, aligned)}
    for fraction in study.experiment.label_fractions:
        for seed in study.experiment.seeds:
            for arm in study.experiment.arms:
                yield _cell(study, arm, fraction, seed, learnt)


def _cell(
    study: Study, arm: ArmConfig, fraction: float, seed: int, learnt: Mapping[str | None, Learnt]
) -> Cell:  # fmt: skip
    own = varied(study, arm.variant)
    members = (_cell(study, one, fraction, seed, learnt) for one in members_of(study.experiment, arm))
    return Cell(own, arm, fraction, seed, start_of(learnt, arm, own), tuple(members))


def fit_each(chosen: Sequence[Cell], *, again: bool = False) -> list[Artifact]:
    """Return the predictors of some cells, in order; ensembles are fitted last, so that they see their members anew.

    Args:
        chosen: cells of the results table.
        again: fit them whether or not they are there.
    """
    order = sorted(range(len(chosen)), key=lambda i: bool(chosen[i].members))
    fitted = {i: fit(chosen[i], again=again) for i in order}
    return [fitted[i] for i in range(len(chosen))]


def fit(cell: Cell, *, again: bool = False) -> Artifact:
    """Return the predictor of a cell, fitted unless it is there.

    Args:
        cell: of the results table.
        again: fit it whether or not it is there; its members are fitted only where they are not there.
    """
    parents = {found.digest: found for found, _ in cell.start.values()}
    parents |= {found.digest: found for found in map(fit, cell.members)}
    every = [cell.study.cohort.artifact, cell.study.protocol.artifact, *parents.values()]
    return cell.study.workspace.obtain(
        _name(cell), "predictor", lambda stage: ARMS.get(cell.arm.kind).fit(cell, stage), config=cell.description(),
        rooms=ARM_ROOMS, parents=every, again=again,
        together=ARMS.get(cell.arm.kind).together and not (cell.arm.training or cell.study.experiment.finetune).alone,
    )  # fmt: skip


def _name(cell: Cell) -> str:
    endpoint = f"{cell.study.endpoint}-" if cell.study.endpoint else ""
    return f"predictor-{endpoint}{slug(cell.arm.name)}-{cell.fraction * 100:g}pct-seed{cell.seed}"
