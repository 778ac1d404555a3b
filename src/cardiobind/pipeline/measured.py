"""What is measured in every ECG of a cohort: once for all that need it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cardiobind.artifact import Artifact
from cardiobind.errors import ConfigError
from cardiobind.modalities.ecg import ECG_UNIT_UV
from cardiobind.modalities.ecg.measurement_targets import TARGETS, measurement_targets
from cardiobind.modalities.ecg.measurements import MEASUREMENTS, SLOWEST_RATE_HZ, measure_ecg
from cardiobind.pipeline.components import Study
from cardiobind.pipeline.workspace import Stage

MEASUREMENT_ROOMS = ("modalities", "cohort/store", "pipeline/measured")
BLOCK = 256


def measured_ecgs(study: Study) -> Artifact:
    """Return the artefact of kind features with the measurements of all ECGs of the cohort."""

    def build(stage: Stage) -> None:
        with stage.commit() as folder:
            measured = pd.DataFrame(list(_measured(study, stage.name)), columns=list(MEASUREMENTS), dtype=np.float32)
            measured.to_parquet(folder / "measurements.parquet", index=False)

    return study.workspace.obtain(
        "ecg-measurements", "features", build, config={}, rooms=MEASUREMENT_ROOMS, parents=[study.cohort.artifact]
    )


def ecg_measurements(study: Study) -> NDArray[np.float32]:
    """Return the measurements of all ECGs, (ECGs, len(MEASUREMENTS)), in the order of their samples."""
    return pd.read_parquet(measured_ecgs(study).file("measurements.parquet")).to_numpy(np.float32)


def measurements_to_learn(study: Study, measured: Artifact) -> NDArray[np.float64]:
    """Return the targets (samples, len(TARGETS)), standardised by the training subjects; NaN for test subjects.

    Args:
        study: the experiment at work.
        measured: as of `measured_ecgs`.
    """
    stored = pd.read_parquet(measured.file("measurements.parquet")).to_numpy(np.float64)
    rows = np.flatnonzero(study.cohort.has("ecg"))
    training = np.isin(rows, study.protocol.rows("train"))
    targets = np.full((len(study.cohort), len(TARGETS)), np.nan)
    targets[rows] = measurement_targets(stored, training)
    targets[study.protocol.rows("test")] = np.nan
    return targets


def check_measurable(study: Study, where: str) -> None:
    """Check that the study's ECGs can be measured at their rate.

    Raises:
        ConfigError: it is too low.
    """
    rate_hz = float(study.cohort.spec("ecg").rate_hz or 0)
    if rate_hz < SLOWEST_RATE_HZ:
        raise ConfigError(
            f"{where!r} cannot measure an ECG of that rate", where="ecg.rate_hz",
            expected=f"at least {SLOWEST_RATE_HZ:g}", got=rate_hz,
        )  # fmt: skip


def _measured(study: Study, title: str) -> Iterator[NDArray[np.float64]]:
    rows = np.flatnonzero(study.cohort.has("ecg"))
    rate_hz = float(study.cohort.spec("ecg").rate_hz or 0)
    for start in range(0, len(rows), BLOCK):
        for counts in study.cohort.read("ecg", rows[start : start + BLOCK]):
            yield measure_ecg(counts * (ECG_UNIT_UV / 1000), rate_hz)
        study.workspace.reporter.advance(title, min(start + BLOCK, len(rows)), len(rows))
