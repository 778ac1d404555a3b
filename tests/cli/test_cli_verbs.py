"""The command line: what every verb prints, and that a mistake is one clear message and no stack trace."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from calling import Call
from cardiobind import cli
from walking import EID, SMALL, Walk

VERBS = (
    "demo", "run", "simulate", "prepare", "pretrain", "align", "finetune", "evaluate", "export", "predict", "config",
    "verify", "withdrawn",
)  # fmt: skip


def test_help_lists_all_verbs_without_loading_torch() -> None:
    code = "import sys; from typer.testing import CliRunner; from cardiobind.cli import app; " + (
        "print(CliRunner().invoke(app, ['--help']).output); "
        "print([m for m in ('torch', 'pandas', 'lightning', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("[]")
    for verb in VERBS:
        assert f" {verb} " in done.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str) -> None:
    done = CliRunner().invoke(cli.app, [verb, "--help"])
    assert done.exit_code == 0
    assert "Usage" in done.output


def test_config_prints_the_resolved_experiment(call: Call) -> None:
    done = call(["config", "demo", "seed=7", "finetune.batch_size=16"])
    shown = json.loads(done.out)
    assert done.code == 0
    assert shown["experiment"]["seed"] == 7
    assert shown["experiment"]["finetune"]["batch_size"] == 16
    assert shown["experiment"]["finetune"]["weight_decay"] == 1e-4
    assert len(shown["digest"]) == 64
    assert json.loads(call(["config", "demo", "finetune.batch_size=16", "seed=7"]).out) == shown
    assert json.loads(call(["config", "demo"]).out)["digest"] != shown["digest"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["config", "demmo"], "did you mean 'demo'"),
        (["run", "ptbxl"], "did you mean 'ptbxl_mi'"),
        (["config", "demo", "finetune.batchsize=8"], "did you mean 'batch_size'"),
        (["config", "demo", "finetune.batch_size=many"], "finetune.batch_size"),
        (["config", "demo", "protocol.task=mii"], "did you mean 'mi'"),
        (["config", "demo", "source.kind=ukbb"], "did you mean 'ukb'"),
        (["config", "demo", "ecg.encoder.kind=vitt"], "did you mean 'vit'"),
        (["config", "demo", "ecg.encoder.options.widht=8"], "did you mean 'width'"),
        (["config", "demo", "ecg.pretrain.method.kind=maskd"], "did you mean 'masked'"),
        (["config", "demo", "ecg.pretrain.method.options.mask_ration=0.5"], "did you mean 'mask_ratio'"),
        (["config", "demo", "align.method.options.temprature=0.5"], "did you mean 'temperature'"),
        (["config", "demo", "source.options.tabel=x.csv"], "did you mean 'table'"),
        (["config", "demo", "arms.0.kind=netwrok"], "did you mean 'network'"),
        (["config", "demo", "arms.0.options.hiden=8"], "did you mean 'hidden'"),
        (["config", "demo", "tabular.features=['hight_cm']"], "did you mean 'height_cm'"),
        (["config", "demo", "export=alined"], "no arm is called 'alined'"),
        (["config", "demo", "no_equals_sign"], "KEY=VALUE"),
        (["run", "demo", "data_root=/nowhere/at/all"], "the folder does not exist"),
        (["config", "demo", "finetune.batch_size=many"], "where: command line, finetune.batch_size\n"),
        (["verify", "/nowhere/at/all"], "manifest.json"),
        (["predict", "--bundle", "/nowhere/at/all"], "manifest.json"),
        (["export", "/nowhere/at/all", "/nowhere/out"], "manifest.json"),
        (["evaluate", "/nowhere/at/all"], "no such file"),
    ],
)
def test_a_mistake_is_explained(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str],
                                hint: str) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    done = call(words)
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith("error: ")
    assert hint in done.err
    assert "Traceback" not in done.err


def test_a_wrong_option_is_refused(call: Call) -> None:
    done = call(["demo", "--sed", "3"])
    assert done.code == 2
    assert "--seed" in done.err


def test_an_output_folder_that_is_a_file(call: Call, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    (tmp_path / "raw").mkdir()
    done = call(["prepare", "demo", f"data_root={tmp_path / 'raw'}", "--out", tmp_path / "taken"])
    assert done.code == 2
    assert "taken" in done.err


def test_an_interrupted_verb_says_how_to_go_on(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from cardiobind import pipeline

    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "demo", interrupted)
    done = call(["demo", "--out", tmp_path])
    assert done.code == 130
    assert "start the same command again" in done.err


def test_simulate_writes_raw_files(call: Call, tmp_path: Path) -> None:
    done = call(["simulate", tmp_path / "raw", "--subjects", "3", "--slices", "1", "--phases", "4", "--workers", "1"])
    assert done.code == 0
    assert (tmp_path / "raw" / "table.csv").is_file()
    assert not EID.search((done.out + done.err).encode())


@pytest.mark.e2e
def test_verify_lists_the_whole_family(call: Call, walked: Walk) -> None:
    done = call(["verify", walked.bundle])
    assert done.code == 0
    lines = done.out.splitlines()
    assert len(lines) == 9
    assert all(line.startswith("ok  ") for line in lines)
    assert lines[0].split()[1] == "bundle"


@pytest.mark.e2e
def test_predict_prints_json(call: Call, walked: Walk) -> None:
    subject = walked.predictions().query("inputs == 'ecg+tabular'")["subject"].iloc[0]
    ecg = walked.raw / "bulk" / f"{subject}_20205_2_0.xml"
    done = call(["predict", "--bundle", walked.bundle, "--ecg", ecg, "--table", walked.raw / "table.csv", "--subject",
                 subject])  # fmt: skip
    assert done.code == 0
    assert json.loads(done.out)["inputs"] == "ecg+tabular"
    assert not EID.search(done.out.encode())
    missing = call(["predict", "--bundle", walked.bundle])
    assert (missing.code, missing.out) == (2, "")
    assert "nothing to predict from" in missing.err


@pytest.mark.e2e
def test_evaluate_reads_predictions_alone(call: Call, walked: Walk, tmp_path: Path) -> None:
    (evaluation,) = walked.artifacts("evaluation")
    file = evaluation.file("predictions.parquet")
    done = call(["evaluate", file, "--resamples", "20", "--baseline", "supervised from scratch"])
    measured = json.loads(done.out)
    assert measured["comparisons"]
    stored = evaluation.json("metrics.json")["cells"]
    assert [c["metrics"]["auroc"]["value"] for c in measured["cells"]] == [
        c["metrics"]["auroc"]["value"] for c in stored
    ]
    for name in ("broken.parquet", "broken.csv"):
        (tmp_path / name).write_bytes(b"\x00\x01 no table")
        assert call(["evaluate", tmp_path / name]).code == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("9000017,score\n1,0.5\n", ("lack columns: arm, inputs", "got: *, score")),
        ("arm;score\nmine;0,5\n", ("separated by semicolons", "with commas")),
    ],
)
def test_a_table_that_is_no_table_of_predictions(call: Call, tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
    (tmp_path / "predictions.csv").write_text(text)
    done = call(["evaluate", tmp_path / "predictions.csv"])
    assert done.code == 2
    assert all(word in done.err for word in words)


@pytest.mark.e2e
def test_export_makes_the_same_bundle(call: Call, walked: Walk, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    assert call(["export", walked.exported().path, out]).code == 0
    for name in ("contract.json", "weights.safetensors"):
        assert (out / name).read_bytes() == (walked.bundle / name).read_bytes()
    again = call(["export", walked.exported().path, out])
    assert again.code == 2
    assert "already" in again.err
    other = call(["export", walked.artifacts("aligned")[0].path, tmp_path / "other"])
    assert (other.code, "predictor" in other.err) == (2, True)


@pytest.mark.e2e
def test_stages_can_be_walked_one_by_one(
    call: Call, walked: Walk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    shutil.copytree(walked.folder, tmp_path / "run", ignore=shutil.ignore_patterns("raw"))
    monkeypatch.chdir(tmp_path)
    for verb, shown in [
        ("prepare", "protocol"),
        ("pretrain", "encoder"),
        ("align", "aligned"),
        ("finetune", "predictor"),
    ]:
        done = call([verb, "demo", f"data_root={walked.raw}", *SMALL, "--out", "run"])
        assert (done.code, done.err) == (0, "")
        assert shown in done.out
        assert "done before" in done.out
