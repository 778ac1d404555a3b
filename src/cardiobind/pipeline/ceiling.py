"""What the best possible predictor would reach on a simulated cohort, scored on the same held-out subjects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cardiobind.artifact import Artifact
from cardiobind.config import ArmConfig, resolved
from cardiobind.pipeline.arms import Cell, predictions_frame
from cardiobind.pipeline.components import ARM_ROOMS, COHORT_ROOMS, Study, build_source
from cardiobind.pipeline.results import CEILING
from cardiobind.pipeline.workspace import Stage
from cardiobind.simulate import SimulationSettings, oracle
from cardiobind.sources.base import TruthfulSource

CEILING_ROOMS = (*COHORT_ROOMS, *ARM_ROOMS, "pipeline/ceiling")


def simulated_ceiling(study: Study, settings: SimulationSettings) -> Artifact:
    """Return the oracle's scores of the held-out subjects as predictions, see `cardiobind.simulate.oracle`.

    Args:
        study: an experiment on raw files of a simulated cohort.
        settings: of that cohort.
    """
    return _ceiling(study, {"settings": settings.to_json()}, lambda: oracle(settings, study.experiment.protocol.task))


def known_ceiling(study: Study) -> Artifact | None:
    """Return the best scores of the held-out subjects that the experiment's source knows; None where it knows none."""
    source, task = build_source(study.experiment), study.experiment.protocol.task
    if not isinstance(source, TruthfulSource) or task not in source.ceilings:
        return None
    return _ceiling(study, {"source": resolved(study.experiment.source)}, lambda: source.best_scores(task))


def _ceiling(study: Study, origin: dict[str, Any], best: Callable[[], pd.DataFrame]) -> Artifact:
    cell = Cell(study, ArmConfig(name=CEILING), 1.0, study.experiment.seed, {})
    config = {**origin, "inputs": list(study.experiment.evaluation.inputs)}
    name = f"ceiling-{study.endpoint}" if study.endpoint else "ceiling"

    def build(stage: Stage) -> None:
        by_inputs = {str(k): rows.set_index("subject")["score"] for k, rows in best().groupby("inputs")}
        subjects = study.cohort.samples["subject"].astype(str)
        scores = {
            inputs: {s: _of(by_inputs[inputs], subjects, cell, s, inputs) for s in ("validation", "test")}
            for inputs in study.experiment.evaluation.inputs
        }
        with stage.commit() as folder:
            predictions_frame(cell, scores).to_parquet(folder / "predictions.parquet", index=False)

    parents = [study.cohort.artifact, study.protocol.artifact]
    return study.workspace.obtain(name, "ceiling", build, config=config, rooms=CEILING_ROOMS, parents=parents)


def _of(scores: pd.Series[float], subjects: pd.Series[str], cell: Cell, split: str, inputs: str) -> NDArray[np.float64]:
    return np.asarray(scores.loc[subjects.iloc[cell.scored_rows(split, inputs)]], dtype=np.float64)
