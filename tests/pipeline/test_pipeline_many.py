"""Many subjects at once: the scores of one by one to the bit, whatever becomes of files, workers and the call."""

from __future__ import annotations

import csv
import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from small_bundle import small_bundle, write_ecg
from typer.testing import CliRunner

from cardiobind import inference
from cardiobind.cli import app
from cardiobind.cohort.ingest.guard import Limits
from cardiobind.errors import CardiobindError, ConfigError, InputError
from cardiobind.modalities.records import EcgRecord
from cardiobind.pipeline.many import chunks, predict_many, work
from cardiobind.pipeline.many.cases import Case, PathReader
from cardiobind.pipeline.many.columns import prediction_columns
from cardiobind.pipeline.many.work import Job, outcomes
from cardiobind.sources import RecordRef

HERE = Path(__file__).resolve().parents[2]
SUBJECTS = [f"900{n:04d}" for n in range(1, 11)]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_bundle(tmp_path_factory.mktemp("many") / "bundle")


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten subjects: seven whole ones, and one each with a damaged file, an absent file, an impossible fact."""
    root = tmp_path_factory.mktemp("raw")
    rows: list[dict[str, Any]] = []
    for number, subject in enumerate(SUBJECTS):
        ecg = write_ecg(root / subject, number, "wfdb" if number == 2 else "cardiosoft_xml")
        rows.append({"subject": subject, "ecg": ecg.relative_to(root).as_posix(), "age_years": 50 + number,
                     "sex": "male" if number % 2 else "female"})  # fmt: skip
    (root / rows[3]["ecg"]).write_bytes((root / rows[3]["ecg"]).read_bytes()[:4000])
    (root / rows[4]["ecg"]).unlink()
    rows[5]["age_years"] = 700
    rows[6]["ecg"] = None
    rows[7] |= {"age_years": None, "sex": None}
    rows[8] = {"subject": SUBJECTS[8]}
    pd.DataFrame(rows).to_csv(root / "list.csv", index=False)
    return root


@pytest.fixture(scope="module")
def scored(bundle: Path, raw: Path) -> dict[str, dict[str, Any]]:
    """What the verb says of one subject at a time."""
    predictor = inference.load(bundle)
    listed = pd.read_csv(raw / "list.csv", dtype=str)
    found = {}
    for row in listed.to_dict("records"):
        facts = {name: float(row[name]) if name == "age_years" else row[name] for name in ("age_years", "sex")
                 if isinstance(row[name], str)}  # fmt: skip
        given = {"table": facts} if facts else {}
        given |= {"ecg": raw / row["ecg"]} if isinstance(row["ecg"], str) else {}
        try:
            found[row["subject"]] = predictor.predict(**given).to_json()
        except CardiobindError:
            continue
    return found


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_subject_has_a_row_and_the_score_it_has_alone(
    bundle: Path, raw: Path, scored: dict[str, Any], tmp_path: Path
) -> None:
    told = predict_many(bundle, tmp_path / "out.jsonl", subjects=raw / "list.csv", workers=0)
    rows = rows_of(tmp_path / "out.jsonl")
    assert [row["subject"] for row in rows] == SUBJECTS
    assert (told.read, told.scored) == (10, 6)
    assert told.set_aside == {"breaks_contract": 1, "missing_file": 1, "nothing_given": 1, "truncated": 1}
    assert {row["subject"]: row["prediction"] for row in rows if row["prediction"]} == json.loads(json.dumps(scored))
    assert len({row["prediction"]["logit"] for row in rows if row["prediction"]}) == 6
    assert {row["prediction"]["inputs"] for row in rows if row["prediction"]} == {"ecg+tabular", "tabular", "ecg"}
    for row in rows:
        assert (row["prediction"] is None) == (row["set_aside"] is not None) == (row["detail"] is not None)
        assert row["subject"] not in str(row["detail"])
    assert not list(tmp_path.glob(".*"))


def test_all_formats_hold_the_same_numbers_to_the_bit(
    bundle: Path, raw: Path, scored: dict[str, Any], tmp_path: Path
) -> None:
    predictor = inference.load(bundle)
    for suffix in ("parquet", "csv", "json"):
        predict_many(predictor, tmp_path / f"out.{suffix}", subjects=raw / "list.csv", workers=0)
    columns = prediction_columns(("ecg", "tabular"))
    frame = pd.read_parquet(tmp_path / "out.parquet")
    with (tmp_path / "out.csv").open(newline="") as stream:
        cells = {row["subject"]: row for row in csv.DictReader(stream)}
    assert list(frame.columns) == [column.name for column in columns] == list(cells[SUBJECTS[0]])
    for row in frame.to_dict("records"):
        alone, cell = scored.get(row["subject"]), cells[row["subject"]]
        if alone is None:
            assert row["logit"] != row["logit"]
            assert cell["logit"] == ""
            assert cell["set_aside"] == row["set_aside"]
            continue
        for name in ("logit", "risk", "threshold"):
            assert row[name] == alone[name] == float(cell[name])
        assert row["positive"] is alone["positive"]
        assert cell["positive"] == str(alone["positive"]).lower()
        assert row["missing_facts"] == ";".join(alone["missing"])
        assert row["ecg_quality"] == ";".join(alone["quality"]["ecg"]) if "ecg" in alone["inputs"] else True
    whole = json.loads((tmp_path / "out.json").read_text())
    assert {row["subject"]: row["prediction"] for row in whole if row["prediction"]} == json.loads(json.dumps(scored))
    facts = json.loads(pq.read_schema(tmp_path / "out.parquet").metadata[b"cardiobind"])
    assert facts["bundle"] == predictor.artifact.digest
    assert facts["subjects"] == 10


def test_facts_apart_and_visits_and_fewer_inputs(bundle: Path, raw: Path, tmp_path: Path) -> None:
    listed = pd.read_csv(raw / "list.csv", dtype=str)
    kept = listed.loc[[0, 1], ["subject", "ecg"]].assign(
        visit=["1", "2"], ecg=[str(raw / p) for p in listed["ecg"][:2]]
    )
    kept.to_csv(tmp_path / "list.csv", index=False)
    table = pd.DataFrame(
        {"subject": [SUBJECTS[1]] * 2, "visit": ["1", "2"], "age_years": [41, 66], "ldl_mmol_l": [3, 4]}
    )
    table.to_csv(tmp_path / "table.csv", index=False)
    predict_many(bundle, tmp_path / "a.jsonl", subjects=tmp_path / "list.csv", table=tmp_path / "table.csv", workers=0)
    first, second = (row["prediction"] for row in rows_of(tmp_path / "a.jsonl"))
    assert (first["inputs"], second["inputs"]) == ("ecg", "ecg+tabular")
    alone = inference.load(bundle).predict(ecg=raw / listed["ecg"][1], table={"age_years": 66})
    assert second["logit"] == alone.logit
    assert second["ignored"] == ["ldl_mmol_l"]
    predict_many(bundle, tmp_path / "b.jsonl", subjects=raw / "list.csv", inputs=["tabular"], workers=0)
    assert {row["prediction"]["inputs"] for row in rows_of(tmp_path / "b.jsonl") if row["prediction"]} == {"tabular"}


def test_a_folder_is_all_its_ecgs(bundle: Path, raw: Path, tmp_path: Path) -> None:
    told = predict_many(bundle, tmp_path / "out.jsonl", folder=raw, workers=0)
    rows = rows_of(tmp_path / "out.jsonl")
    assert told.read == 9
    assert told.scored == 8
    assert sum(row["subject"].endswith(".hea") for row in rows) == 1
    assert all((raw / row["subject"]).is_file() for row in rows)


def test_a_known_data_set_needs_no_list(bundle: Path, raw: Path, scored: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "recordings.csv").write_text(f"subject,ecg\n{SUBJECTS[0]},{SUBJECTS[0]}/a.xml\n")
    (tmp_path / "table.csv").write_text(f"subject,age_years,sex\n{SUBJECTS[0]},50,female\n{SUBJECTS[1]},51,male\n")
    (tmp_path / SUBJECTS[0]).mkdir()
    (tmp_path / SUBJECTS[0] / "a.xml").write_bytes(next((raw / SUBJECTS[0]).iterdir()).read_bytes())
    predict_many(bundle, tmp_path / "out.jsonl", source="folder", root=tmp_path, workers=0)
    (row,) = rows_of(tmp_path / "out.jsonl")
    assert row["prediction"]["logit"] == scored[SUBJECTS[0]]["logit"]


class Troublesome(PathReader):
    """A reader that hangs, asks for too much memory or dies, as the name of the file says."""

    def read(self, ref: RecordRef) -> Any:
        if "dies" in ref.location:
            os._exit(9)
        if "hangs" in ref.location:
            while True:
                pass
        if "greedy" in ref.location:
            np.ones(1 << 33)
        if "odd" in ref.location:
            raise KeyError(ref.subject)
        return EcgRecord(np.sin(np.arange(60000).reshape(12, 5000)), 500.0)


@pytest.mark.slow
def test_a_file_that_kills_hangs_or_devours_costs_itself_alone(bundle: Path) -> None:
    names = ["a", "dies", "b", "hangs", "greedy", "c", "odd", "d"]
    cases = [Case(name, "", {"ecg": RecordRef(name, "", "ecg", f"/{name}.xml")}) for name in names]
    job = Job(Troublesome(), inference.load(bundle).contract, Limits(1.0, 1 << 30))
    found = dict(outcomes(job, cases, workers=1))
    reasons = {names[place]: outcome.reason for place, outcome in found.items()}
    assert reasons == dict.fromkeys("abcd", "") | {
        "dies": "reader_crashed", "hangs": "timed_out", "greedy": "out_of_memory", "odd": "reader_failure",
    }  # fmt: skip
    assert all(outcome.prepared is not None for place, outcome in found.items() if names[place] in "abcd")


KILLED = """
import os, signal, sys
from cardiobind.pipeline.many import chunks, predict_many
from cardiobind.pipeline.progress import Quiet
chunks.CHUNK = 3
class Impatient(Quiet):
    def advance(self, stage, done, total):
        if done >= 6:
            os.kill(os.getpid(), signal.SIGKILL)
