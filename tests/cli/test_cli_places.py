"""Paths are checked before anything slow is imported, nothing is written over in silence, and the version is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import cardiobind
from calling import Call
from cardiobind import artifact
from cardiobind.cli.places import check_artifact, check_free
from cardiobind.errors import ArtifactError, CorruptArtifactError, InputError


def made(path: Path, kind: str) -> Path:
    with artifact.commit(path, kind) as folder:
        (folder / "a.txt").write_text("a")
    return path


def said(path: Path, *kinds: str) -> str:
    with pytest.raises(ArtifactError) as refused:
        check_artifact(path, *kinds)
    return str(refused.value)


def test_the_version_is_that_of_the_package(call: Call) -> None:
    known = metadata.version("cardiobind")
    assert cardiobind.__version__ == known
    done = call(["--version"])
    assert (done.code, done.out) == (0, f"cardiobind {known}\n")


def test_the_package_is_imported_without_its_metadata() -> None:
    code = "import sys, cardiobind; assert 'importlib.metadata' not in sys.modules"
    subprocess.run([sys.executable, "-S", "-c", code], check=True, env={"PYTHONPATH": os.pathsep.join(sys.path)})


def test_an_artefact_of_the_kind_passes(tmp_path: Path) -> None:
    check_artifact(made(tmp_path / "b", "bundle"), "bundle")
    check_artifact(made(tmp_path / "e", "encoder"), "aligned", "encoder")
    hub = tmp_path / "hub"
    hub.mkdir()
    (hub / "config.json").write_text("{}")
    check_artifact(hub, "bundle")  # what is in it is for who opens it


def test_a_wrong_path_is_told_where_the_bundle_is(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    assert "what to do" not in said(run, "bundle")
    made(run / "predictor-1", "predictor")
    assert "a run that holds none; `cardiobind export PREDICTOR BUNDLE`" in said(run, "bundle")
    bundle = made(run / "bundle-1", "bundle")
    assert f"did you mean {bundle}?" in said(run, "bundle")
    (run / "bundle").symlink_to("bundle-1")
    assert f"did you mean {run / 'bundle'}?" in said(run, "bundle")
    assert f"did you mean the folder, {bundle}?" in said(bundle / "a.txt", "bundle")
    assert f"did you mean {run / 'bundle'}?" in said(run / "bundel", "bundle")
    assert "correct the path" in said(tmp_path / "nowhere" / "at" / "all", "bundle")
    assert "got: predictor" in (refused := said(run / "predictor-1", "bundle"))
    assert "`cardiobind export PREDICTOR BUNDLE`" in refused
    (tmp_path / "text").write_text("no")
    assert "give the folder" in said(tmp_path / "text", "index")


def test_an_altered_manifest_is_told_at_once(tmp_path: Path) -> None:
    bundle = made(tmp_path / "b", "bundle")
    (bundle / "manifest.json").write_text("{}")
    with pytest.raises(CorruptArtifactError):
        check_artifact(bundle, "bundle")


def test_no_verb_imports_torch_to_find_nothing_there(tmp_path: Path) -> None:
    verbs = (
        "predict --bundle no", "explain --bundle no --out x.html", "serve --bundle no", "export no out",
        "export no --onnx x.onnx", "embed --bundle no --out x.parquet", "embed --encoder no --out x.parquet",
        "search --index no", "index no out",
    )  # fmt: skip
    code = (
        "import sys; from cardiobind.cli import app; from cardiobind.errors import ArtifactError\n"
        "for words in sys.argv[1:]:\n"
        "  try: app(words.split(), standalone_mode=False)\n"
        "  except ArtifactError: print([m for m in ('torch', 'pandas', 'fastapi') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, *verbs], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.split("\n")[:-1] == ["[]"] * len(verbs), done.stderr


def test_nothing_is_written_over_unless_it_is_said(tmp_path: Path) -> None:
    page, folder = tmp_path / "page.html", tmp_path / "folder"
    check_free(page)
    folder.mkdir()
    check_free(folder)
    page.write_text("kept")
    (folder / "page").write_text("kept")
    for taken in (page, folder):
        with pytest.raises(InputError, match="--overwrite"):
            check_free(taken)
        check_free(taken, overwrite=True)
    with pytest.raises(InputError, match="no folder"):
        check_free(tmp_path / "not" / "there.html", overwrite=True)


def test_pages_are_drawn_again_only_on_demand(tmp_path: Path, call: Call) -> None:
    table, page = tmp_path / "facts.csv", tmp_path / "page.html"
    table.write_text("age_years\n61\n")
    page.write_text("mine")
    for words in (["inspect", table], ["report", table], ["compare", table]):
        refused = call([*words, "--out", page])
        assert (refused.code, page.read_text()) == (2, "mine")
        assert "there is something at that path already" in refused.err
    assert call(["inspect", table, "--out", page, "--overwrite"]).code == 0
    assert "<html" in page.read_text()


@pytest.mark.parametrize("inputs", ["ecg+tabular", "ecg,tabular", " ecg , tabular "])
def test_inputs_have_one_meaning_in_both_spellings(inputs: str) -> None:
    from cardiobind.cli.many_words import modality_names

    assert modality_names(inputs) == ("ecg", "tabular")
    assert modality_names(None) is None


def test_the_manifest_is_all_that_a_check_reads(tmp_path: Path) -> None:
    bundle = made(tmp_path / "b", "bundle")
    (bundle / "a.txt").unlink()
    check_artifact(bundle, "bundle")
    assert json.loads((bundle / "manifest.json").read_text())["kind"] == "bundle"


def test_what_the_system_refuses_is_told_without_a_stack_trace(call: Call, tmp_path: Path) -> None:
    (tmp_path / "facts.csv").write_text("age_years,sex\n61,male\n")
    (tmp_path / "9000001").mkdir()
    (tmp_path / "9000001" / "other").write_text("kept")
    done = call(["inspect", tmp_path / "facts.csv", "--out", tmp_path / "9000001", "--overwrite"])
    assert (done.code, "Traceback" in done.err) == (2, False)
    assert "the system refuses a file or folder\n  where: *\n  got: Is a directory" in done.err


def test_a_bundle_given_as_an_encoder_is_told_its_option(tmp_path: Path) -> None:
    assert "give it as --bundle" in said(made(tmp_path / "b", "bundle"), "aligned", "encoder", "index")
