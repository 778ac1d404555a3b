"""Who has withdrawn is nowhere: not in the next cohort, not in the work folder; and nobody else is read again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from cardiobind.cohort import Cohort, build
from cardiobind.modalities.ecg import prepare_ecg
from cardiobind.sources import RecordRef
from store_fakes import ECG, FakeSource, all_bytes, fake_cohort

pytestmark = pytest.mark.usefixtures("one_endpoint")

FLAT = {f"SIM-{i:05d}": "flat" for i in (4, 9, 12, 13, 16)}
SOURCE = FakeSource(
    subjects=24, cmr=True, trouble={"SIM-00000": "refuse", **FLAT},
    extra=(RecordRef("SIM-00005", "2", "ecg", "SIM-00005-again.xml"), RecordRef("SIM-00001", "2", "echo", "x")),
)  # fmt: skip


def mentions(folder: Path, subject: str) -> bool:
    """Whether a table holds the subject, or any file its name or its signal."""
    tables = [pd.read_parquet(file) for file in folder.rglob("*.parquet")]
    signal = prepare_ecg(FakeSource().read(RecordRef(subject, "2", "ecg", "")), ECG).tobytes()
    return any((table == subject).any(axis=None) for table in tables) or any(
        subject.encode() in content or signal in content for content in all_bytes(folder).values()
    )


@pytest.fixture(scope="module")
def earlier(one_endpoint: None, tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return fake_cohort(tmp_path_factory.mktemp("earlier"), SOURCE)


@pytest.mark.parametrize(
    ("withdrawn", "read"),
    [
        ((), 0),
        (("SIM-00006",), 0),
        (("SIM-00000", "SIM-00001", "SIM-00005", "SIM-00020"), 0),
        (("SIM-00016",), 0),
        (tuple(FLAT), 0),
        (("SIM-00004",), 26),
        (tuple(f"SIM-{i:05d}" for i in range(24)), 0),
    ],
    ids=["nobody", "one", "several", "no example", "all examples", "an example with a successor", "everybody"],
)
def test_a_cohort_without_them_is_that_of_a_build_from_the_files(
    tmp_path: Path, earlier: Cohort, withdrawn: tuple[str, ...], read: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, log = replace(SOURCE, withdrawn=withdrawn), tmp_path / "log"
    monkeypatch.setattr(build, "SHARD_ROWS", 256)
    again = fake_cohort(tmp_path, replace(left, read_log=str(log)), name="again", earlier=earlier.artifact)
    scratch = fake_cohort(tmp_path, left, name="scratch")
    assert all_bytes(again.artifact.path) == all_bytes(scratch.artifact.path)
    assert (len(log.read_text().splitlines()) if log.exists() else 0) == read
    for subject in [s for s in withdrawn if mentions(earlier.artifact.path, s)]:
        assert not mentions(tmp_path / "again", subject)
        assert not mentions(tmp_path / "again-work", subject)


def test_the_test_would_see_them(earlier: Cohort) -> None:
    assert mentions(earlier.artifact.path, "SIM-00006")
    assert not mentions(earlier.artifact.path, "SIM-00099")


def test_who_comes_back_is_read(tmp_path: Path) -> None:
    without = fake_cohort(tmp_path, replace(SOURCE, withdrawn=("SIM-00006",)), name="without")
    back = fake_cohort(tmp_path, SOURCE, name="back", earlier=without.artifact)
    whole = fake_cohort(tmp_path, SOURCE, name="whole")
    assert all_bytes(back.artifact.path) == all_bytes(whole.artifact.path)


def test_where_nothing_was_left_out(tmp_path: Path) -> None:
    clean = FakeSource(subjects=8)
    first = fake_cohort(tmp_path, clean, name="first")
    left = replace(clean, withdrawn=("SIM-00002",))
    again = fake_cohort(tmp_path, left, name="again", earlier=first.artifact)
    assert all_bytes(again.artifact.path) == all_bytes(fake_cohort(tmp_path, left, name="scratch").artifact.path)


def test_shards_of_the_store_are_cut_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "SHARD_ROWS", 4)
    first = fake_cohort(tmp_path, SOURCE, name="first")
    left = replace(SOURCE, withdrawn=("SIM-00001", "SIM-00006", "SIM-00017"))
    again = fake_cohort(tmp_path, left, name="again", earlier=first.artifact)
    assert all_bytes(again.artifact.path) == all_bytes(fake_cohort(tmp_path, left, name="scratch").artifact.path)


def test_chunks_of_a_killed_build_do_not_survive_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("cardiobind.cohort.build._write_cohort", interrupt)
        with pytest.raises(KeyboardInterrupt):
            fake_cohort(tmp_path, SOURCE, chunk=4)
    assert mentions(tmp_path / "cohort-work", "SIM-00006")
    fake_cohort(tmp_path, replace(SOURCE, withdrawn=("SIM-00006",)), fingerprint="another list", chunk=4)
    assert [f.name for f in (tmp_path / "cohort-work").iterdir()] == [".lock"]
    assert not mentions(tmp_path / "cohort", "SIM-00006")
