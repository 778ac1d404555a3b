"""Defect 14: no weight, round, penalty or threshold is chosen on the test split."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cardiobind.artifact import Artifact
from cardiobind.cohort import Cohort
from cardiobind.config import Experiment
from cardiobind.pipeline import run_until

Make = Callable[..., Experiment]


def learnt(found: Artifact) -> tuple[dict[str, Any], pd.DataFrame]:
    """Return the hashes of a predictor's files but its predictions, and the predictions."""
    files = dict(found.manifest["files"])
    del files["predictions.parquet"]
    assert "weights.safetensors" in files
    return files, pd.read_parquet(found.file("predictions.parquet"))


@pytest.mark.parametrize("split", ["test", "validation"])
def test_defect_14_other_labels_of_test_subjects_leave_what_is_learnt_to_the_bit(
    make: Make, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split: str
) -> None:
    small = make("finetune.epochs=3", "arms.0.start=scratch", "ecg.pretrain=none", "arms.1.start=scratch")
    small = small.model_copy(update={"arms": small.arms[:1]})
    (usual,) = run_until("finetune", small, shutil.copytree(prepared, tmp_path / "usual"))
    expected, scores = learnt(usual)
    turned = set(scores.loc[scores["split"] == split, "subject"])
    true_targets = Cohort.targets

    def flipped(cohort: Cohort, task: str) -> np.ndarray:
        targets = true_targets(cohort, task)
        return np.where(cohort.samples["subject"].isin(turned), 1.0 - targets, targets)

    monkeypatch.setattr(Cohort, "targets", flipped)
    (other,) = run_until("finetune", small, shutil.copytree(prepared, tmp_path / "other"))
    found, changed = learnt(other)
    here = scores["split"] == split
    assert (changed.loc[here, "label"] != scores.loc[here, "label"]).any()
    assert changed.loc[~here, "label"].equals(scores.loc[~here, "label"])
    # Of validation it is allowed to choose a round, so that the same change there shows that it would be seen.
    assert (found == expected) == (split == "test")
    assert split == "validation" or changed["score"].equals(scores["score"])
