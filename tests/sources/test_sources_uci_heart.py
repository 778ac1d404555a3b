"""The UCI heart disease data: columns, units, gaps, hospitals as folds; written here, and the real ones."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cardiobind.cohort.tables import tidy_table
from cardiobind.errors import ConfigError, InputError, RecordError
from cardiobind.modalities.features import FEATURE_BY_NAME
from cardiobind.pipeline import run
from cardiobind.pipeline.run import load
from cardiobind.sources import RecordRef, UciHeartSource
from cardiobind.tasks import TASKS, label
from unpainted import unpainted

CLEVELAND = (
    "63.0,1.0,1.0,145.0,233.0,1.0,2.0,150.0,0.0,2.3,3.0,0.0,6.0,0\n67.0,0.0,4.0,160,286,0,1,108,1,1.5,2,3.0,7.0,2\n"
)
SWITZERLAND = "32,1,2,0,0,?,?,127,0,.7,1,?,?,1\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "processed.cleveland.data").write_text(CLEVELAND)
    (tmp_path / "processed.switzerland.data").write_text(SWITZERLAND)
    return tmp_path


def test_columns_have_their_names_and_units(folder: Path) -> None:
    first, second, third = UciHeartSource(folder).table().to_dict("records")
    assert (first["sex"], second["sex"]) == ("male", "female")
    assert first["cholesterol_mmol_l"] == pytest.approx(6.03, abs=0.01)
    assert (first["chest_pain_typical"], second["chest_pain_typical"], third["chest_pain_atypical"]) == (1, 0, 1)
    assert (first["rest_ecg_hypertrophy"], second["rest_ecg_st_t"]) == (1, 1)
    assert (first["thallium_fixed_defect"], second["thallium_reversible_defect"]) == (1, 1)
    assert (first["coloured_vessels"], second["exercise_angina"], second["sbp_mmhg"]) == (0, 1, 160)
    gaps = ("sbp_mmhg", "cholesterol_mmol_l", "fasting_glucose_high", "rest_ecg_st_t", "coloured_vessels",
            "thallium_fixed_defect")  # fmt: skip
    assert all(np.isnan(third[name]) for name in gaps)
    assert third["fold"] == 10
    assert {first["fold"], second["fold"]} <= set(range(1, 10))


def test_every_column_is_a_feature_and_none_is_lost(folder: Path) -> None:
    table = UciHeartSource(folder).table()
    assert set(table) - {"subject", "visit", "fold"} <= set(FEATURE_BY_NAME)
    tidy = tidy_table(table)
    assert (len(tidy.rows), tidy.issues) == (3, [])


def test_a_narrowed_artery_is_the_label(folder: Path) -> None:
    source = pickle.loads(pickle.dumps(UciHeartSource(folder)))  # noqa: S301
    found = label(TASKS.get("uci_heart_disease"), source.events(), source.visits())
    assert found["label"].tolist() == [0.0, 1.0, 1.0]
    assert source.records() == []
    assert source.issues() == []
    with pytest.raises(RecordError):
        source.read(RecordRef("x", "1", "ecg", "x"))


def test_what_is_not_there_is_said(folder: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'cleveland'"):
        UciHeartSource(folder, "clevland")
    with pytest.raises(InputError, match=r"processed\.va\.data"):
        UciHeartSource(folder, "va")
    (folder / "processed.switzerland.data").write_text("1,2,3\n")
    with pytest.raises(InputError, match="not the columns"):
        UciHeartSource(folder).table()


def test_the_real_hospitals(shared_data: Path) -> None:
    root = shared_data / "tabular" / "uci_heart_disease"
    if not root.is_dir():
        pytest.skip(f"no UCI heart disease data at {root}")
    table = UciHeartSource(root).table()
    assert len(table) == 303 + 294 + 123 + 200
    assert (table["fold"] == 10).sum() == 294 + 123 + 200
    assert 50 < (table["fold"] == 9).sum() < 100
    swiss = table[table["subject"].str.startswith("switzerland")]
    assert swiss["cholesterol_mmol_l"].isna().all()
    assert tidy_table(table).quarantine.empty


def test_the_experiment_runs_on_the_real_hospitals(shared_data: Path, tmp_path: Path) -> None:
    root = shared_data / "tabular" / "uci_heart_disease"
    if not root.is_dir():
        pytest.skip(f"no UCI heart disease data at {root}")
    words = ["seeds=[0]", "label_fractions=[1.0]", "tabular.pretrain.training.epochs=1", "finetune.steps=4",
             "finetune.round_steps=2", "evaluation.resamples=100"]  # fmt: skip
    experiment = load("uci_heart", [f"data_root={root}", "evaluation.comparisons=[]", *words])
    arms = tuple(arm for arm in experiment.arms if arm.name in ("SCARF, fine-tuned", "risk score", "boosted trees"))
    with unpainted():
        run(experiment.model_copy(update={"arms": arms}), tmp_path)
    (found,) = tmp_path.glob("evaluation-*")
    frame = pd.read_parquet(found / "predictions.parquet")
    assert set(frame.query("split == 'test'")["subject"].str.split("-").str[0]) == {"hungarian", "switzerland", "va"}
    assert frame["arm"].nunique() == 3
