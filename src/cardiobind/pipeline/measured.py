"""What is measured in every ECG or cine of a cohort: once for all that need it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cardiobind.artifact import Artifact
from cardiobind.modalities.measurable import MEASURABLE
from cardiobind.pipeline.components import Study
from cardiobind.pipeline.workspace import Stage

MEASUREMENT_ROOMS = ("modalities", "cohort/store", "pipeline/measured")
BLOCK = 256


def measured(study: Study, modality: str) -> Artifact:
    """Return the artefact of kind features with the measurements of all signals of a modality in the cohort."""

    def build(stage: Stage) -> None:
        with stage.commit() as folder:
            names = MEASURABLE[modality].names(study.cohort.spec(modality))
            found = pd.DataFrame(list(_measured(study, modality, stage.name)), columns=list(names), dtype=np.float32)
            found.to_parquet(folder / "measurements.parquet", index=False)

    return study.workspace.obtain(
        f"{modality}-measurements", "features", build, config={}, rooms=MEASUREMENT_ROOMS,
        parents=[study.cohort.artifact],
    )  # fmt: skip


def measurements(study: Study, modality: str) -> NDArray[np.float32]:
    """Return the measurements (signals, measurements) of all signals of a modality, in the order of their samples."""
    return pd.read_parquet(measured(study, modality).file("measurements.parquet")).to_numpy(np.float32)


def measurements_to_learn(study: Study, modality: str, found: Artifact) -> NDArray[np.float64]:
    """Return the targets (samples, targets), standardised by the training subjects; NaN for test subjects.

    Args:
        study: the experiment at work.
        modality: what was measured.
        found: as of `measured`.
    """
    stored = pd.read_parquet(found.file("measurements.parquet")).to_numpy(np.float64)
    rows = np.flatnonzero(study.cohort.has(modality))
    training = np.isin(rows, study.protocol.rows("train"))
    targets = np.full((len(study.cohort), targets_of(study, modality)), np.nan)
    targets[rows] = MEASURABLE[modality].as_targets(stored, training)
    targets[study.protocol.rows("test")] = np.nan
    return targets


def targets_of(study: Study, modality: str) -> int:
    """Return how many targets there are to learn from a modality of the study's cohort."""
    return len(MEASURABLE[modality].targets(study.cohort.spec(modality)))


def check_measurable(study: Study, modality: str, where: str) -> None:
    """Check that the study's signals of a modality can be measured.

    Raises:
        ConfigError: they cannot.
    """
    MEASURABLE[modality].check(study.cohort.spec(modality), where)


def _measured(study: Study, modality: str, title: str) -> Iterator[NDArray[np.float64]]:
    rows, spec = np.flatnonzero(study.cohort.has(modality)), study.cohort.spec(modality)
    settings = study.cohort.artifact.config[modality]
    for start in range(0, len(rows), BLOCK):
        for signal in study.cohort.read(modality, rows[start : start + BLOCK]):
            yield MEASURABLE[modality].measure(signal, spec, settings)
        study.workspace.reporter.advance(title, min(start + BLOCK, len(rows)), len(rows))
