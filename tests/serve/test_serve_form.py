"""A form comes in any pieces and is the same; its names lead nowhere; what it takes it gives back."""

from __future__ import annotations

import secrets
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiobind.serve import Settings
from cardiobind.serve.refusals import Refused
from cardiobind.serve.uploads import Form, Storage, flag, safe_name

FILES = {"a.xml": b"one\r\n--not the boundary\r\n", "b.dat": bytes(range(256)) * 40}


def body() -> tuple[str, bytes]:
    sent = [("ecg", (name, data)) for name, data in FILES.items()]
    request = httpx.Request("POST", "http://x/", files=sent, data={"facts": '{"sex": "männlich"}', "explain": "true"})
    return request.headers["content-type"], request.read()


def received(folder: Path, cuts: list[int], storage: Storage) -> Form:
    kind, data = body()
    form = Form(kind, folder, Settings(), storage)
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    for start, end in pairwise(places):
        form.write(data[start:end])
    form.finish()
    return form


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(0, 11_000), max_size=60))
def test_a_form_in_any_pieces_is_the_same(tmp_path_factory: pytest.TempPathFactory, cuts: list[int]) -> None:
    storage = Storage(1 << 20)
    form = received(tmp_path_factory.mktemp("form"), cuts, storage)
    assert {file.name: file.read_bytes() for file in form.files("ecg")} == FILES
    assert form.texts == {"facts": '{"sex": "männlich"}', "explain": "true"}
    assert storage.held_bytes == sum(map(len, FILES.values()))
    form.close()
    form.close()
    assert storage.held_bytes == 0


def test_requests_share_what_may_be_stored(tmp_path: Path) -> None:
    storage = Storage(sum(map(len, FILES.values())) + 10)
    for folder in ("a", "b", "c"):
        (tmp_path / folder).mkdir()
    first = received(tmp_path / "a", [], storage)
    with pytest.raises(Refused) as refused:
        received(tmp_path / "b", [], storage)
    assert refused.value.refusal.status == 429
    storage.held_bytes = storage.most_bytes - 10  # the refused form is closed by its owner
    first.close()
    assert received(tmp_path / "c", [], storage).files("ecg")


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("9000001.hea", "9000001.hea"), ("../../etc/passwd", "passwd"), ("C:\\data\\x.xml", "x.xml"), ("..", "file.."),
        ("", "file"), (".hidden", "file.hidden"), ("a b\0c\n.xml", "a_b_c_.xml"), ("-rf", "file-rf"), ("x/", "x"),
        ("é" * 300 + ".nii.gz", "é" * 94 + ".nii.gz"), ("心" * 100 + ".xml", "心" * 64 + ".xml"),
    ],
)  # fmt: skip
def test_a_name_leads_nowhere_and_keeps_its_suffix(name: str, kept: str) -> None:
    assert safe_name(name) == kept


@settings(max_examples=40, deadline=None)
@given(name=st.text(max_size=300))
def test_any_name_is_one_of_a_file_in_its_folder(name: str) -> None:
    safe = safe_name(name)
    assert Path(safe).name == safe
    assert safe not in {"", ".", ".."}
    assert len(safe.encode()) <= 200


def test_a_name_that_is_too_long_for_the_disk_is_cut(tmp_path: Path) -> None:
    long = secrets.token_hex(400) + ".xml"
    (tmp_path / safe_name("é" * 400 + ".xml")).write_bytes(b"")
    (tmp_path / safe_name("心" * 100 + ".xml")).write_bytes(b"")
    (tmp_path / safe_name(long)).write_bytes(b"")


def test_a_yes_is_a_yes() -> None:
    assert [flag({"x": word}, "x", False) for word in ("true", "1", "false", "0")] == [True, True, False, False]
    assert flag({}, "x", True)
    with pytest.raises(Refused):
        flag({"x": "9000001"}, "x", True)
