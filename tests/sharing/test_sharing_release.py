"""Nobody leaves: each kind of leak that is planted is found, and what cardiobind writes passes."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import pickle
import re
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner

from cardiobind import inference, sharing
from cardiobind.artifact import MANIFEST, Artifact, canonical_json, commit, file_sha256
from cardiobind.cli import app
from cardiobind.errors import InputError
from cardiobind.inference.bundle import BundleContract
from cardiobind.inference.hub import config_digest
from cardiobind.inference.trust.likeness import Familiar, fit_directions, fit_values, save_likeness
from cardiobind.sharing.release import membership, rules, schema, verify_release, words
from cardiobind.sharing.release.documents import check_json
from cardiobind.sharing.release.likeness import check_likeness, likeness_widths

EID = 4 * 10**6 + 512_345
RULED = rules.Context()


@pytest.fixture
def released(make: Any, tmp_path: Path, run_predictor: Artifact) -> Path:
    sharing.export_release(make(parents=(run_predictor,)), tmp_path / "released")
    return tmp_path / "released"


@pytest.fixture
def hub(make: Any, tmp_path: Path) -> Path:
    return sharing.export_hub(make(), tmp_path / "hub").path


def seal(folder: Path) -> None:
    """Make the manifest or configuration agree with the files again, as a determined leaker would."""
    if (folder / MANIFEST).exists():
        manifest = json.loads((folder / MANIFEST).read_bytes())
        del manifest["digest"]
        files = [file for file in sorted(folder.rglob("*")) if file.is_file() and file.name != MANIFEST]
        manifest["files"] = {
            f.relative_to(folder).as_posix(): {"sha256": file_sha256(f), "bytes": f.stat().st_size} for f in files
        }
        import hashlib

        manifest["digest"] = hashlib.sha256(canonical_json(manifest).encode()).hexdigest()
        (folder / MANIFEST).write_text(canonical_json(manifest))
        return
    config = json.loads((folder / "config.json").read_bytes())
    for name, entry in config["files"].items():
        file = folder / inference.hub.hub_name(name)
        entry |= {"sha256": file_sha256(file), "bytes": file.stat().st_size}
    config["digest"] = config_digest(config)
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")


def contract_of(folder: Path) -> Path:
    return folder / ("contract.json" if (folder / MANIFEST).exists() else "preprocessor_config.json")


def weights_of(folder: Path) -> Path:
    return folder / ("weights.safetensors" if (folder / MANIFEST).exists() else "model.safetensors")


def said(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    contract = json.loads(contract_of(folder).read_bytes())
    change(contract)
    contract_of(folder).write_text(json.dumps(contract, indent=1))


def arrays(folder: Path, change: Callable[[dict[str, Any]], object], **options: Any) -> None:
    held = load_file(weights_of(folder))
    change(held)
    save_file(held, weights_of(folder), **options)


def append(file: Path, content: bytes) -> None:
    with file.open("ab") as stream:
        stream.write(content)


def padded(folder: Path) -> None:
    file = weights_of(folder)
    content = file.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    hidden = b" " * 64
    file.write_bytes(struct.pack("<Q", length + 64) + content[8 : 8 + length] + hidden + content[8 + length :])


def between(folder: Path) -> None:
    file = weights_of(folder)
    content = file.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    last = max(header, key=lambda name: header[name]["data_offsets"][1])
    start, stop = header[last]["data_offsets"]
    header[last]["data_offsets"] = [start + 8, stop + 8]
    raw = json.dumps(header).encode()
    body = content[8 + length :]
    file.write_bytes(struct.pack("<Q", len(raw)) + raw + body[:start] + str(EID).encode() + b"!" + body[start:])


def first(held: dict[str, Any]) -> Any:
    return held["towers.tabular.encoder.fc2.weight"]


LEAKS: dict[str, tuple[Callable[[Path], object], str]] = {
    "id in the summary": (lambda d: said(d, lambda c: c["summary"].update(arm=f"arm of {EID}")), "like a participant"),
    "id as a number": (lambda d: said(d, lambda c: c.update(crop_s=float(EID))), "like a participant"),
    "ids as a list": (lambda d: said(d, lambda c: c["objective"].update(bounds=[EID])), "like a participant"),
    "id as a key": (lambda d: said(d, lambda c: c["fusion"].update({f"s{EID}": 1})), "like a participant"),
    "a field": (lambda d: said(d, lambda c: c.update(subjects=["a"])), "subjects: a field that is not declared"),
    "a field within": (lambda d: said(d, lambda c: c["table"]["columns"][0].update(values=[61.2])), "not declared"),
    "a count of 1": (lambda d: said(d, lambda c: c["summary"]["splits"]["test"].update(positive=1)), "count below 10"),
    "negatives": (lambda d: said(d, lambda c: c["summary"]["splits"]["test"].update(positive=895)), "count below 10"),
    "a small bin": (
        lambda d: said(d, lambda c: c.update(risks={"ecg": {"edges": [0, 0.1, 1], "counts": [900, 3]}})),
        r"counts\[1\]: a count below 10",
    ),
    "a category": (lambda d: said(d, lambda c: c["table"]["columns"][1]["categories"].append("smith")), "vocabulary"),
    "a date of birth": (lambda d: said(d, lambda c: c.update(title="MI, born 1953-04-11")), "a date"),
    "a path": (lambda d: said(d, lambda c: c["summary"].update(arm="/home/ann/ukb/")), "a path"),
    "mail": (lambda d: said(d, lambda c: c.update(title="ask " + "ann" + "@" + "hospital.org")), "address of mail"),
    "a machine": (lambda d: said(d, lambda c: c.update(title="made on node17.internal")), "name of a machine"),
    "hidden digits": (lambda d: said(d, lambda c: c.update(crop_s=1.0)) or digits(d), "too many digits"),
    "a key twice": (lambda d: twice(d), "a key is there twice"),
    "blanks in JSON": (lambda d: append(contract_of(d), b" \t \t"), "bytes beside the JSON"),
    "too deep": (lambda d: said(d, lambda c: c["fusion"].update(a=[[[[[[[[[[[1]]]]]]]]]]])), "deeper than"),
    "a row array": (lambda d: arrays(d, lambda a: a.update(rows=np.ones((140, 3), np.float32))), "does not have"),
    "another shape": (
        lambda d: arrays(d, lambda a: a.update({"towers.tabular.encoder.fc2.weight": np.ones((900, 8), np.float32)})),
        "another shape",
    ),
    "an id in a weight": (lambda d: arrays(d, lambda a: first(a).__setitem__((0, 0), EID)), "a participant's number"),
    "nan payload": (lambda d: arrays(d, lambda a: first(a).__setitem__((0, 0), np.nan)), "not finite"),
    "metadata": (lambda d: arrays(d, lambda a: None, metadata={"made_by": "ann"}), "metadata"),
    "7 trailing bytes": (lambda d: append(weights_of(d), str(EID).encode()), "behind the arrays|not a file of arrays"),
    "padding": (padded, "blanks in the header"),
    "between arrays": (between, "between the arrays"),
    "a pickle": (lambda d: (d / "extra.pkl").write_bytes(pickle.dumps({"subject": EID})), "a pickle"),
    "a pickle by another name": (lambda d: (d / "notes").write_bytes(pickle.dumps([EID])), "a pickle"),
    "an index": (lambda d: (d / "embeddings.npy").write_bytes(b"\x93NUMPY"), "not declared"),
    "a file name": (lambda d: (d / f"{EID}_20205_2_0.xml").write_text("<x/>"), r"\*_20205_2_0.xml: .* in the name"),
    "a folder": (lambda d: (d / "cohort").mkdir(), "not a plain file"),
    "a link": (lambda d: (d / "raw").symlink_to("/"), "not a plain file"),
}  # fmt: skip


def digits(folder: Path) -> None:
    file = contract_of(folder)
    file.write_text(file.read_text().replace('"crop_s": 1.0', f'"crop_s": 1.0000000000000000000{EID}'))


def twice(folder: Path) -> None:
    file = contract_of(folder)
    file.write_text(file.read_text().replace('"crops"', '"crop_s": "ann",\n "crops"', 1))


@pytest.mark.parametrize("form", ["released", "hub"])
def test_what_cardiobind_writes_passes(request: pytest.FixtureRequest, form: str) -> None:
    found = verify_release(request.getfixturevalue(form))
    assert found.findings == ()
    assert found.clean
    assert len(found.proven) >= 5
    assert any("memorised" in claim for claim in found.beyond)


@pytest.mark.parametrize("leak", LEAKS)
def test_a_planted_leak_is_found_though_all_hashes_are_right(released: Path, leak: str) -> None:
    plant, wanted = LEAKS[leak]
    plant(released)
    seal(released)
    found = verify_release(released)
    text = "\n".join(map(str, found.findings))
    assert re.search(wanted, text), text
    assert str(EID) not in text
    assert found.proven == ()


@pytest.mark.parametrize("leak", ["id in the summary", "a row array", "a pickle", "7 trailing bytes", "a count of 1"])
def test_a_leak_in_a_folder_for_hubs_is_found(hub: Path, leak: str) -> None:
    plant, wanted = LEAKS[leak]
    plant(hub)
    seal(hub)
    text = "\n".join(map(str, verify_release(hub).findings))
    assert re.search(wanted, text), text


def test_the_card_and_the_configuration_of_a_hub_are_read(hub: Path) -> None:
    append(hub / "README.md", f"\nThanks to participant {EID}.\n".encode())
    config = json.loads((hub / "config.json").read_bytes())
    config["title"], config["owner"] = "Another title", "ann"
    (hub / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    seal(hub)
    text = "\n".join(map(str, verify_release(hub).findings))
    assert "README.md, line " in text
    assert "config.json.title: another value than in the contract" in text
    assert "config.json.owner: a field that is not declared" in text


def test_places_of_parents_and_other_artefacts_are_refused(make: Any, run_predictor: Artifact, tmp_path: Path) -> None:
    placed = verify_release(make(parents=(run_predictor,)))
    assert [finding.where for finding in placed.findings] == ["manifest.json.parents[0].path"]
    with commit(tmp_path / "index", "index") as folder:
        (folder / "embeddings.npy").write_bytes(b"\x93NUMPY")
    text = "\n".join(map(str, verify_release(tmp_path / "index").findings))
    assert "manifest.json.kind: a word that is not in the vocabulary" in text
    assert "embeddings.npy: a file that is not declared" in text
    with pytest.raises(InputError, match="nothing that could be released"):
        verify_release(tmp_path)


def test_every_field_of_the_contract_is_declared_and_none_else() -> None:
    assert {field.name for field in dataclasses.fields(BundleContract)} <= set(schema.CONTRACT_FIELDS)


def test_first_weights_are_told_by_their_hash_alone(make: Any, released: Path) -> None:
    weights = {"sha256": "ab" * 32, "ignore": ["fc."], "positions": "exact"}
    said(released, lambda c: c["encoders"]["ecg"].update(weights=weights))
    seal(released)
    assert verify_release(released).clean
    said(released, lambda c: c["encoders"]["ecg"]["weights"].update(file="resnet50.pth"))
    seal(released)
    assert "weights.file: a field that is not declared" in str(verify_release(released).findings[0])


def test_a_share_of_few_people_is_found() -> None:
    sound = {
        "sex": {"n": 900, "shares": {"female": 0.6, "male": 0.4}},
        "age_years": {"n": 900, "mean": 61.2, "sd": 8.0},
    }
    assert not list(schema.facts("facts", sound, RULED))
    rare = {"diabetes": {"n": 900, "shares": {"0.0": 0.9978, "1.0": 0.0022}}}
    (found,) = schema.facts("facts", rare, RULED)
    assert str(found) == "facts.diabetes.shares: a share of fewer than 10 people"
    assert "vocabulary" in str(next(schema.facts("facts", {"sex": {"n": 900, "shares": {"ann": 0.5}}}, RULED)))


@pytest.mark.parametrize(("share", "few"), [(0.003, 1), (0.997, 1), (0.0, 0), (1.0, 0), (0.01, 0), (0.99, 0)])
def test_a_flag_of_few_people_is_found_on_both_sides(share: float, few: int) -> None:
    found = list(schema.facts("facts", {"diabetes": {"n": 1000, "share": share}}, RULED))
    assert [str(one) for one in found] == ["facts.diabetes.share: a share of fewer than 10 people"] * few


def test_those_without_the_endpoint_are_no_few_either() -> None:
    told = {"subjects": 100, "events": 40, "reason": None}
    assert not list(schema.certainty("c", told, RULED))
    assert not list(schema.certainty("c", {**told, "subjects": None, "events": None}, RULED))
    (found,) = schema.certainty("c", {**told, "events": 97}, RULED)
    assert str(found) == "c, subjects less events: a count below 10"


@pytest.mark.parametrize(
    ("said", "few"),
    [
        ("7 validation subjects, at least 20 are needed", 1), ("only 3 positives", 1),
        ("fewer than 10 validation subjects, at least 20 are needed", 0), ("14 validation subjects", 0),
        ("fewer than 5 people", 0), ("one class alone", 0), ("the 2.5 % quantile of x1", 0), ("an 8 % share", 0),
    ],
)  # fmt: skip
def test_a_count_of_few_people_in_a_reason_is_found(said: str, few: int) -> None:
    calibration = {"slope": None, "intercept": None, "threshold": None, "reason": said}
    assert len(list(schema.CALIBRATION("c", calibration, RULED))) == few
    assert len(list(schema.certainty("c", {"subjects": 40, "reason": said}, RULED))) == few


def test_the_smallest_count_is_a_choice(released: Path) -> None:
    assert verify_release(released, smallest=71).findings
    said(released, lambda c: c["summary"]["splits"]["test"].update(positive=5))
    seal(released)
    assert verify_release(released).findings
    assert verify_release(released, smallest=5).clean


@settings(max_examples=60, deadline=None)
@given(number=st.integers(10**6, 65 * 10**5), around=st.sampled_from(["{}", "arm {}", "x{}y", "eid={}.", "a_{}_2_0"]))
def test_any_number_of_a_participant_in_any_text_is_found(number: int, around: str) -> None:
    assert list(words.problems(around.format(number)))
    for value in (number, float(number), -number):
        assert list(rules.number("here", value, RULED))


@settings(max_examples=60, deadline=None)
@given(counts=st.lists(st.integers(0, 40), min_size=1, max_size=12))
def test_counts_from_1_to_9_and_no_others_are_found(counts: list[int]) -> None:
    found = list(schema.RISKS("risks", {"edges": [0.0], "counts": counts}, RULED))
    assert len(found) == sum(0 < count < 10 for count in counts)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=8,
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(value=JSON, field=st.sampled_from(sorted(schema.CONTRACT_FIELDS)))
def test_no_value_breaks_the_check_and_nothing_undeclared_passes(value: Any, field: str) -> None:
    content = json.dumps({field: value, "more": value}, indent=1).encode()
    found = list(check_json("contract.json", content, schema.CONTRACT, RULED))
    assert any("not declared" in finding.what or "cannot be accepted" in finding.what for finding in found)


@settings(max_examples=40, deadline=None)
@given(content=st.binary(max_size=200))
def test_bytes_that_are_no_arrays_are_a_finding(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.getbasetemp() / "bytes.safetensors"
    file.write_bytes(content)
    assert list(check_likeness("likeness", file, {}, RULED))


WIDTHS = {("ecg", "embedding"): 40, ("ecg", "signs"): 17, ("tabular", "signs"): 70}
RANDOM = np.random.default_rng(0)


def familiar(rows: np.ndarray, name: str) -> Familiar:
    fit = fit_directions if name == "embedding" else fit_values
    return Familiar({name: fit(rows).limited(3.0)}, len(rows), 40)


def seen_in(file: Path, modality: str, name: str, rows: np.ndarray, **changed: Any) -> str:
    """Return what is found in a file about rows, of which parts of the check are changed."""
    one = familiar(rows, name)
    save_likeness(file, {modality: dataclasses.replace(one, checks={name: replace(one.checks[name], **changed)})})
    return "\n".join(map(str, check_likeness("l", file, WIDTHS, RULED)))


def test_what_subjects_look_like_is_means_and_few_axes(tmp_path: Path) -> None:
    file, rows = tmp_path / "likeness.safetensors", RANDOM.normal(size=(200, 40))
    assert seen_in(file, "ecg", "embedding", rows) == ""
    assert seen_in(file, "ecg", "signs", RANDOM.normal(size=(200, 17))) == ""
    assert seen_in(file, "tabular", "signs", RANDOM.normal(size=(200, 70))) == ""
    many = fit_values(rows).axes[:17]
    assert "more rows" in seen_in(file, "ecg", "embedding", rows, axes=many, variances=np.ones(17))
    assert "more rows" in seen_in(file, "ecg", "embedding", rows[:50], axes=many[:6], variances=np.ones(6))
    assert "not orthonormal" in seen_in(file, "ecg", "embedding", rows, axes=rows[:16], variances=np.ones(16))
    assert "not orthonormal" in seen_in(file, "ecg", "signs", rows[:, :17], axes=rows[:17, :17])
    ecgs = RANDOM.normal(size=(64, 30_000))
    assert "another width" in seen_in(file, "ecg", "embedding", rows, axes=ecgs, variances=np.ones(64))
    assert "not declared" in seen_in(file, "cmr", "embedding", rows)
    assert "not declared" in seen_in(file, "ecg", "beats", rows)
    assert "count below" in seen_in(file, "ecg", "embedding", rows[:4])
    save_file({"embeddings": rows[:4]}, file, metadata={"facts": "{}"})
    assert "not declared" in str(next(check_likeness("l", file, WIDTHS, RULED)))


@pytest.mark.parametrize("fusion", [{}, {"fusion": "dropout", "fusion_width": 24}])
def test_the_widths_are_those_that_the_classifier_sees(make: Any, fusion: dict[str, Any]) -> None:
    predictor = inference.load(make(fusion={"hidden": 0, **fusion}))
    widths = likeness_widths(predictor.contract, predictor.fusion)
    seen = predictor.held("cmr", torch.zeros(1, 3, 32, 32))
    assert widths["cmr", "embedding"] == seen.shape[1]
    assert widths["ecg", "embedding"] == predictor.held("ecg", torch.zeros(1, 12, 400)).shape[1]
    assert (widths["ecg", "signs_of_few_leads"], widths["cmr", "signs"], widths["tabular", "signs"]) == (17, 10, 1)


def test_the_pattern_of_participants_is_that_of_the_audit() -> None:
    script = Path(__file__).parents[2] / ".ci" / "audit_privacy.py"
    spec = importlib.util.spec_from_file_location("audit", script)
    assert spec is not None
    assert spec.loader is not None
    audit = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(audit)
    assert words.PARTICIPANT.pattern == audit.PARTICIPANT.pattern.decode()


@pytest.fixture
def onnx_files(make: Any, tmp_path: Path) -> dict[str, Path]:
    bundle = make()
    list(sharing.export_forms(bundle, onnx=tmp_path / "score.onnx", inputs="ecg+tabular"))
    list(sharing.export_forms(bundle, onnx=tmp_path / "tower.onnx", tower="tabular"))
    return {name: tmp_path / f"{name}.onnx" for name in ("score", "tower")}


def test_onnx_files_pass_and_leaks_in_them_are_found(onnx_files: dict[str, Path]) -> None:
    for file in onnx_files.values():
        assert verify_release(file).findings == ()
    file = onnx_files["tower"]
    clean = file.read_bytes()

    def found(change: Callable[[Any], object]) -> str:
        model = onnx.load_from_string(clean)
        change(model)
        file.write_bytes(model.SerializeToString(deterministic=True))
        return "\n".join(map(str, verify_release(file).findings))

    rows = onnx.numpy_helper.from_array(np.ones((140, 3), np.float32), "rows")
    assert "does not have" in found(lambda m: m.graph.initializer.append(rows))
    assert "another graph" in found(lambda m: setattr(m.graph, "doc_string", f"subject {EID}"))
    assert "another graph" in found(lambda m: setattr(m.graph.node[0], "name", str(EID)))
    assert "metadata" in found(lambda m: m.metadata_props.add(key="eid", value=str(EID)))
    named = found(lambda m: setattr(m.metadata_props[0], "value", m.metadata_props[0].value[:-1] + ', "who": "ann"}'))
    assert "metadata.who: a field that is not declared" in named
    file.write_bytes(clean + b"\xfa\x3e\x07" + str(EID).encode())  # an unknown field of the protocol buffer
    assert "bytes beside the model" in str(verify_release(file).findings)
    file.write_bytes(b"torn")
    assert not verify_release(file).clean
    shutil.copy(onnx_files["score"], file.with_name(f"{EID}.onnx"))
    assert "in the name" in str(verify_release(file.with_name(f"{EID}.onnx")).findings)


def scores(subjects: int, gap: float) -> pd.DataFrame:
    random = np.random.default_rng(0)
    frames = []
    for split, better in (("train", gap), ("test", 0.0)):
        label = random.integers(0, 2, subjects).astype(float)
        score = 1 / (1 + np.exp(-(2 * label - 1) * (better + random.normal(0, 1, subjects))))
        frames.append(pd.DataFrame({"split": split, "label": label, "score": score, "inputs": "ecg"}))
    return pd.concat(frames)


def test_memory_is_measured_where_there_is_some(tmp_path: Path) -> None:
    (none,), (much,) = membership(scores(400, 0.0)), membership(scores(400, 2.0))
    assert none.low is not None
    assert none.low < 0.5 < (none.high or 0)
    assert much.auroc == pytest.approx(0.92, abs=0.03)  # of two normals 2 sd apart: phi(2 / sqrt(2)) = 0.921
    assert 0 <= none.advantage < 0.15 < much.advantage <= 1
    scores(400, 2.0).to_parquet(tmp_path / "scores.parquet")
    assert membership(tmp_path / "scores.parquet") == [much]
    with pytest.raises(InputError, match="too few subjects"):
        membership(scores(400, 0.0).query("split == 'test'"))
    with pytest.raises(InputError, match="lack columns"):
        membership(pd.DataFrame({"score": [0.1]}))


def test_the_command_says_what_was_found_and_ends_with_1(released: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    scores(100, 0.5).to_csv(tmp_path / "scores.csv", index=False)
    done = runner.invoke(app, ["verify", "--release", str(released), "--predictions", str(tmp_path / "scores.csv")])
    assert done.exit_code == 0, done.output
    assert "bundle: nothing was found" in done.output
    assert "memory  ecg: losses tell 100 training from 100 test subjects" in done.output
    (released / f"{EID}.csv").write_text("x")
    done = runner.invoke(app, ["verify", "--release", str(released)])
    assert done.exit_code == 1
    assert "FOUND   *.csv" in done.output
    assert "this must not leave" in done.output
    assert str(EID) not in done.output
    assert os.listdir(released)
