"""What was computed from a file is not used once any file of the recording has changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from small_bundle import write_ecg

from cardiobind.pipeline.many.cases import Case
from cardiobind.pipeline.many.stamps import stamps
from cardiobind.sources import RecordRef


def touched(file: Path) -> None:
    found = file.stat()
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns + 1_000))


@pytest.mark.parametrize("suffix", [".hea", ".dat", ""])
@pytest.mark.parametrize("changed", [".hea", ".dat"])
def test_samples_behind_a_header_are_part_of_it(tmp_path: Path, suffix: str, changed: str) -> None:
    record = write_ecg(tmp_path, 1, "wfdb").with_suffix("")
    case = Case("a", "", {"ecg": RecordRef("a", "", "ecg", f"{record}{suffix}")})
    before = case.key
    assert case.key == before
    touched(record.with_suffix(changed))
    assert case.key != before


def test_samples_by_another_name_are_those_that_the_header_names(tmp_path: Path) -> None:
    (tmp_path / "a.hea").write_text(
        "a 2 500 10\n# b.dat\nb.dat 16 200 16 0 0 0 0 I\nb.dat 16 200 16 0 0 0 0 II\n\0 16\n"
    )
    before = stamps(str(tmp_path / "a.hea"))
    (tmp_path / "b.dat").write_bytes(b"1234")
    after = stamps(str(tmp_path / "a.hea"))
    assert after != before
    assert [len(one) for one in after] == [2, 2, 2, 0]


def test_files_within_a_folder_are_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "series").mkdir()
    file = tmp_path / "series" / "1.dcm"
    file.write_bytes(b"1")
    case = Case("a", "", {"cmr": RecordRef("a", "", "cmr", str(tmp_path))})
    before = case.key
    touched(file)
    after = case.key
    assert after != before
    file.rename(file.with_name("2.dcm"))
    assert case.key != after


def test_a_header_that_cannot_be_read_costs_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    (tmp_path / "a.hea").write_text("a 0")
    monkeypatch.setattr("builtins.open", refuse)
    assert len(stamps(str(tmp_path / "a.hea"))) == 2
