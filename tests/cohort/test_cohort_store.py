"""The opened cohort: aligned tables, signals by sample, refusals."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cardiobind.cohort import Cohort
from cardiobind.cohort.tables import make_samples, tidy_table
from cardiobind.errors import ArtifactError, InputError
from cardiobind.tasks import TASKS, label
from store_fakes import FakeSource, fake_cohort


@pytest.fixture(scope="module")
def source() -> FakeSource:
    return FakeSource(subjects=30, cmr=True, trouble={"SIM-00005": "fail"})


@pytest.fixture(scope="module")
def cohort(source: FakeSource, tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return fake_cohort(tmp_path_factory.mktemp("store"), source)


def test_samples_are_sorted_and_have_something(cohort: Cohort) -> None:
    assert cohort.samples["subject"].is_monotonic_increasing
    has = np.stack([cohort.has(m) for m in ("ecg", "cmr", "tabular")])
    assert has.any(axis=0).all()
    assert not cohort.has("ecg")[cohort.samples["subject"] == "SIM-00005"].any()


def test_the_table_is_aligned(cohort: Cohort, source: FakeSource) -> None:
    raw = source.table().set_index("subject")
    for row, subject in enumerate(cohort.samples["subject"]):
        if subject in raw.index:
            assert cohort.table["age_years"][row] == raw.loc[subject, "age_years"]
            assert cohort.table["sex"][row] == raw.loc[subject, "sex"]
        else:
            assert cohort.table.loc[row].isna().all()
    assert np.array_equal(cohort.has("tabular"), cohort.samples["subject"].isin(raw.index))


def test_labels_are_aligned_and_for_every_applicable_task(cohort: Cohort, source: FakeSource) -> None:
    assert "mi" in cohort.tasks
    assert "norm" not in cohort.tasks
    wanted = label(TASKS.get("mi_prevalent"), source.events(), source.visits()).set_index("subject")["label"]
    assert np.array_equal(cohort.labels("mi_prevalent"), wanted[cohort.samples["subject"]].to_numpy(), equal_nan=True)
    assert np.nansum(cohort.labels("mi")) > 0


def test_unknown_tasks_are_refused_with_a_suggestion(cohort: Cohort) -> None:
    with pytest.raises(InputError, match="mi_prevalent"):
        cohort.labels("mi_prevalen")


def test_reading_follows_the_order_asked_for(cohort: Cohort) -> None:
    rows = np.flatnonzero(cohort.has("cmr"))
    assert np.array_equal(cohort.read("cmr", rows[::-1]), cohort.read("cmr", rows)[::-1])
    assert np.array_equal(cohort.read("cmr", [rows[0], rows[0]])[1], cohort.read("cmr", rows[:1])[0])


def test_an_absent_signal_is_never_zeros(cohort: Cohort) -> None:
    with pytest.raises(InputError, match="have no ecg"):
        cohort.read("ecg", np.flatnonzero(~cohort.has("ecg"))[:1])


def test_unknown_modalities_are_refused(cohort: Cohort) -> None:
    with pytest.raises(InputError):
        cohort.has("echo")
    with pytest.raises(InputError):
        cohort.spec("tabular")


def test_rows_with(cohort: Cohort) -> None:
    rows = np.arange(len(cohort))[::-1]
    both = cohort.has("ecg") & cohort.has("cmr")
    assert np.array_equal(cohort.rows_with(rows, ["ecg", "cmr"], every=True), rows[both[rows]])
    one = cohort.has("ecg") | cohort.has("cmr")
    assert np.array_equal(cohort.rows_with(rows, ["ecg", "cmr"]), rows[one[rows]])


def test_specs_and_folds(cohort: Cohort) -> None:
    assert cohort.spec("ecg").shape == (12, 200)
    assert cohort.spec("cmr").shape == (3, 32, 32)
    assert np.isnan(cohort.fold).all()


def test_a_cohort_travels_without_its_maps(cohort: Cohort) -> None:
    cohort.read("ecg", np.flatnonzero(cohort.has("ecg")))
    copy = pickle.loads(pickle.dumps(cohort))  # noqa: S301
    rows = np.flatnonzero(copy.has("ecg"))
    assert np.array_equal(copy.read("ecg", rows), cohort.read("ecg", rows))
    assert len(pickle.dumps(cohort)) < 100_000


def test_another_artefact_is_no_cohort(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError):
        Cohort.open(tmp_path)


def test_the_table_is_made_plausible_and_nothing_is_lost() -> None:
    raw = pd.DataFrame(
        {
            "subject": ["a", "a", "b", None, "c", "", "d"],
            "visit": "2",
            "age_years": [60.0, 61.0, 1e6, 50.0, np.nan, 40.0, 55.0],
            "sex": ["male", "male", "sometimes", "male", None, "male", "female"],
            "diabetes": [1.0, 0.0, 7.0, 0.0, np.nan, 0.0, np.nan],
            "unheard_of": 1,
        }
    )
    table = tidy_table(raw)
    assert table.rows["subject"].tolist() == ["a", "d"]
    assert table.rows["age_years"].tolist() == [60.0, 55.0]
    assert "unheard_of" not in table.rows
    reasons = ["duplicate_record", "no_values", "no_subject", "no_values", "no_subject"]
    assert table.quarantine["reason"].tolist() == reasons
    assert table.read == len(table.rows) + len(table.quarantine)
    assert {(i["column"], i["reason"], i["count"]) for i in table.issues} == {
        ("age_years", "out_of_range", 1),
        ("sex", "unknown_category", 1),
        ("diabetes", "not_a_flag", 1),
    }


def test_a_table_without_keys_is_refused() -> None:
    with pytest.raises(InputError, match="no key"):
        tidy_table(pd.DataFrame({"age_years": [1.0]}))


def test_folds_reach_samples_without_a_row_in_the_table() -> None:
    raw = pd.DataFrame({"subject": ["a", "b"], "visit": ["1", "1"], "age_years": [50.0, np.nan], "fold": [3, 10]})
    index = pd.DataFrame({"subject": ["b", "c"], "visit": "1", "modality": "ecg", "position": [0, 1]})
    samples = make_samples(index, tidy_table(raw).rows, raw)
    assert samples["subject"].tolist() == ["a", "b", "c"]
    assert np.array_equal(samples["fold"], [3.0, 10.0, np.nan], equal_nan=True)
    assert samples["ecg"].tolist() == [-1, 0, 1]
    assert samples["tabular"].tolist() == [0, -1, -1]


def test_the_codes_of_a_signal_follow_the_order_asked_for(cohort: Cohort) -> None:
    index = pd.read_parquet(cohort.artifact.file("index.parquet"))
    wanted = index[index["modality"] == "ecg"].set_index("subject")["quality"]
    rows = np.flatnonzero(cohort.has("ecg"))[::-1]
    found = cohort.quality("ecg", rows)
    assert [";".join(codes) for codes in found] == wanted[cohort.samples["subject"].iloc[rows]].tolist()
    with pytest.raises(InputError):
        cohort.quality("eeg", rows)
