"""Promise P7: a bundle scores raw files as the pipeline scored the same subject, and refuses what it cannot use."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit, logit
from typer.testing import CliRunner

from cardiobind import inference
from cardiobind.artifact import commit, open_artifact
from cardiobind.cli import app
from cardiobind.cohort import Cohort, Protocol
from cardiobind.data import CohortDataset
from cardiobind.errors import (
    CardiobindError,
    ConfigError,
    CorruptArtifactError,
    DataContractError,
    InputError,
    RecordError,
)
from cardiobind.evaluation.calibration import PlattScaling
from cardiobind.inference.answers import calibrated
from cardiobind.inference.bundle import Calibration, write_bundle
from cardiobind.inference.predictor import Predictor
from cardiobind.sources import SOURCES
from format_samples import ECG_SAMPLES, counts
from walking import EID, INPUTS, Walk

pytestmark = pytest.mark.e2e
BATCH_NOISE = 1e-4  # a subject alone and in a batch differ by the rounding of float32, times the classifier's weights


@pytest.fixture(scope="module")
def predictor(walked: Walk) -> Predictor:
    return inference.load(walked.bundle)


@pytest.fixture(scope="module")
def scores(walked: Walk) -> pd.DataFrame:
    """Logits of the test subjects who have everything, as the pipeline wrote them: subject x input set."""
    rows = walked.predictions().query("split == 'test'")
    wide: pd.DataFrame = rows.pivot(index="subject", columns="inputs", values="score").dropna()
    return wide.map(logit)


def raw_files(walked: Walk, subject: str, inputs: str) -> dict[str, Any]:
    given: dict[str, Any] = {
        "ecg": walked.raw / "bulk" / f"{subject}_20205_2_0.xml",
        "cmr": walked.raw / "bulk" / f"{subject}_20209_2_0.zip",
        "tabular": walked.raw / "table.csv",
    }
    chosen = {("table" if m == "tabular" else m): given[m] for m in inputs.split("+")}
    return chosen | ({"subject": subject} if "table" in chosen else {})


def complaint(error: pytest.ExceptionInfo[CardiobindError]) -> str:
    text = str(error.value)
    assert not EID.search(text.encode())
    return text


@pytest.mark.parametrize("score", [-40.0, -14.0, -3.0, 0.0, 5.0, 13.9, 30.0])
def test_the_risk_of_a_far_score_is_that_of_the_evaluation(score: float) -> None:
    fitted = PlattScaling(0.7, -0.4)
    (offline,) = fitted.apply(expit(np.array([score])))
    served = calibrated(score, Calibration(fitted.slope, fitted.intercept, 0.5))
    assert served == pytest.approx(offline, rel=1e-6)


@pytest.mark.parametrize("inputs", INPUTS)
def test_raw_files_get_the_score_of_the_pipeline(
    walked: Walk, predictor: Predictor, scores: pd.DataFrame, inputs: str
) -> None:
    for subject in scores.index[:3]:
        answer = predictor.predict(**raw_files(walked, str(subject), inputs))
        assert answer.inputs == inputs
        assert answer.logit == pytest.approx(scores.loc[subject, inputs], abs=BATCH_NOISE)
        known = predictor.contract.calibration[inputs]
        if known.slope is None:
            assert (answer.risk, answer.positive) == (None, None)
            assert answer.reason
        else:
            assert answer.risk == pytest.approx(expit(known.intercept + known.slope * answer.logit))
            assert answer.positive == (answer.risk >= known.threshold)
        assert answer.bundle == open_artifact(walked.bundle).digest
        json.dumps(answer.to_json(), allow_nan=False)
        assert not EID.search(json.dumps(answer.to_json()).encode())


@pytest.mark.parametrize("inputs", INPUTS)
def test_only_the_size_of_the_batch_may_differ(
    walked: Walk, predictor: Predictor, scores: pd.DataFrame, inputs: str
) -> None:
    cohort = Cohort(walked.artifacts("cohort")[0])
    protocol = Protocol.open(walked.artifacts("protocol")[0].path, cohort)
    stored = walked.predictions().query("split == 'test' and inputs == @inputs")
    place = pd.Series(range(len(cohort)), index=cohort.samples["subject"])
    rows, modalities = place[stored["subject"]].to_numpy(), tuple(inputs.split("+"))

    def logits(chosen: np.ndarray) -> np.ndarray:
        batch = CohortDataset(cohort, protocol, chosen, modalities).batch(range(len(chosen)))
        absent = {m: torch.zeros(len(chosen), dtype=torch.bool) for m in predictor.contract.inputs}
        return predictor.logits(batch.signals, absent | batch.present)[:, 0]

    np.testing.assert_allclose(logits(rows), logit(stored["score"]), atol=1e-6)
    for subject in scores.index[:2]:
        raw = predictor.predict(**raw_files(walked, str(subject), inputs)).logit
        assert raw == pytest.approx(logits(place[[subject]].to_numpy())[0], abs=1e-6)


def test_a_score_in_half_precision_is_near_that_in_float32_and_no_other_word_is_taken(walked: Walk) -> None:
    exact, half = inference.load(walked.bundle), inference.load(walked.bundle, precision="bf16-mixed")
    found = [predictor.predict(table={"age_years": 61.0, "sex": "male"}).logit for predictor in (exact, half)]
    assert found[0] is not None
    assert found[1] == pytest.approx(found[0], abs=0.1)
    with pytest.raises(ConfigError, match="precision"):
        inference.load(walked.bundle, precision="fp8")  # type: ignore[arg-type]


def test_the_calibrated_risk_is_a_risk_at_any_logit() -> None:
    steep = Calibration(20.0, 0.5, 0.3)
    assert calibrated(-1e3, steep) == pytest.approx(0.0)
    assert calibrated(1e3, steep) == pytest.approx(1.0)
    assert calibrated(0.0, Calibration(None, None, None, "too few")) is None


def test_a_canonical_table_says_the_same_as_the_platform_s(
    walked: Walk, predictor: Predictor, scores: pd.DataFrame, tmp_path: Path
) -> None:
    subject = str(scores.index[0])
    table = SOURCES.get("ukb")(root=walked.raw).table().query("subject == @subject")
    facts = table[[*predictor.contract.inputs["tabular"].names]]
    facts.to_csv(tmp_path / "facts.csv", index=False)
    facts.assign(subject=subject).to_parquet(tmp_path / "facts.parquet", index=False)
    table[["subject", *facts.columns]].to_csv(tmp_path / "subject.csv", index=False)
    mapping = {name: value for name, value in facts.iloc[0].items() if not pd.isna(value)}
    expected = predictor.predict(table=walked.raw / "table.csv", subject=subject).logit
    assert expected == pytest.approx(scores.loc[subject, "tabular"], abs=BATCH_NOISE)
    for given in (tmp_path / "facts.csv", tmp_path / "facts.parquet", mapping, facts):
        assert predictor.predict(table=given).logit == pytest.approx(expected, abs=1e-6)
    assert predictor.predict(table=tmp_path / "subject.csv", subject=subject).logit == pytest.approx(expected, abs=1e-6)


def test_an_identifier_beside_canonical_names_is_no_biobank_table(predictor: Predictor, tmp_path: Path) -> None:
    (tmp_path / "facts.csv").write_text("eid,age_years,sex\n9000017,61,female\n9000018,72,male\n")
    found = predictor.predict(table=tmp_path / "facts.csv", subject="9000018")
    assert found.logit == pytest.approx(predictor.predict(table={"age_years": 72, "sex": "male"}).logit, abs=1e-6)


@pytest.mark.parametrize("text", ["eid,p99_i2\n9000017,1\n", "statin\n1\n", "subject\n9000017\n"])
def test_a_table_without_a_fact_is_refused(predictor: Predictor, tmp_path: Path, text: str) -> None:
    (tmp_path / "facts.csv").write_text(text)
    with pytest.raises(InputError, match="none of the facts") as error:
        predictor.predict(table=tmp_path / "facts.csv")
    complaint(error)


def test_facts_that_are_not_given_are_missing_and_said_to_be(predictor: Predictor) -> None:
    answer = predictor.predict(table={"age_years": 61, "sex": "female", "statin": True})
    assert math.isfinite(answer.logit)
    assert set(answer.missing) == set(predictor.contract.inputs["tabular"].names) - {"age_years", "sex"}
    assert answer.ignored == ("statin",)
    assert predictor.predict(table={"age_years": 61, "statin": None}).ignored == ()


@pytest.mark.parametrize("as_file", [False, True])
def test_facts_that_are_all_missing_give_no_risk(predictor: Predictor, tmp_path: Path, as_file: bool) -> None:
    table: Any = {"age_years": None, "sex": float("nan"), "statin": 1}
    if as_file:
        pd.DataFrame([table]).to_csv(tmp_path / "facts.csv", index=False)
        table = tmp_path / "facts.csv"
    with pytest.raises(DataContractError, match="no fact given") as error:
        predictor.predict(table=table)
    complaint(error)


def test_a_subject_needs_a_table_that_has_it(walked: Walk, predictor: Predictor, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a subject without a table") as error:
        predictor.predict(ecg=walked.raw / "bulk" / "9000001_20205_2_0.xml", subject="9000001")
    complaint(error)
    (tmp_path / "facts.csv").write_text("age_years\n61\n")
    with pytest.raises(InputError, match="no column of subjects") as error:
        predictor.predict(table=tmp_path / "facts.csv", subject="9000001")
    complaint(error)
    (tmp_path / "facts.csv").write_text("eid,age_years\n9000017,61\n")
    with pytest.raises(InputError, match="no such subject in the table") as error:
        predictor.predict(table=tmp_path / "facts.csv", subject="9000018")
    complaint(error)


def test_nothing_given(predictor: Predictor) -> None:
    with pytest.raises(InputError) as error:
        predictor.predict()
    assert "ecg | cmr | tabular" in complaint(error)


def test_a_modality_the_bundle_does_not_know(walked: Walk, predictor: Predictor, tmp_path: Path) -> None:
    narrow = json.loads((walked.bundle / "contract.json").read_text())
    narrow["cmr"] = None
    for part in ("inputs", "encoders"):
        del narrow[part]["cmr"]
    contract = inference.BundleContract.from_json(narrow)
    weights = inference.bundle.network_of(contract).state_dict()
    write_bundle(commit(tmp_path / "bundle", "bundle"), contract, weights)
    with pytest.raises(DataContractError) as error:
        inference.load(tmp_path / "bundle").predict(cmr=walked.raw / "bulk" / "9000001_20209_2_0.zip")
    assert "ecg | tabular" in complaint(error)
    assert "got: cmr" in complaint(error)


@pytest.fixture(scope="module")
def score_of_the_sample(predictor: Predictor, tmp_path_factory: pytest.TempPathFactory) -> float:
    return predictor.predict(ecg=ECG_SAMPLES["cardiosoft_xml"](tmp_path_factory.mktemp("sample"), counts())).logit


@pytest.mark.parametrize("name", ECG_SAMPLES)
def test_an_ecg_of_every_format_is_scored_alike(
    name: str, predictor: Predictor, score_of_the_sample: float, tmp_path: Path
) -> None:
    found = predictor.predict(ecg=ECG_SAMPLES[name](tmp_path, counts()))
    assert found.inputs == "ecg"
    assert found.logit == pytest.approx(score_of_the_sample, abs=0.05)


def test_the_command_takes_any_format_and_names_those_it_takes(walked: Walk, tmp_path: Path) -> None:
    wanted = ["predict", "--bundle", str(walked.bundle), "--ecg"]
    found = CliRunner().invoke(app, [*wanted, ECG_SAMPLES["edf_ecg"](tmp_path, counts())])
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["inputs"] == "ecg"
    (tmp_path / "9000001.mwf").write_bytes(b"SECRETNAME" * 100)
    for place, words in (("9000001.mwf", "no ECG format recognises"), ("", "a folder where a single recording")):
        error = CliRunner().invoke(app, [*wanted, str(tmp_path / place)]).exception
        assert isinstance(error, RecordError)
        assert words in str(error)
        assert "muse_xml" in str(error)
        assert "SECRETNAME" not in str(error)
        assert "9000001" not in str(error)


@pytest.mark.parametrize("keep_bytes", [0, 300, 20_000])
@pytest.mark.parametrize("field", ["20205_2_0.xml", "20209_2_0.zip"])
def test_a_damaged_recording(
    walked: Walk, predictor: Predictor, scores: pd.DataFrame, tmp_path: Path, field: str, keep_bytes: int
) -> None:
    name = f"{scores.index[0]}_{field}"
    (tmp_path / name).write_bytes((walked.raw / "bulk" / name).read_bytes()[:keep_bytes])
    modality = "ecg" if field.endswith("xml") else "cmr"
    with pytest.raises(RecordError) as error:
        predictor.predict(**{modality: tmp_path / name})
    complaint(error)


@pytest.mark.parametrize("argument", ["ecg", "cmr", "table"])
def test_a_file_that_is_not_there(predictor: Predictor, tmp_path: Path, argument: str) -> None:
    for name in ("9000017_20205_2_0.xml", "9000017.zip"):
        with pytest.raises(InputError, match="no such file") as error:
            predictor.predict(**{argument: tmp_path / name})
        assert f"where: {argument}, *" in complaint(error)


def test_a_member_of_an_archive_that_is_not_there(predictor: Predictor, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        predictor.predict(ecg=f"{tmp_path / 'records100.zip'}::records100/00001_lr")


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"hight_cm": 170}, "height_cm"),
        ({"height_cm": 1.70}, "height_cm"),
        ({"height_cm": "tall"}, "height_cm"),
        ({"sex": "woman"}, "female"),
        ({"smoking_status": "often"}, "smoking_status"),
        ({"diabetes": 3}, "diabetes"),
        ({"age_years": float("inf")}, "age_years"),
    ],
)
@pytest.mark.parametrize("as_file", [False, True])
def test_facts_that_break_the_contract(
    predictor: Predictor, tmp_path: Path, facts: dict[str, Any], words: str, as_file: bool
) -> None:
    table: Any = facts
    if as_file:
        table = tmp_path / "facts.csv"
        pd.DataFrame([{"age_years": 60, **facts}]).to_csv(table, index=False)
    with pytest.raises(DataContractError) as error:
        predictor.predict(table=table)
    assert words in complaint(error)
    assert "clean_table" not in complaint(error)


def test_a_header_that_is_a_participant_is_not_repeated(predictor: Predictor, tmp_path: Path) -> None:
    (tmp_path / "facts.csv").write_text("9000017,61,1\n9000018,62,0\n")
    with pytest.raises(CardiobindError) as error:
        predictor.predict(table=tmp_path / "facts.csv")
    complaint(error)


def test_a_table_of_many_needs_a_subject(walked: Walk, predictor: Predictor) -> None:
    with pytest.raises(InputError) as error:
        predictor.predict(table=walked.raw / "table.csv")
    assert "name the subject" in complaint(error)
    with pytest.raises(InputError) as error:
        predictor.predict(table=walked.raw / "table.csv", subject="9000199")
    assert "no such subject in the table" in complaint(error)


@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02", b"age_years,age_years\n1,2\n", b"age_years\n"])
def test_a_damaged_table(predictor: Predictor, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "facts.csv").write_bytes(content)
    with pytest.raises(CardiobindError):
        predictor.predict(table=tmp_path / "facts.csv")


def test_a_damaged_bundle_is_not_used(walked: Walk, tmp_path: Path) -> None:
    for name in ("contract.json", "weights.safetensors", "manifest.json"):
        folder = tmp_path / name.partition(".")[0]
        folder.mkdir()
        for file in walked.bundle.iterdir():
            data = bytearray(file.read_bytes())
            if file.name == name:
                data[len(data) // 3] ^= 4
            (folder / file.name).write_bytes(data)
        with pytest.raises(CorruptArtifactError, match=name):
            inference.load(folder)


def test_the_contract_survives_its_file(predictor: Predictor) -> None:
    contract = predictor.contract
    assert inference.BundleContract.from_json(json.loads(json.dumps(contract.to_json()))) == contract
