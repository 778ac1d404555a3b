"""The whole way once, from simulated raw files to a report and a bundle, small enough for every test run."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from cardiobind.artifact import Artifact, open_artifact
from cardiobind.config import Experiment
from cardiobind.pipeline import Result, load, run, simulate
from cardiobind.pipeline.ceiling import simulated_ceiling
from cardiobind.simulate import SimulationSettings, oracle

COHORT = SimulationSettings(
    subjects=140, mi_prevalence=0.3, ecg_fraction=0.9, cmr_fraction=0.6, slices=2, phases=10, image_px=64,
    pixel_spacing_mm=3.6,
)  # fmt: skip
EID = re.compile(rb"(?<!\d)9000[01]\d\d(?!\d)")
INPUTS = ("cmr", "cmr+ecg", "cmr+ecg+tabular", "cmr+tabular", "ecg", "ecg+tabular", "tabular")
TRAININGS = (
    "ecg.pretrain.training",
    "cmr.pretrain.training",
    "tabular.pretrain.training",
    "align.training",
    "finetune",
)
SMALL = (
    *(f"{part}.{word}" for part in TRAININGS for word in ("steps=none", "round_steps=none", "epochs=1")),
    "ecg.encoder.options={patch=[12,50],width=32,depth=2,heads=2}",
    "ecg.pretrain.method.options={decoder_width=32,decoder_depth=1,decoder_heads=2}",
    "cmr.size_px=48",
    "cmr.encoder.options={depth=18,base_width=8}",
    "tabular.encoder.options={width=32}",
    "arms.0.options={crop_s=6.0,crops=2,hidden=0}",
    "seeds=[0]",
    "label_fractions=[0.5]",
    "protocol.fractions=[0.5,0.2,0.3]",
    f"evaluation.inputs={list(INPUTS)}",
    "evaluation.resamples=100",
)


@dataclass
class Recorder:
    """A reporter that remembers what it was told."""

    finished: dict[str, bool] = field(default_factory=dict)
    worked: set[str] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)

    def start(self, stage: str) -> None:
        self.lines.append(stage)

    def advance(self, stage: str, done: int, total: int) -> None:
        self.worked.add(stage)

    def update(self, title: str, step: int, total: int, loss: float, seconds_left: float) -> None:
        self.worked.add(title)

    def finish(self, stage: str, *, cached: bool) -> None:
        self.finished[stage] = cached

    def say(self, line: str) -> None:
        self.lines.append(line)

    @property
    def computed(self) -> set[str]:
        """Stages that were not found done."""
        return {stage for stage, cached in self.finished.items() if not cached}


@dataclass(frozen=True)
class Walk:
    """A finished run.

    Attributes:
        folder: of the run.
        result: what it left for a person.
        told: what the reporter and the loggers heard.
    """

    folder: Path
    result: Result
    told: Recorder

    @property
    def raw(self) -> Path:
        return self.folder / "raw"

    @property
    def bundle(self) -> Path:
        assert self.result.bundle is not None
        return self.result.bundle

    def artifacts(self, kind: str) -> list[Artifact]:
        """Return the artefacts of a kind that the run used."""
        newest = {m.parent.name[:-9]: m.parent for m in sorted(self.folder.glob("*/manifest.json"), key=_age)}
        found = [open_artifact(newest[name]) for name in self.told.finished if name in newest]
        return [one for one in found if one.kind == kind]

    def exported(self) -> Artifact:
        """Return the predictor that the bundle was made from."""
        (parent,) = open_artifact(self.bundle).manifest["parents"]
        return open_artifact(self.bundle / parent["path"])

    def predictions(self) -> pd.DataFrame:
        """Return the scores of the exported predictor."""
        return pd.read_parquet(self.exported().file("predictions.parquet"))


def experiment(raw: Path, words: Sequence[str] = ()) -> Experiment:
    """Return the demo's experiment, made small."""
    return load("demo", [f"data_root={raw}", *SMALL, *words])


def walk(folder: Path) -> Walk:
    """Simulate raw files in `folder` and do everything on them; what is there already is kept."""
    told = Recorder()
    handler = _Lines(told.lines)
    logging.getLogger().addHandler(handler)
    try:
        raw = simulate(folder / "raw", COHORT, workers=1, reporter=told)
        ceiling = partial(simulated_ceiling, settings=COHORT)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("cardiobind.pipeline.ceiling.oracle", partial(oracle, fit_subjects=1000))
            result = run(experiment(raw), folder, reporter=told, ceiling=ceiling)
    finally:
        logging.getLogger().removeHandler(handler)
    return Walk(folder, result, told)


def _age(file: Path) -> float:
    return file.stat().st_mtime


class _Lines(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.DEBUG)
        self.lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