predict_many(sys.argv[1], sys.argv[2], subjects=sys.argv[3], workers=0, reporter=Impatient())
"""


def test_a_killed_call_goes_on_and_ends_with_the_same_bytes(
    bundle: Path, raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "CHUNK", 3)
    predict_many(bundle, tmp_path / "whole.parquet", subjects=raw / "list.csv", workers=0)
    out = tmp_path / "killed.parquet"
    words = [sys.executable, "-c", KILLED, str(bundle), str(out), str(raw / "list.csv")]
    process = subprocess.run(words, env=os.environ | {"PYTHONPATH": str(HERE / "src")}, check=False)
    assert process.returncode == -signal.SIGKILL
    assert not out.exists()
    assert len(list((tmp_path / ".killed.parquet.work").glob("0*"))) == 2
    made: list[int] = []
    real = work.make_ready
    monkeypatch.setattr(work, "make_ready", lambda job, case: made.append(1) or real(job, case))
    predict_many(bundle, out, subjects=raw / "list.csv", workers=0)
    assert len(made) == 4
    assert out.read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    with pytest.raises(InputError, match="something at that path"):
        predict_many(bundle, out, subjects=raw / "list.csv")


def test_what_a_killed_call_left_is_not_used_for_files_that_have_changed(
    bundle: Path, raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_ecg(tmp_path / "ecgs", 1)
    monkeypatch.setattr(chunks, "finish", None)
    monkeypatch.setattr("cardiobind.pipeline.many.predict.finish", lambda partial, out: None)
    predict_many(bundle, tmp_path / "out.jsonl", folder=tmp_path / "ecgs", workers=0)
    monkeypatch.undo()
    before = file.stat()
    file.write_bytes(file.read_bytes()[:3000])
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert predict_many(bundle, tmp_path / "out.jsonl", folder=tmp_path / "ecgs", workers=0).scored == 0


def test_the_verb_tells_counts_and_nobody(
    bundle: Path, raw: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    out = tmp_path / "out.csv"
    words = [
        "predict",
        "--bundle",
        str(bundle),
        "--subjects",
        str(raw / "list.csv"),
        "--out",
        str(out),
        "--workers",
        "0",
    ]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "10 read = 6 scored + 4 set aside" in result.output
    assert "missing_file 1" in result.output
    heard = result.output.replace(str(out), "") + caplog.text
    assert not any(subject in heard for subject in SUBJECTS)


@pytest.mark.parametrize(
    "words", ["--inputs ecg", "--workers 4", "--root .", "--seconds 5", "--memory-gib 1", "--workers 1 --seconds 5"]
)
def test_options_of_many_are_refused_for_one(bundle: Path, words: str) -> None:
    told = CliRunner().invoke(app, ["predict", "--bundle", str(bundle), "--ecg", "a.xml", *words.split()])
    assert isinstance(told.exception, ConfigError)
    assert told.exception.got == ", ".join(word for word in words.split() if word.startswith("--"))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "who is to be scored"),
        ({"subjects": "list.csv", "folder": "."}, "who is to be scored"),
        ({"folder": ".", "table": "t.csv"}, "do not go together"),
        ({"source": "ukb"}, "do not go together"),
        ({"subjects": "list.csv", "inputs": ["cmr"]}, "not trained for this modality"),
        ({"subjects": "cine.csv"}, "a modality that the network was not trained for"),
        ({"subjects": "odd.csv"}, "is no medical fact"),
        ({"subjects": "none.csv"}, "nobody"),
        ({"folder": "nowhere"}, "no such folder"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_any_work(
    bundle: Path, tmp_path: Path, given: dict[str, Any], words: str
) -> None:
    texts = {"list": "subject,ecg\n1,a.xml\n", "cine": "subject,cmr\n1,a.zip\n", "odd": "subject,ecgs\n1,a\n",
             "none": "subject,ecg\n"}  # fmt: skip
    for name, text in texts.items():
        (tmp_path / f"{name}.csv").write_text(text)
    placed = {k: str(tmp_path / v) if k in ("subjects", "folder", "table") else v for k, v in given.items()}
    with pytest.raises((ConfigError, InputError), match=words):
        predict_many(bundle, tmp_path / "out.csv", **placed)
    assert not (tmp_path / ".out.csv.work").exists()


def test_a_table_of_unknown_kind_is_refused(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown kind of table"):
        predict_many(bundle, tmp_path / "out.xlsx", folder=tmp_path)


def test_a_file_that_hangs_or_breaks_its_reader_costs_itself_alone(bundle: Path) -> None:
    names = ["a", "hangs", "odd", "b"]
    cases = [Case(name, "", {"ecg": RecordRef(name, "", "ecg", f"/{name}.xml")}) for name in names]
    job = Job(Troublesome(), inference.load(bundle).contract, Limits(0.2))
    assert [outcome.reason for _, outcome in outcomes(job, cases, workers=0)] == ["", "timed_out", "reader_failure", ""]


def test_the_page_has_every_column() -> None:
    page = (HERE / "docs" / "howto" / "predict_many.md").read_text()
    for column in prediction_columns(("ecg",)):
        assert f"| `{column.name}` | {column.kind} | {column.says} |" in page
