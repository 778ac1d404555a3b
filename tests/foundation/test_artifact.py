"""Artefacts: what is committed is what is opened, and any damage is found and named."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from cardiobind.artifact import (
    FORMAT_VERSION,
    MANIFEST,
    Artifact,
    canonical_json,
    code_digest,
    commit,
    file_sha256,
    fingerprint,
    open_artifact,
    remove_partials,
    verify,
)
from cardiobind.errors import ArtifactError, ArtifactExistsError, CorruptArtifactError, InputError

Spoil = Callable[[Path], None]

FILES = ("metrics.json", "samples.parquet", "ecg/shard-00000.npy", "model.safetensors", "report.html", "empty.bin")


def write_each_kind(folder: Path) -> None:
    (folder / "ecg").mkdir()
    (folder / "metrics.json").write_text('{"auroc": 0.75}')
    pd.DataFrame({"row": range(20), "score": np.linspace(0, 1, 20)}).to_parquet(folder / "samples.parquet")
    np.save(folder / "ecg" / "shard-00000.npy", np.arange(60, dtype=np.int16).reshape(5, 12))
    save_file({"weight": np.ones((4, 3), np.float32)}, folder / "model.safetensors")
    (folder / "report.html").write_text("<!doctype html><title>report</title><p>a page")
    (folder / "empty.bin").touch()


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    with commit(tmp_path / "store", "cohort", config={"seed": 1, "rate_hz": 500.0}, fingerprint="f") as folder:
        write_each_kind(folder)
    return open_artifact(tmp_path / "store", "cohort")


def make(path: Path, text: str = "x", parents: tuple[Artifact, ...] = (), kind: str = "kind") -> Artifact:
    with commit(path, kind, parents=parents) as folder:
        (folder / "content.txt").write_text(text)
    return open_artifact(path)


def rewrite_manifest(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Alter a manifest as somebody would who also mends its digest."""
    manifest = json.loads((path / MANIFEST).read_bytes())
    change(manifest)
    manifest.pop("digest", None)
    manifest["digest"] = hashlib.sha256(canonical_json(manifest).encode()).hexdigest()
    (path / MANIFEST).write_text(canonical_json(manifest))


def test_what_is_committed_is_what_is_opened(artifact: Artifact) -> None:
    assert set(artifact.manifest["files"]) == set(FILES)
    assert artifact.kind == "cohort"
    assert artifact.config == {"seed": 1, "rate_hz": 500.0}
    assert artifact.manifest["fingerprint"] == "f"
    assert artifact.manifest["schema_version"] == 1
    assert artifact.manifest["format_version"] == FORMAT_VERSION
    assert artifact.manifest["environment"]["python"] == platform.python_version()
    assert artifact.json("metrics.json") == {"auroc": 0.75}
    np.testing.assert_array_equal(np.load(artifact.file("ecg/shard-00000.npy"))[0], np.arange(12))
    assert len(artifact.digest) == 64
    assert [p.name for p in artifact.path.parent.iterdir()] == ["store"]


def test_json_is_read_as_utf8_whatever_the_locale(tmp_path: Path) -> None:
    with commit(tmp_path / "a", "kind") as folder:
        (folder / "names.json").write_bytes('{"name": "Müller"}'.encode())
    assert open_artifact(tmp_path / "a").json("names.json") == {"name": "Müller"}


def test_a_file_outside_the_inventory_is_refused(artifact: Artifact) -> None:
    with pytest.raises(CorruptArtifactError, match=r"no such file.*\n.*absent\.npy"):
        artifact.file("absent.npy")


def test_the_digest_depends_on_content_alone(tmp_path: Path) -> None:
    assert make(tmp_path / "a").digest == make(tmp_path / "b").digest
    assert make(tmp_path / "c", "y").digest != make(tmp_path / "d").digest


def test_moving_an_artefact_keeps_it_valid(artifact: Artifact, tmp_path: Path) -> None:
    artifact.path.rename(tmp_path / "moved")
    assert open_artifact(tmp_path / "moved").digest == artifact.digest


def test_opening_checks_the_kind(artifact: Artifact) -> None:
    with pytest.raises(ArtifactError, match=r"another kind[\s\S]*expected: model[\s\S]*got: cohort"):
        open_artifact(artifact.path, "model")


