"""Promise P4: what learns never meets a validation or test subject, and is chosen by validation alone."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cardiobind.cohort import Cohort, Protocol
from cardiobind.data import CohortDataset
from cardiobind.pipeline import align, finetune, pretrain
from cardiobind.pipeline.components import Study
from cardiobind.pipeline.workspace import Workspace
from walking import Walk, experiment

pytestmark = pytest.mark.e2e
REACHED = "training was reached"


class Reached(Exception):
    """Ends a stage where training would begin."""


@pytest.fixture
def study(walked: Walk, tmp_path: Path) -> Study:
    """The study of the walk, with nothing trained."""
    cohort = Cohort(walked.artifacts("cohort")[0])
    protocol = Protocol.open(walked.artifacts("protocol")[0].path, cohort)
    return Study(experiment(walked.raw), Workspace(tmp_path), cohort, protocol)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The rows that a training was given."""
    found = SimpleNamespace(train=None, validation=None)

    def learn(method: Any, train: CohortDataset, validation: CohortDataset, *args: Any, **kwargs: Any) -> None:
        found.train, found.validation = train.rows, validation.rows
        raise Reached(REACHED)

    for module in ("cardiobind.pipeline.pretrain", "cardiobind.pipeline.arms.network"):
        monkeypatch.setattr(importlib.import_module(module), "learn", learn)
    return found


def check(study: Study, seen: SimpleNamespace) -> None:
    assert set(study.protocol.splits[seen.train]) == {"train"}
    assert set(study.protocol.splits[seen.validation]) == {"validation"}
    subjects = study.cohort.samples["subject"].to_numpy()
    assert not set(subjects[seen.train]) & set(subjects[study.protocol.rows("test")])


@pytest.mark.parametrize("modality", ["ecg", "cmr", "tabular"])
def test_pretraining_sees_training_subjects(study: Study, seen: SimpleNamespace, modality: str) -> None:
    with pytest.raises(Reached):
        pretrain(study, modality)
    check(study, seen)
    assert study.cohort.has(modality)[seen.train].all()


def test_alignment_sees_training_subjects(study: Study, seen: SimpleNamespace) -> None:
    with pytest.raises(Reached):
        align(study, {})
    check(study, seen)


def test_finetuning_sees_the_share_of_labels_it_may(study: Study, seen: SimpleNamespace) -> None:
    with pytest.raises(Reached):
        finetune(study, {}, None)
    check(study, seen)
    labelled = np.isfinite(study.protocol.labels[study.protocol.rows("train")]).sum()
    assert len(seen.train) <= 0.5 * labelled + 2
    assert np.isfinite(study.protocol.labels[seen.train]).all()
