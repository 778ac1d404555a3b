"""The arm of random convolution kernels: a baseline of the ECG that is hard to beat."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cardiobind.errors import ConfigError
from cardiobind.models import RandomKernels
from cardiobind.pipeline.arms.base import ARMS, Arm
from cardiobind.pipeline.arms.cell import Cell
from cardiobind.pipeline.arms.linear import fit_probe, linear_model, single_input
from cardiobind.pipeline.components import ARM_ROOMS, Study
from cardiobind.pipeline.pretrain import dataset
from cardiobind.pipeline.workspace import Stage
from cardiobind.training import computing


def build_kernels(cell: Cell) -> RandomKernels:
    """Return the kernels of an arm that is fitted for ECGs alone, without their biases."""
    inputs = single_input(cell)
    if inputs != "ecg":
        raise ConfigError("random kernels see an ECG and nothing else", where=cell.arm.name, expected="ecg", got=inputs)
    linear_model(cell)
    return _kernels(cell.study, dict(cell.arm.options))


def fit_random_kernels(cell: Cell, stage: Stage) -> None:
    """Fit a linear model on random convolution kernels of the raw ECG, a baseline that is hard to beat."""
    stored = kernel_features(cell.study, dict(cell.arm.options))
    fit_probe(cell, stage, lambda wanted: stored[np.searchsorted(ecg_rows(cell.study), wanted)])


def ecg_rows(study: Study) -> NDArray[np.int64]:
    """Return all samples that have an ECG, in order."""
    return np.flatnonzero(study.cohort.has("ecg"))


def kernel_features(study: Study, options: dict[str, Any]) -> NDArray[np.float32]:
    """Return the random-kernel features of all ECGs, (ECGs, features), computed once for all cells.

    The kernels are random; their biases are quantiles of training ECGs alone.
    """
    config = {"options": options, "seed": study.experiment.seed}
    parents = [study.cohort.artifact, study.division or study.protocol.artifact]

    def build(stage: Stage) -> None:
        kernels = _kernels(study, options)
        biases = study.cohort.rows_with(study.protocol.rows("train"), ["ecg"])[:512]
        with computing(kernels) as device:
            kernels.fit(dataset(study, biases, ("ecg",)).batch(range(len(biases))).signals["ecg"].to(device))
        with stage.commit() as folder:
            np.save(folder / "features.npy", _convolve(study, kernels, stage.name))

    found = study.workspace.obtain(
        "kernel-features", "features", build, config=config, rooms=ARM_ROOMS, parents=parents
    )
    stored: NDArray[np.float32] = np.load(found.file("features.npy"), mmap_mode="r")
    return stored


def _kernels(study: Study, options: dict[str, Any]) -> RandomKernels:
    try:
        return RandomKernels(study.protocol.specs["ecg"], seed=study.experiment.seed, **options)
    except TypeError as error:
        raise ConfigError(f"random kernels do not take these options: {error}", where="random_kernels") from error


def _convolve(study: Study, kernels: RandomKernels, title: str) -> NDArray[np.float32]:
    data = dataset(study, ecg_rows(study), ("ecg",))
    blocks = []
    with computing(kernels) as device, torch.inference_mode():
        for start in range(0, len(data), 64):
            end = min(start + 64, len(data))
            blocks.append(kernels(data.batch(range(start, end)).signals["ecg"].to(device)).cpu().numpy())
            study.workspace.reporter.advance(title, end, len(data))
    return np.concatenate(blocks)


ARMS.register("random_kernels")(Arm(fit_random_kernels, build_kernels, RandomKernels))
