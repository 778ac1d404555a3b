"""Labels of a cohort: times, evidence, matrices, kinds that cannot be trained, cohorts of an older layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cardiobind import artifact
from cardiobind.cohort import Cohort, Protocol, make_protocol
from cardiobind.config import load_experiment
from cardiobind.errors import ArtifactError, InputError
from cardiobind.tasks import TASKS, label
from store_fakes import FakeSource, fake_cohort

SHIPPED = Path(__file__).parents[2] / "experiments"
END = pd.Timestamp("2020-01-01")


class FollowedSource(FakeSource):
    """Those who are ill fall ill after the visit; everybody's records end on one day."""

    def events(self) -> pd.DataFrame:
        ill = super().events().assign(date=pd.Timestamp("2016-01-01"))
        ends = pd.DataFrame({"subject": self._names(), "visit": "", "system": "follow_up", "code": "end_of_records"})
        return pd.concat([ill, ends.assign(date=END)], ignore_index=True)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return fake_cohort(tmp_path_factory.mktemp("labels"), FollowedSource(subjects=20))


def test_time_and_event_of_each_sample(cohort: Cohort) -> None:
    time, event = cohort.survival("mi_survival")
    ill = cohort.labels("mi") == 1
    assert 0 < ill.sum() < len(cohort)
    assert np.array_equal(event == 1, ill)
    assert np.array_equal(time, np.where(ill, 365.0, (END - pd.Timestamp("2015-01-01")).days))
    assert cohort.summary["tasks"]["mi_survival"]["follow_up_days"]["median"] == np.median(time)
    with pytest.raises(InputError, match="survival"):
        cohort.survival("mi")


def test_the_label_table_says_why(cohort: Cohort) -> None:
    source = FollowedSource(subjects=20)
    wanted = label(TASKS.get("mi_incident"), source.events(), source.visits()).set_index("subject")
    found = cohort.label_table("mi_incident").set_index(cohort.samples["subject"])
    wanted = wanted.loc[found.index].fillna({"evidence": ""})
    pd.testing.assert_frame_equal(found[wanted.columns.drop("visit")], wanted.drop(columns="visit"), check_dtype=False)


def test_a_matrix_has_a_column_a_task(cohort: Cohort) -> None:
    found = cohort.label_matrix(["mi", "cad"])
    assert np.array_equal(found, np.stack([cohort.labels("mi"), cohort.labels("cad")], axis=1))


def test_a_protocol_of_times_knows_who_had_the_event_and_when(cohort: Cohort, tmp_path: Path) -> None:
    make_protocol(cohort, tmp_path / "p", task="mi_survival", config={}, fingerprint="f")
    made = Protocol.open(tmp_path / "p", cohort)
    time, event = cohort.survival("mi_survival")
    assert made.labels is not None
    np.testing.assert_array_equal(made.labels, np.stack([time, event], axis=1))


@pytest.mark.parametrize("task", ["mi", "mi_survival", "lvef_percent", "ptbxl_superclasses"])
def test_an_experiment_may_ask_for_every_kind_of_endpoint(task: str) -> None:
    from cardiobind.pipeline.components import check_names

    check_names(load_experiment(SHIPPED / "demo.toml", [f"protocol.task={task}"]))


def test_a_cohort_of_the_first_layout_names_the_migration(tmp_path: Path) -> None:
    with artifact.commit(tmp_path / "old", "cohort", schema_version=1, config={}, fingerprint="f") as folder:
        (folder / "samples.parquet").write_bytes(b"")
    with pytest.raises(ArtifactError, match="prepare the cohort again"):
        Cohort.open(tmp_path / "old")
