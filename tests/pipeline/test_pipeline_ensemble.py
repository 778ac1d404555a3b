"""The mean of several arms: against a slow loop, in rows of any order, and in an experiment."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from cardiobind import pipeline
from cardiobind.config import Experiment
from cardiobind.errors import ConfigError, InputError
from cardiobind.pipeline import Selection
from cardiobind.pipeline.arms.ensemble import SCALES, mean_frame, mean_of
from cardiobind.tasks import KINDS

Make = Callable[..., Experiment]
SETS = '["tabular","ecg+tabular"]'
MEMBERS = (
    f'arms.0={{name="risk score",kind="risk_score",inputs={SETS}}}',
    f'arms.1={{name="boosted table",kind="boosted_table",inputs={SETS}}}',
)


def both(make: Make, options: str, *words: str) -> Experiment:
    arm = f'arms.2={{name="both",kind="ensemble",inputs=["tabular"],options={options}}}'
    experiment = make(*MEMBERS, arm, "ecg.pretrain=none", *words)
    return experiment.model_copy(update={"arms": experiment.arms[:3]})


def test_the_mean_is_the_slow_one() -> None:
    g = np.random.default_rng(0)
    a, b = expit(g.normal(1, 3, 40)), expit(g.normal(-2, 0.5, 40))
    validation = np.arange(40) < 15
    found = mean_of([a, b], validation, SCALES.get("binary"))
    for i in range(40):
        said = []
        for own in (a, b):
            shown = [logit(own[j]) for j in range(15)]
            said.append((logit(own[i]) - np.mean(shown)) / np.std(shown))
        centre = (logit(a[:15]).mean() + logit(b[:15]).mean()) / 2
        spread = (logit(a[:15]).std() + logit(b[:15]).std()) / 2
        assert logit(found[i]) == pytest.approx(centre + spread * (said[0] + said[1]) / 2)


def test_alike_models_are_their_mean_and_a_constant_one_says_nothing() -> None:
    a = np.linspace(0.1, 0.9, 9)
    everybody = np.ones(9, bool)
    np.testing.assert_allclose(mean_of([a, a], everybody, SCALES.get("binary")), a)
    order = mean_of([a, np.full(9, 0.3)], everybody, SCALES.get("binary"))
    assert (np.diff(order) > 0).all()
    np.testing.assert_allclose(mean_of([a, 3 * a + 1], everybody, SCALES.get("regression")), 2 * a + 0.5)


def test_certainty_of_0_and_1_stays_finite() -> None:
    found = mean_of([np.array([0.0, 0.5, 1.0]), np.array([0.2, 0.3, 0.4])], np.ones(3, bool), SCALES.get("binary"))
    assert np.isfinite(found).all()
    assert (np.diff(found) > 0).all()


def test_every_kind_of_endpoint_has_a_scale() -> None:
    assert set(SCALES) == set(KINDS)


def frame(scores: list[float]) -> pd.DataFrame:
    keys = {"inputs": "ecg", "visit": "", "subject": [f"SIM-{i:06d}" for i in range(len(scores))]}
    split = ["validation", "test"] * (len(scores) // 2)
    return pd.DataFrame({**keys, "split": split, "label": 1.0, "score": scores, "arm": "one"})


def test_rows_may_come_in_any_order() -> None:
    a, b = frame([0.1, 0.2, 0.6, 0.9]), frame([0.3, 0.2, 0.4, 0.8])
    expected = mean_frame([a, b], SCALES.get("binary"))
    pd.testing.assert_frame_equal(mean_frame([a, b.sample(frac=1, random_state=1)], SCALES.get("binary")), expected)


def test_members_of_different_subjects_are_refused() -> None:
    with pytest.raises(InputError, match="not of the same subjects"):
        mean_frame([frame([0.1, 0.2, 0.6, 0.9]), frame([0.1, 0.2])], SCALES.get("binary"))


def test_without_validation_subjects_there_is_no_common_scale() -> None:
    tested = frame([0.1, 0.2, 0.6, 0.9]).assign(split="test")
    with pytest.raises(InputError, match="needs validation subjects"):
        mean_frame([tested, tested], SCALES.get("binary"))


def test_an_ensemble_in_an_experiment(make: Make, prepared: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(prepared, tmp_path / "run")
    experiment = both(make, '{members=["risk score","boosted table"]}')
    found = {p.config["arm"]["name"]: p for p in pipeline.run_until("finetune", experiment, folder)}
    read = {name: pd.read_parquet(p.file("predictions.parquet")) for name, p in found.items()}
    wanted = read["both"]
    assert set(wanted["inputs"]) == {"tabular"}
    assert set(wanted["arm"]) == {"both"}
    pd.testing.assert_frame_equal(
        wanted.drop(columns="arm"),
        mean_frame(
            [read[name][read[name]["inputs"] == "tabular"] for name in ("risk score", "boosted table")],
            SCALES.get("binary"),
        ).drop(columns="arm"),
    )  # fmt: skip


def test_again_fits_the_members_before_an_ensemble_that_is_listed_first(
    make: Make, prepared: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(prepared, tmp_path / "run")
    experiment = both(make, '{members=["risk score","boosted table"]}')
    experiment = experiment.model_copy(update={"arms": experiment.arms[::-1]})
    made = []
    for chosen in (Selection(), Selection(again=True)):
        found = pipeline.run_until("finetune", experiment, folder, selection=chosen)
        made.append({p.config["arm"]["name"]: p.file("predictions.parquet").stat().st_mtime_ns for p in found})
    assert list(made[0]) == list(made[1]) == ["both", "boosted table", "risk score"]
    assert max(made[0].values()) < min(made[1].values())
    assert made[1]["both"] == max(made[1].values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ('{members=["risk score"]}', "made of several arms"),
        ('{members=["risk score","risk score"]}', "made of several arms"),
        ('{members=["risk score","boosted tabel"]}', "did you mean 'boosted table'"),
        ('{members=["risk score","both"]}', "no such arm"),
        ("{member=3}", "member"),
        ("{}", "members"),
    ],
)
def test_impossible_ensembles_are_refused_before_any_work(make: Make, options: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        both(make, options)


def test_a_member_must_be_scored_on_what_the_ensemble_is_scored_on(make: Make) -> None:
    with pytest.raises(ConfigError, match="not scored on all inputs"):
        both(make, '{members=["risk score","boosted table"]}', 'arms.2.inputs=["ecg"]')