@pytest.mark.parametrize("make_place", [lambda p: None, Path.mkdir, Path.touch], ids=["nothing", "folder", "file"])
def test_opening_what_is_no_artefact(tmp_path: Path, make_place: Spoil) -> None:
    make_place(tmp_path / "place")
    with pytest.raises(ArtifactError, match="no artefact here"):
        open_artifact(tmp_path / "place")


@pytest.mark.parametrize("name", [name for name in FILES if name != "empty.bin"])
def test_a_flipped_bit_anywhere_is_found_and_named(artifact: Artifact, name: str) -> None:
    file = artifact.path / name
    good = file.read_bytes()
    for position in {*range(0, len(good), max(1, len(good) // 60)), len(good) - 1}:
        bad = bytearray(good)
        bad[position] ^= 1 << (position % 8)
        file.write_bytes(bad)
        with pytest.raises(CorruptArtifactError, match="hash differs") as caught:
            open_artifact(artifact.path)
        assert caught.value.where == file
    file.write_bytes(good)
    open_artifact(artifact.path)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99, 1.1])
def test_another_length_is_found_and_named(artifact: Artifact, name: str, keep: float) -> None:
    file = artifact.path / name
    good = file.read_bytes()
    file.write_bytes(good + b"\0" if keep > 1 or not good else good[: int(len(good) * keep)])
    with pytest.raises(CorruptArtifactError, match="another length") as caught:
        open_artifact(artifact.path)
    assert caught.value.where == file


@pytest.mark.parametrize("name", FILES)
def test_a_deleted_file_is_found_and_named(artifact: Artifact, name: str) -> None:
    (artifact.path / name).unlink()
    with pytest.raises(CorruptArtifactError, match="missing") as caught:
        open_artifact(artifact.path)
    assert caught.value.where == artifact.path / name


@pytest.mark.parametrize("name", ["added.npy", "ecg/shard-00001.npy", "ecg/manifest.json", ".hidden"])
def test_an_added_file_is_found_and_named(artifact: Artifact, name: str) -> None:
    (artifact.path / name).touch()
    with pytest.raises(CorruptArtifactError, match="not in the inventory") as caught:
        open_artifact(artifact.path)
    assert caught.value.where == artifact.path / name


def test_every_flipped_bit_of_a_manifest_is_found(tmp_path: Path) -> None:
    path = make(tmp_path / "a").path
    good = (path / MANIFEST).read_bytes()
    for position in range(len(good)):
        for bit in range(8):
            bad = bytearray(good)
            bad[position] ^= 1 << bit
            (path / MANIFEST).write_bytes(bad)
            with pytest.raises(CorruptArtifactError) as caught:
                open_artifact(path)
            assert caught.value.where == path / MANIFEST


def test_every_truncation_of_a_manifest_is_found(tmp_path: Path) -> None:
    path = make(tmp_path / "a").path
    good = (path / MANIFEST).read_bytes()
    for length in range(len(good)):
        (path / MANIFEST).write_bytes(good[:length])
        with pytest.raises(CorruptArtifactError):
            open_artifact(path)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"[]", b'"text"', b"3", b"null", b"{}", b"\xff\xfe", b'{"a":1e999}', b'{"a":NaN}', b'{"a":"\\ud800"}',
        b"[" * 100_000,
    ],
    ids=lambda raw: ascii(raw[:12]),
)  # fmt: skip
def test_a_manifest_of_anything_else_is_corrupt(tmp_path: Path, raw: bytes) -> None:
    path = make(tmp_path / "a").path
    (path / MANIFEST).write_bytes(raw)
    with pytest.raises(CorruptArtifactError):
        open_artifact(path)


def test_a_newer_format_says_what_to_do(tmp_path: Path) -> None:
    path = make(tmp_path / "a").path
    rewrite_manifest(path, lambda m: m.update(format_version=FORMAT_VERSION + 1, new_field=1))
    with pytest.raises(ArtifactError, match=r"newer format[\s\S]*update cardiobind") as caught:
        open_artifact(path)
    assert not isinstance(caught.value, CorruptArtifactError)


