"""The arm that is several other arms at once: the mean of what they say."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit

from cardiobind.config import ArmConfig, Experiment
from cardiobind.errors import ConfigError, InputError
from cardiobind.pipeline.arms.base import ARMS, Arm
from cardiobind.pipeline.arms.cell import Cell
from cardiobind.pipeline.workspace import Stage
from cardiobind.registry import Registry, did_you_mean

Floats = NDArray[np.float64]
Scale = tuple[Callable[[Floats], Floats], Callable[[Floats], Floats]]

SCALES: Registry[Scale] = Registry("scale of a mean")
"""By kind of endpoint: the scale on which scores are averaged, there and back."""

LEAST = 1e-7
"""Probabilities nearer to 0 or 1 than this are taken as this far, so that their log odds are finite."""


def log_odds(probability: Floats) -> Floats:
    """Return the log odds of probabilities, within those of `LEAST`."""
    return np.asarray(logit(np.clip(probability, LEAST, 1 - LEAST)))


def _itself(values: Floats) -> Floats:
    return values


for _kind in ("binary", "multilabel", "survival"):
    SCALES.register(_kind)((log_odds, expit))
SCALES.register("regression")((_itself, _itself))


def mean_of(scores: Sequence[Floats], validation: NDArray[np.bool_], scale: Scale) -> Floats:
    """Return the mean of several models' scores on their scale, each brought to the models' mean centre and spread.

    A model that is sure of itself would outvote the others; so the scores of each are moved and stretched until mean
    and standard deviation over the validation subjects are those that the models have on average. No label is used.

    Args:
        scores: (n,) of each model, of the same rows.
        validation: (n,) bool, the rows that centre and spread are taken from.
        scale: there and back.
    """
    there, back = scale
    values = [there(own) for own in scores]
    centres = [float(v[validation].mean()) for v in values]
    spreads = [float(v[validation].std()) for v in values]
    said = [(v - c) / s for v, c, s in zip(values, centres, spreads, strict=True) if s > 0]
    mixed = np.mean(said, axis=0) if said else np.zeros_like(values[0])
    return back(float(np.mean(centres)) + float(np.mean(spreads)) * mixed)


def ensemble(*, members: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the names of the arms of an ensemble.

    Args:
        members: names of other arms of the experiment, at least two.

    Raises:
        ConfigError: there are fewer, or one is there twice.
    """
    if len(set(members)) != len(members) or len(members) < 2:
        expected = "two different names or more"
        raise ConfigError("an ensemble is made of several arms", where="members", expected=expected, got=str(members))
    return tuple(members)


def arms_of(experiment: Experiment, arm: ArmConfig) -> tuple[ArmConfig, ...]:
    """Return the arms that an arm is made of.

    Raises:
        ConfigError: a name is unknown, is an ensemble itself, or is not scored on all inputs of the ensemble.
    """
    known = {other.name: other for other in experiment.arms if ARMS.get(other.kind).members is None}
    names = ensemble(**arm.options)  # type: ignore[arg-type]
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(
            "there is no such arm to take the mean of", where=f"{arm.name}: members", got=unknown[0],
            hint=did_you_mean(unknown[0], list(known)) or "an ensemble of ensembles is not made",
        )  # fmt: skip
    for name in names:
        scored = known[name].inputs or experiment.evaluation.inputs
        if lacking := [inputs for inputs in arm.inputs or experiment.evaluation.inputs if inputs not in scored]:
            raise ConfigError(
                f"the arm {name!r} is not scored on all inputs of the ensemble {arm.name!r}", where="arms.inputs",
                expected=" | ".join(scored), got=lacking[0], hint="give the ensemble inputs of its own",
            )  # fmt: skip
    return tuple(known[name] for name in names)


def fit_ensemble(cell: Cell, stage: Stage) -> None:
    """Take the mean of what the members said, of the same labels and seed, and commit it."""
    frames = [pd.read_parquet(p.file("predictions.parquet")) for p in stage.parents if p.kind == "predictor"]
    wanted = list(cell.inputs)
    mixed = mean_frame([f[f["inputs"].isin(wanted)] for f in frames], SCALES.get(cell.task.kind))
    with stage.commit() as folder:
        (folder / "ensemble.json").write_text(json.dumps(cell.description(), indent=1))
        mixed.assign(arm=cell.arm.name).to_parquet(folder / "predictions.parquet", index=False)


def mean_frame(frames: Sequence[pd.DataFrame], scale: Scale) -> pd.DataFrame:
    """Return the rows of the first table with the mean of the scores of all, within each input set and label.

    Args:
        frames: predictions of the members, the same rows in each, in any order.
        scale: of the mean.

    Raises:
        InputError: the members' predictions are not of the same rows, or none is of a validation subject.
    """
    key = [name for name in ("inputs", "output", "split", "subject", "visit") if name in frames[0]]
    first, *others = (frame.set_index(key).sort_index() for frame in frames)
    if any(not other.index.equals(first.index) for other in others):
        raise InputError("the members' predictions are not of the same subjects", where="members")
    scores = [first["score"], *(other["score"] for other in others)]
    mixed = first.reset_index().astype({"score": np.float64})
    groups = mixed.groupby([name for name in key if name in ("inputs", "output")], sort=False).indices
    for rows in groups.values():
        validation = (mixed["split"].to_numpy()[rows] == "validation").astype(bool)
        if not validation.any():
            raise InputError(
                "an ensemble needs validation subjects, over whom its members are brought to one scale",
                where="members", hint="give protocol.fractions a validation part, or leave the ensemble out",
            )  # fmt: skip
        mixed.loc[rows, "score"] = mean_of([s.to_numpy(np.float64)[rows] for s in scores], validation, scale)
    return mixed


ARMS.register("ensemble")(Arm(fit_ensemble, lambda cell: None, ensemble, 0, members=arms_of))
