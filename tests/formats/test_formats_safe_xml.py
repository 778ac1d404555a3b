"""XML: hostile documents are refused in bounded memory and time; harmless ones are read in any encoding."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.safe_xml import DEEPEST, LARGEST_XML_BYTES, begins_with_root, parse_xml, read_xml
from memory import PEAK_MB

NAME = "9000001.xml"
MB = 1 << 20
BIG_URI = b"u" * (MB - 4096)
MANY_ATTRIBUTES = b" ".join(b'a%d=""' % k for k in range(200_000))
HOSTILE = {
    "entity": b'<!DOCTYPE a [<!ENTITY b "SECRETNAME">]><a>&b;</a>',
    "billion laughs": b'<!DOCTYPE a [<!ENTITY b "SECRETNAME"><!ENTITY c "&b;&b;&b;&b;">]><a>&c;</a>',
    "external entity": b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    "parameter entity": b'<!DOCTYPE a [<!ENTITY % b SYSTEM "file:///etc/passwd"> %b;]><a/>',
    "default attribute": b'<!DOCTYPE a [<!ATTLIST a b CDATA "SECRETNAME">]><a/>',
    "undefined entity": b'<!DOCTYPE a SYSTEM "x.dtd"><a>&SECRETNAME;</a>',
    "too deep": b"<a>" * (4 * MB),
    "millions of elements": b"<a>" + b"<b/>" * (2 * MB) + b"</a>",
    "millions of attributes": b"<a " + MANY_ATTRIBUTES + b"/>",
    "long namespace": b'<a xmlns="' + BIG_URI + b'">' + b"<b/>" * MB + b"</a>",
    "long name": b"<a " + b"u" * 1000 + b'=""/>',
    "millions of comments": b"<a>" + b"<!---->" * MB + b"</a>",
    "comments between letters": b"<a>" + b"<!---->x" * MB + b"</a>",
    "an attribute of megabytes": b'<a b="' + b"x" * (4 * MB) + b'"/>',
    "too large": b"<a>" + b" " * LARGEST_XML_BYTES + b"</a>",
    "no end": b"<a><b>SECRETNAME",
    "two roots": b"<a/><b/>",
    "not UTF-8": b"<a>\xff\xfeSECRETNAME</a>",
    "several bytes a character": b'<?xml version="1.0" encoding="gb2312"?><a/>',
    "nothing": b" ",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_documents_are_refused_fast(kind: str) -> None:
    start = time.process_time()
    with pytest.raises(RecordError) as caught:
        parse_xml(HOSTILE[kind], NAME, doctype=True)
    assert time.process_time() - start < 5
    assert caught.value.reason == (reasons.TRUNCATED if kind == "no end" else reasons.BAD_XML)
    assert "SECRETNAME" not in str(caught.value)
    assert "9000001" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_documents_stay_within_512_mb(kind: str) -> None:
    code = (
        "import sys; sys.path[:0] = ['tests', 'tests/formats']; import test_formats_safe_xml as t\n"
        f"t.test_hostile_documents_are_refused_fast({kind!r})\n"
        f"print({PEAK_MB})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 512


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("<a>é</a>".encode(), "é"),
        ("<a>é</a>".encode("utf-8-sig"), "é"),
        ("<a>é</a>".encode("utf-16"), "é"),
        ('<?xml version="1.0" encoding="utf-16"?><a>é</a>'.encode("utf-16"), "é"),
        ('<?xml version="1.0" encoding="UTF-16"?><a>é</a>'.encode(), "é"),
        ('<?xml version="1.0" encoding="ISO8859-1"?><a>é</a>'.encode("latin-1"), "é"),
        ('<?xml version="1.0" encoding="ISO-8859-15"?><a>€</a>'.encode("iso-8859-15"), "€"),
        ('<?xml version="1.0" encoding="windows-1252"?><a>€</a>'.encode("cp1252"), "€"),
    ],
)  # fmt: skip
def test_encodings(data: bytes, text: str) -> None:
    assert parse_xml(data, NAME).text == text


def test_a_doctype_is_accepted_only_where_asked_for_and_never_with_a_dtd_inside() -> None:
    data = b'<!DOCTYPE RestingECG SYSTEM "restecg.dtd"><RestingECG/>'
    assert parse_xml(data, NAME, doctype=True).tag == "RestingECG"
    for doctype, document in ((False, data), (True, data.replace(b' SYSTEM "restecg.dtd"', b" []"))):
        with pytest.raises(RecordError) as caught:
            parse_xml(document, NAME, doctype=doctype)
        assert caught.value.reason == reasons.BAD_XML


@settings(deadline=None, derandomize=True)
@given(st.integers(1, 2 * DEEPEST))
def test_depth_is_limited_at_the_stated_level(levels: int) -> None:
    data = b"<a>" * levels + b"</a>" * levels
    if levels <= DEEPEST:
        assert sum(1 for _ in parse_xml(data, NAME).iter()) == levels
    else:
        with pytest.raises(RecordError):
            parse_xml(data, NAME)


def test_a_long_text_is_no_attack() -> None:
    digits = "1 " * (4 * MB)
    assert parse_xml(f"<a>{digits}</a>".encode(), NAME).text == digits


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (b"<Root>", True),
        (b"<Root/>", True),
        (b"<n:Root xmlns:n='x'>", True),
        (b"\xef\xbb\xbf \n<Root a='1'>", True),
        (b"<?xml version='1.0'?>\n<!-- <Other> -->\n<!DOCTYPE Root SYSTEM 'x.dtd'>\n<Root>", True),
        (b"<!DOCTYPE Root [<!ENTITY a 'b'>]><Root>", True),
        ("<?xml version='1.0' encoding='utf-16'?><Root>".encode("utf-16"), True),
        ("<?xml version='1.0'?><Root>".encode("utf-16-be"), True),
        (b"<!-- <Root> --><Other>", False),
        (b"<Rooted>", False),
        (b"Root", False),
        (b"<!--", False),
        (b"<", False),
        (b"", False),
        (b"\xff\xfe<", False),
    ],
)  # fmt: skip
def test_the_root_is_told_from_the_first_bytes(head: bytes, found: bool, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(head)
    assert begins_with_root(str(tmp_path / NAME), "Root") is found


def test_a_file_of_gigabytes_is_refused_without_being_read(tmp_path: Path) -> None:
    path = tmp_path / NAME
    with path.open("wb") as stream:
        stream.write(b"<Root>")
        stream.truncate(1 << 34)
    start = time.process_time()
    with pytest.raises(RecordError, match="too large"):
        read_xml(str(path), "Root")
    assert time.process_time() - start < 2


def test_namespaces_are_removed_and_another_root_is_refused(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(b"<Root xmlns='urn:x'><child/></Root>")
    assert [element.tag for element in read_xml(str(path), "Root").iter()] == ["Root", "child"]
    with pytest.raises(RecordError) as caught:
        read_xml(str(path), "Other")
    assert caught.value.reason == reasons.NOT_RECOGNISED