def test_a_manifest_with_other_fields_is_corrupt(tmp_path: Path) -> None:
    path = make(tmp_path / "a").path
    rewrite_manifest(path, lambda m: m.update(note="mine"))
    with pytest.raises(CorruptArtifactError, match="other fields"):
        open_artifact(path)


@pytest.mark.parametrize("name", ["sp ace", "Ärzte 心.txt", 'quo"te.txt', "back\\slash", "new\nline", "-rf", ".dot"])
def test_odd_file_names_are_kept(tmp_path: Path, name: str) -> None:
    with commit(tmp_path / "odd", "kind") as folder:
        (folder / name).write_text("x")
    artifact = open_artifact(tmp_path / "odd")
    assert artifact.file(name).read_text() == "x"
    artifact.file(name).write_text("y")
    with pytest.raises(CorruptArtifactError):
        open_artifact(tmp_path / "odd")


def test_a_file_name_that_is_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="not UTF-8"), commit(tmp_path / "odd", "kind") as folder:
        Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe")).touch()
    assert not list(tmp_path.iterdir())


def test_a_file_called_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="written by cardiobind"), commit(tmp_path / "a", "kind") as folder:
        (folder / MANIFEST).touch()
    assert not list(tmp_path.iterdir())


def link_to_file(path: Path) -> None:
    path.symlink_to("/etc/hostname")


def link_to_folder(path: Path) -> None:
    path.symlink_to("/etc")


def broken_link(path: Path) -> None:
    path.symlink_to("nowhere")


@pytest.mark.parametrize("write", [link_to_file, link_to_folder, broken_link, os.mkfifo])
def test_links_and_pipes_are_refused(tmp_path: Path, write: Spoil) -> None:
    with pytest.raises(ArtifactError, match="plain files only"), commit(tmp_path / "a", "kind") as folder:
        write(folder / "odd")
    assert not list(tmp_path.iterdir())
    path = make(tmp_path / "b").path
    write(path / "odd")
    with pytest.raises(CorruptArtifactError, match="plain files only") as caught:
        open_artifact(path)
    assert caught.value.where == path / "odd"


def test_a_file_replaced_by_a_link_to_its_copy_is_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "a").path
    (path / "content.txt").rename(tmp_path / "copy.txt")
    (path / "content.txt").symlink_to(tmp_path / "copy.txt")
    with pytest.raises(CorruptArtifactError, match="plain files only"):
        open_artifact(path)


@pytest.mark.parametrize("make_place", [Path.mkdir, Path.touch, broken_link], ids=["folder", "file", "link"])
def test_nothing_is_written_over(tmp_path: Path, make_place: Spoil) -> None:
    make_place(tmp_path / "place")
    with pytest.raises(ArtifactExistsError), commit(tmp_path / "place", "kind"):
        pytest.fail("the block must not run")
    assert [p.name for p in tmp_path.iterdir()] == ["place"]


def test_a_failing_block_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(folder: Path) -> None:
        write_each_kind(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), commit(tmp_path / "a", "kind") as folder:
        interrupt(folder)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("config", [{"a": float("nan")}, {"a": float("inf")}, {"a": object()}, {"a": "\ud800"}])
def test_a_config_that_is_not_json_is_refused_before_the_work(tmp_path: Path, config: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="JSON"), commit(tmp_path / "a", "kind", config=config):
        pytest.fail("the block must not run")


def test_a_config_is_kept_as_json_keeps_it(tmp_path: Path) -> None:
    with commit(tmp_path / "a", "kind", config={"by_size": {2: "x", 10: "y"}, "shape": (1, 2)}):
        pass
    assert open_artifact(tmp_path / "a").config == {"by_size": {"2": "x", "10": "y"}, "shape": [1, 2]}


def test_canonical_json_has_one_form() -> None:
    assert canonical_json({"b": 1, "a": {"d": 0.1, "c": None}}) == '{"a":{"c":null,"d":0.1},"b":1}'
    assert canonical_json({10: 1, 9: 2}) == '{"10":1,"9":2}'


