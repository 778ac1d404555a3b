"""XML from anywhere to a small tree: nothing is expanded, fetched or nested without end; errors are in our words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml.ElementTree import DefusedXMLParser

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.base import decoding, masked
from cardiobind.formats.location import read_bytes

LARGEST_XML_BYTES = 1 << 25
DEEPEST = 64
MOST_EVENTS = 1 << 19
LONGEST_NAME = 256
LONGEST_TAG_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 16
_HEAD_BYTES = 1 << 14


def parse_xml(data: bytes, location: str, *, doctype: bool = False) -> Element:
    """Return the root of a document in bounded memory and time (under 300 MB and 3 s for 32 MB of hostile bytes).

    Args:
        data: the whole file, in any encoding of one byte a character, in UTF-8 or UTF-16.
        location: of the file, for errors.
        doctype: accept ``<!DOCTYPE name SYSTEM "x.dtd">``, as every Muse file has it; the DTD is never read.

    Returns:
        The tree, at most 64 levels deep, without comments and processing instructions.

    Raises:
        RecordError: not well formed, too large, too deep, too many parts, an entity, a DTD inside the file.
    """
    if len(data) > LARGEST_XML_BYTES:
        raise _refused("the XML is too large to be a recording", location, LARGEST_XML_BYTES, "more")
    bounded = _BoundedTree(location)
    with decoding(reasons.BAD_XML, "the XML is not well formed or holds an entity", location):
        parser: Any = _Parser(target=bounded, encoding=_override(data), forbid_dtd=True)
        parser.accepted_doctype = doctype
        for chunk in _chunks(data):
            bounded.silent_bytes += len(chunk)
            parser.feed(chunk)
            bounded.check_progress()
        try:
            root: Element = parser.close()
        except ParseError:
            if bounded.events == 0:
                raise
            raise RecordError(
                reasons.TRUNCATED, "the XML ends before its last tag: the file is cut off", where=masked(location)
            ) from None
    return root


def read_xml(location: str, root_name: str, *, doctype: bool = False) -> Element:
    """Return the root of the file at `location`, its namespaces removed.

    Raises:
        RecordError: see `parse_xml` and `read_bytes`; another root element than `root_name`.
    """
    data = read_bytes(location, limit=LARGEST_XML_BYTES + 1)
    root = parse_xml(data, location, doctype=doctype)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    if root.tag != root_name:
        raise RecordError(reasons.NOT_RECOGNISED, "another kind of XML", where=masked(location), expected=root_name)
    return root


def begins_with_root(location: str, root_name: str) -> bool:
    """Tell from the first 16 kB whether the file is XML whose root element is `root_name`; never raises."""
    try:
        head = read_bytes(location, limit=_HEAD_BYTES)
    except RecordError:
        return False
    return _root_name(_as_text(head)) == root_name


class _BoundedTree:
    """Builds the tree and stops it from growing without bound; depth is counted, not recursed into."""

    def __init__(self, location: str) -> None:
        self.builder, self.location = TreeBuilder(), location
        self.depth = self.events = self.silent_bytes = 0

    def start(self, tag: str, attributes: dict[str, str]) -> Element:
        self.depth += 1
        self._count()
        if self.depth > DEEPEST:
            raise _refused("the XML is nested too deeply", self.location, DEEPEST, f"over {DEEPEST} levels")
        longest = max(map(len, (tag, *attributes)))
        if longest > LONGEST_NAME:
            raise _refused("a name in the XML is too long", self.location, LONGEST_NAME, longest)
        return self.builder.start(tag, attributes)

    def end(self, tag: str) -> Element:
        self.depth -= 1
        self._count()
        return self.builder.end(tag)

    def data(self, text: str) -> None:
        self._count()
        self.builder.data(text)

    def close(self) -> Element:
        return self.builder.close()

    def check_progress(self) -> None:
        if self.silent_bytes > LONGEST_TAG_BYTES:
            raise _refused("a tag or comment of the XML is too long", self.location, LONGEST_TAG_BYTES, "more")

    def _count(self) -> None:
        self.silent_bytes = 0
        self.events += 1
        if self.events > MOST_EVENTS:
            raise _refused("the XML has too many parts", self.location, MOST_EVENTS, "more")


class _Parser(DefusedXMLParser):
    """Refuses entities and external references; a DOCTYPE without a DTD inside may be accepted."""

    accepted_doctype = False

    def defused_start_doctype_decl(
        self, name: str | None, sysid: str | None, pubid: str | None, has_internal_subset: int
    ) -> None:
        if has_internal_subset or not self.accepted_doctype:
            raise ValueError("a DTD")


def _chunks(data: bytes) -> Iterator[bytes]:
    view = memoryview(data)
    return (bytes(view[at : at + _CHUNK_BYTES]) for at in range(0, len(data), _CHUNK_BYTES))


def _override(data: bytes) -> str | None:
    """Return UTF-8 for a file that says UTF-16 in bytes that are not, as converted exports do."""
    declaration = data[:200].partition(b"?>")[0].lower()
    return "utf-8" if declaration.startswith((b"<?xml", b"\xef\xbb\xbf<?xml")) and b"utf-16" in declaration else None


def _as_text(head: bytes) -> str:
    if head[:2] in (b"\xff\xfe", b"<\0"):
        return head.decode("utf-16-le", errors="replace").lstrip("\ufeff")
    if head[:2] in (b"\xfe\xff", b"\0<"):
        return head.decode("utf-16-be", errors="replace").lstrip("\ufeff")
    return head.removeprefix(b"\xef\xbb\xbf").decode("latin-1")


def _root_name(text: str) -> str | None:
    """Return the first element's name without prefix: declaration, comments and DOCTYPE are passed over."""
    text = text.lstrip()
    while text.startswith(("<?", "<!")):
        text = text.partition(_end_of(text))[2].lstrip()
    return _name(text[1:LONGEST_NAME]) if text.startswith("<") else None


def _end_of(text: str) -> str:
    if text.startswith("<!--"):
        return "-->"
    return "]>" if "[" in text.partition(">")[0] else ">"


def _name(text: str) -> str:
    parts = text.replace("/", " ").replace(">", " ").split(maxsplit=1)
    return parts[0].rpartition(":")[2] if parts else ""


def _refused(what: str, location: str, most: object, got: object) -> RecordError:
    return RecordError(reasons.BAD_XML, what, where=masked(location), expected=f"at most {most}", got=got)
