"""Files that no reader knows are named by their first bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from cardiobind.errors import RecordError
from cardiobind.inspection import inspect, to_text
from cardiobind.inspection.folder import inspect_folder


@pytest.mark.parametrize(
    ("head", "told"), [(b"", "the file is empty"), (b"\xff\xd8\xff\xe0", "a JPEG picture"), (b"%PDF-1.4", "a PDF")]
)
def test_what_is_no_ecg_is_told(head: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(head)
    with pytest.raises(RecordError, match=told):
        inspect(tmp_path / "a.bin")


def test_a_file_that_cannot_be_drawn_is_not_named(tmp_path: Path) -> None:
    (tmp_path / "mine.xml").write_bytes(b"<CardiologyXML><StripData>")
    assert "mine" not in "\n".join(to_text(inspect_folder(tmp_path)))
