"""The protocol: whole subjects, scalers from training rows alone, no leaks, bound to its cohort."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cardiobind.artifact import Artifact
from cardiobind.cohort import Cohort, Protocol, make_protocol
from cardiobind.cohort.splits import SPLITS
from cardiobind.errors import ArtifactError, ConfigError, DataContractError, InputError, LabelLeakageError
from store_fakes import FakeSource, fake_cohort

pytestmark = pytest.mark.usefixtures("one_endpoint")

OPTIONS = {"config": {}, "fingerprint": "f", "task": "mi", "fractions": (0.6, 0.2, 0.2)}


@dataclass(frozen=True)
class Perturbed(FakeSource):
    """The same training subjects, everybody else changed."""

    training: tuple[str, ...] = ()

    def table(self) -> pd.DataFrame:
        table = super().table()
        others = ~table["subject"].isin(self.training)
        table.loc[others, "age_years"] += 20
        table.loc[others, "sex"] = "male"
        table.loc[others, "diabetes"] = np.nan
        return table


@dataclass(frozen=True)
class Folded(FakeSource):
    """Official folds; the last subject is in fold 10."""

    def table(self) -> pd.DataFrame:
        table = super().table()
        return table.assign(fold=np.arange(len(table)) % 10 + 1)

    def records(self) -> list:  # type: ignore[type-arg]
        return [r for r in super().records() if int(r.subject[4:]) % 5 != 4]


@pytest.fixture(scope="module")
def cohort(one_endpoint: None, tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return fake_cohort(tmp_path_factory.mktemp("protocol"), FakeSource(subjects=120))


def protocol(cohort: Cohort, out: Path, **options: object) -> Protocol:
    make_protocol(cohort, out, **{**OPTIONS, **options})  # type: ignore[arg-type]
    return Protocol.open(out, cohort)


@dataclass(frozen=True)
class Dated(FakeSource):
    """The cholesterol of one training subject is from after the visit."""

    def instances(self) -> pd.DataFrame:
        table = self.table()
        return table.assign(**{name: 2 for name in table.columns[2:]})

    def days_after_visit(self) -> pd.DataFrame:
        table = self.table()
        return table.assign(**{name: 30.0 * (name == "age_years") for name in table.columns[2:]})


def test_every_column_has_its_role_in_the_protocol(cohort: Cohort, tmp_path: Path) -> None:
    opened = protocol(cohort, tmp_path / "p")
    roles = {entry["column"]: entry for entry in opened.artifact.json("roles.json")}
    assert list(roles) == list(cohort.table.columns)
    assert opened.contract is not None
    assert [name for name, entry in roles.items() if entry["used"]] == list(opened.contract.names)


@dataclass(frozen=True)
class AskedOnline(FakeSource):
    """Everybody has answered how often they drink six units, some day."""

    def table(self) -> pd.DataFrame:
        return super().table().assign(six_units_frequency="monthly")


def test_what_was_asked_online_is_taken_only_by_name(tmp_path: Path) -> None:
    asked = fake_cohort(tmp_path, AskedOnline(subjects=120))
    automatic, named = (
        protocol(asked, tmp_path / "p"),
        protocol(asked, tmp_path / "q", features=["six_units_frequency"]),
    )
    assert automatic.contract is not None
    assert "six_units_frequency" not in automatic.contract.names
    assert named.contract is not None
    assert named.contract.names == ("six_units_frequency",)


def test_all_features_without_a_value_are_named_at_once(cohort: Cohort, tmp_path: Path) -> None:
    with pytest.raises(DataContractError, match="beef_frequency, lamb_frequency"):
        protocol(cohort, tmp_path / "p", features=["age_years", "beef_frequency", "lamb_frequency"])


def test_a_label_is_refused_before_anything_else_is_said_of_the_features(cohort: Cohort, tmp_path: Path) -> None:
    for allowed in ([], ["lvef_percent"]):
        with pytest.raises(LabelLeakageError, match="lvef_percent"):
            protocol(cohort, tmp_path / "p", features=["age_years", "lvef_percent"], allow_leaks=allowed)


def test_values_from_after_the_visit_are_refused_by_name(tmp_path: Path) -> None:
    dated = fake_cohort(tmp_path, Dated(subjects=120))
    assert dated.instances is not None
    assert set(dated.instances["age_years"].dropna()) == {2}
    with pytest.raises(LabelLeakageError, match="age_years: dated_after"):
        protocol(dated, tmp_path / "p")
    (finding,) = protocol(dated, tmp_path / "q", allow_leaks=["age_years"]).findings
    assert finding.reason == "dated_after"


def test_rows_partition_the_cohort_by_subject(cohort: Cohort, tmp_path: Path) -> None:
    opened = protocol(cohort, tmp_path / "p")
    rows = [opened.rows(s) for s in SPLITS]
    assert sorted(np.concatenate(rows)) == list(range(len(cohort)))
    subjects = [set(cohort.samples["subject"].iloc[r]) for r in rows]
    assert sum(map(len, subjects)) == len(set.union(*subjects))
    with pytest.raises(InputError):
        opened.rows("training")


def test_the_contract_knows_the_training_rows_alone(cohort: Cohort, tmp_path: Path) -> None:
    opened = protocol(cohort, tmp_path / "p")
    training = tuple(cohort.samples["subject"].iloc[opened.rows("train")])
    other = fake_cohort(tmp_path, Perturbed(subjects=120, training=training))
    assert other.artifact.digest != cohort.artifact.digest
    make_protocol(other, tmp_path / "q", **OPTIONS)  # type: ignore[arg-type]
    for name in ("table_contract.json", "splits.parquet"):
        assert (tmp_path / "q" / name).read_bytes() == (tmp_path / "p" / name).read_bytes()
    ages = cohort.table["age_years"].iloc[opened.rows("train")]
    assert opened.contract is not None
    (age,) = [c for c in opened.contract.columns if c.name == "age_years"]
    assert np.isclose(age.mean, ages.mean())


def test_training_data_do_matter(cohort: Cohort, tmp_path: Path) -> None:
    protocol(cohort, tmp_path / "p")
    make_protocol(fake_cohort(tmp_path, FakeSource(subjects=120, shift=1.0)), tmp_path / "q", **OPTIONS)  # type: ignore[arg-type]
    contracts = [(tmp_path / p / "table_contract.json").read_text() for p in "pq"]
    assert contracts[0] != contracts[1]


def test_default_features_are_the_inputs_observed_in_training(cohort: Cohort, tmp_path: Path) -> None:
    opened = protocol(cohort, tmp_path / "p")
    assert opened.specs["tabular"].names == ("age_years", "sex", "sbp_mmhg", "diabetes")
    assert set(opened.specs) == {"ecg", "tabular"}
    assert opened.labels is not None
    assert np.array_equal(opened.labels, cohort.labels("mi"), equal_nan=True)


def test_without_a_table_or_a_task(cohort: Cohort, tmp_path: Path) -> None:
    opened = protocol(cohort, tmp_path / "p", features=[], task=None)
    assert opened.contract is None
    assert opened.task is None
    assert opened.labels is None
    assert set(opened.specs) == {"ecg"}


@pytest.mark.parametrize("task", ["mi", None])
def test_defect_10_a_leak_is_refused_unless_allowed(cohort: Cohort, tmp_path: Path, task: str | None) -> None:
    features = ["age_years", "heart_attack_by_doctor"]
    with pytest.raises(LabelLeakageError, match="heart_attack_by_doctor"):
        protocol(cohort, tmp_path / "p", features=features, task=task)
    assert not (tmp_path / "p").exists()
    allowed = protocol(cohort, tmp_path / "q", features=features, task=task, allow_leaks=["heart_attack_by_doctor"])
    assert "declared" in {f.reason for f in allowed.findings}


def test_impossible_protocols_are_refused(cohort: Cohort, tmp_path: Path) -> None:
    for options, error in (
        ({"split": "random"}, ConfigError),
        ({"features": ["age"]}, ConfigError),
        ({"features": ["hdl_mmol_l"]}, DataContractError),
        ({"task": "norm"}, InputError),
        ({"split": "official"}, InputError),
    ):
        with pytest.raises(error):
            protocol(cohort, tmp_path / "p", **options)


def test_an_empty_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no subject falls into"):
        protocol(fake_cohort(tmp_path, FakeSource(subjects=3)), tmp_path / "p", task=None)


def test_official_folds(tmp_path: Path) -> None:
    cohort = fake_cohort(tmp_path, Folded(subjects=50))
    opened = protocol(cohort, tmp_path / "p", split="official", task=None)
    assert set(cohort.fold[opened.rows("test")]) == {10.0}
    assert set(cohort.fold[opened.rows("train")]) == set(map(float, range(1, 9)))


def test_aliases_are_kept_together(cohort: Cohort, tmp_path: Path) -> None:
    first, second = cohort.samples["subject"][:2]
    plain = protocol(cohort, tmp_path / "p").splits
    other = next(s for s, split in zip(cohort.samples["subject"], plain, strict=True) if split != plain[0])
    opened = protocol(cohort, tmp_path / "q", aliases={other: first})
    assert opened.splits[cohort.samples.index[cohort.samples["subject"] == other][0]] == opened.splits[0]
    assert second != other or opened.splits[1] == opened.splits[0]


def test_a_protocol_belongs_to_its_cohort(cohort: Cohort, tmp_path: Path) -> None:
    protocol(cohort, tmp_path / "p")
    other = fake_cohort(tmp_path, FakeSource(subjects=121))
    with pytest.raises(ArtifactError, match="another cohort"):
        Protocol.open(tmp_path / "p", other)


def test_its_json_is_for_people_and_names_nobody(cohort: Cohort, tmp_path: Path) -> None:
    artifact: Artifact = protocol(cohort, tmp_path / "p").artifact
    for name in ("protocol.json", "audit.json", "table_contract.json"):
        assert "SIM-" not in artifact.file(name).read_text()
    facts = json.loads(artifact.file("protocol.json").read_text())
    assert sum(c["samples"] for c in facts["counts"].values()) == len(cohort)