def test_fingerprint_depends_on_each_argument_and_not_on_key_order(tmp_path: Path) -> None:
    parent, other = make(tmp_path / "a"), make(tmp_path / "b", "y")
    base = fingerprint("kind", {"a": 1, "b": 2}, [parent], "code")
    assert base == fingerprint("kind", {"b": 2, "a": 1}, [parent], "code")
    changed = [
        fingerprint("other", {"a": 1, "b": 2}, [parent], "code"),
        fingerprint("kind", {"a": 1, "b": 3}, [parent], "code"),
        fingerprint("kind", {"a": 1, "b": 2}, [other], "code"),
        fingerprint("kind", {"a": 1, "b": 2}, [], "code"),
        fingerprint("kind", {"a": 1, "b": 2}, [parent], "edited"),
    ]
    assert len({base, *changed}) == 6


def test_code_digest_covers_files_and_folders() -> None:
    assert code_digest(["rng", "modalities"]) == code_digest(["modalities", "rng"])
    assert code_digest(["rng"]) != code_digest(["modalities"])
    assert code_digest(["modalities"]) == code_digest(["modalities"])


def test_file_sha256_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert file_sha256(tmp_path / "empty").startswith("e3b0c442")


@pytest.fixture
def chain(tmp_path: Path) -> list[Artifact]:
    raw = make(tmp_path / "raw", "raw")
    cohort = make(tmp_path / "deep" / "cohort", "cohort", (raw,))
    protocol = make(tmp_path / "protocol", "protocol", (cohort, raw))
    model = make(tmp_path / "models" / "a" / "model", "model", (protocol, cohort))
    return [model, protocol, cohort, raw]


def test_verify_walks_to_the_root_and_lists_each_once(chain: list[Artifact]) -> None:
    assert [a.digest for a in verify(chain[0].path)] == [a.digest for a in chain]


def test_verify_takes_relative_paths(chain: list[Artifact], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(chain[0].path.parent)
    assert len(verify("model")) == 4


def test_verify_follows_a_link_to_the_artefact(chain: list[Artifact], tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "latest").symlink_to(chain[0].path)
    assert len(verify(tmp_path / "x" / "latest")) == 4
    made = make(tmp_path / "child", "c", (open_artifact(tmp_path / "x" / "latest"),))
    (tmp_path / "x" / "latest").unlink()
    assert len(verify(made.path)) == 5


def test_a_tree_moved_as_a_whole_still_verifies(chain: list[Artifact], tmp_path: Path) -> None:
    target = tmp_path.parent / f"{tmp_path.name}-moved"
    shutil.copytree(tmp_path, target)
    assert len(verify(target / "models" / "a" / "model")) == 4


@pytest.mark.parametrize("ancestor", [1, 2, 3])
def test_damage_in_any_ancestor_is_found(chain: list[Artifact], ancestor: int) -> None:
    file = chain[ancestor].path / "content.txt"
    file.write_text("z" * file.stat().st_size)
    with pytest.raises(CorruptArtifactError, match="hash differs") as caught:
        verify(chain[0].path)
    assert caught.value.where == file


def test_a_parent_that_is_gone_is_named(chain: list[Artifact]) -> None:
    shutil.rmtree(chain[3].path)
    with pytest.raises(ArtifactError, match=r"what it was made from is not where it was[\s\S]*raw"):
        verify(chain[0].path)


def test_a_swapped_parent_is_found(chain: list[Artifact]) -> None:
    shutil.rmtree(chain[3].path)
    make(chain[3].path, "another raw")
    with pytest.raises(CorruptArtifactError, match="not the artefact this one was made from"):
        verify(chain[0].path)


def test_a_parent_of_another_kind_is_found(chain: list[Artifact]) -> None:
    shutil.rmtree(chain[3].path)
    make(chain[3].path, "raw", kind="other")
    with pytest.raises(ArtifactError, match="another kind"):
        verify(chain[0].path)


def test_remove_partials_takes_leftovers_alone(tmp_path: Path) -> None:
    make(tmp_path / "whole")
    (tmp_path / ".whole.partial-0123").mkdir()
    (tmp_path / ".whole.partial-0123" / "half.npy").touch()
    (tmp_path / ".keep").mkdir()
    remove_partials(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"whole", ".keep"}
    remove_partials(tmp_path / "absent")
