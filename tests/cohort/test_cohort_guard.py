"""Hanging, exploding and lying readers cost their record alone; a source that has gone costs nothing at all."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cardiobind.cohort import Cohort, Limits
from cardiobind.cohort.ingest.guard import TimedOut, time_limit
from cardiobind.errors import ConfigError, InputError, RecordError
from store_fakes import FakeSource, fake_cohort

pytestmark = pytest.mark.usefixtures("one_endpoint")

HOSTILE = {
    "SIM-00000": "hang",
    "SIM-00001": "eat",
    "SIM-00002": "abort",
    "SIM-00004": "recurse",
    "SIM-00005": "leave",
    "SIM-00006": "cancel",
    "SIM-00008": "deaf",
}
LIMITS = Limits(seconds=0.7, memory_bytes=1 << 30)


def reasons(cohort: Cohort) -> dict[str, str]:
    return dict(zip(cohort.quarantine["subject"], cohort.quarantine["reason"], strict=True))


def test_a_hostile_record_costs_itself_alone(tmp_path: Path) -> None:
    cohort = fake_cohort(tmp_path, FakeSource(subjects=16, trouble=HOSTILE), workers=2, chunk=6, limits=LIMITS)
    assert reasons(cohort) == {
        "SIM-00000": "timed_out",
        "SIM-00001": "out_of_memory",
        "SIM-00002": "reader_crashed",
        "SIM-00004": "reader_failure",
        "SIM-00005": "reader_failure",
        "SIM-00006": "reader_failure",
        "SIM-00008": "timed_out",
    }
    assert cohort.counts["ecg"] == {"read": 12, "kept": 5, "quarantined": 7}
    assert "SIM-" not in " ".join(cohort.quarantine["detail"])
    assert set(cohort.quarantine.loc[cohort.quarantine["reason"] == "timed_out", "detail"]) == {"not done after 0.7 s"}


def test_in_this_process_a_hanging_record_costs_itself_alone(tmp_path: Path) -> None:
    trouble = {"SIM-00001": "hang", "SIM-00002": "cancel", "SIM-00005": "recurse"}
    cohort = fake_cohort(tmp_path, FakeSource(trouble=trouble), limits=LIMITS)
    assert reasons(cohort) == {
        "SIM-00001": "timed_out",
        "SIM-00002": "reader_failure",
        "SIM-00005": "reader_failure",
    }


def test_a_keyboard_interrupt_is_not_a_failure_of_the_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(FakeSource, "read", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fake_cohort(tmp_path, FakeSource())


def test_memory_that_a_library_did_not_get_is_named_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RecordError("bad_dicom", "cannot be decoded", got="MemoryError")

    monkeypatch.setattr(FakeSource, "read", refuse)
    assert set(reasons(fake_cohort(tmp_path, FakeSource())).values()) == {"out_of_memory"}


def spin(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def in_thread(work: Callable[[], object]) -> object:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


@pytest.mark.parametrize("where", [lambda work: work(), in_thread], ids=["main thread", "other thread"])
def test_the_time_limit_holds_for_its_block_only(where: Callable[[Callable[[], object]], object]) -> None:
    def work() -> str:
        with time_limit(5.0):
            spin(0.01)
        began = time.monotonic()
        with pytest.raises(TimedOut), time_limit(0.1):
            spin(10.0)
        assert time.monotonic() - began < 5.0
        spin(0.3)
        return "the end"

    assert where(work) == "the end"


def test_no_late_exception_hits_the_next_record() -> None:
    def work() -> int:
        hits = 0
        for _ in range(300):
            try:
                with time_limit(0.001):
                    spin(0.001)
            except TimedOut:
                hits += 1
        spin(0.05)
        return hits

    assert 0 <= in_thread(work) <= 300  # type: ignore[operator]
    assert threading.active_count() < 50


@pytest.mark.parametrize("seconds", [0.0005, 5.0], ids=["rings", "silent"])
def test_a_trace_function_such_as_that_of_coverage_does_not_hang_after_a_time_limit(seconds: float) -> None:
    def work() -> int:
        calls = 0
        sys.settrace(lambda *_: None)
        try:
            for _ in range(50):
                with contextlib.suppress(TimedOut), time_limit(seconds):
                    spin(0.001)
                spin(0.0)
                calls += 1
        finally:
            sys.settrace(None)
        return calls

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(work).result(timeout=60) == 50


def test_a_reader_that_swallows_the_exception_does_not_hang_the_thread() -> None:
    def work() -> str:
        with time_limit(0.05):
            try:
                spin(10.0)
            except TimedOut:
                return "swallowed"
        return "not interrupted"

    assert in_thread(work) == "swallowed"


@pytest.mark.parametrize("wrong", [{"seconds": 0.0}, {"seconds": float("nan")}, {"memory_bytes": 1000}])
def test_limits_under_which_nothing_can_be_read_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Limits(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_source_that_has_gone_stops_the_run_and_loses_nothing(tmp_path: Path, workers: int) -> None:
    flag = tmp_path / "mounted"
    source = FakeSource(subjects=60, mounted=str(flag))
    with pytest.raises(InputError, match="source has probably gone") as caught:
        fake_cohort(tmp_path, source, workers=workers, chunk=15)
    assert "SIM-" not in str(caught.value)
    assert not (tmp_path / "cohort").exists()
    assert not list((tmp_path / "cohort-work").glob("ecg-*"))
    flag.touch()
    resumed = fake_cohort(tmp_path, source, chunk=15)
    assert resumed.counts["ecg"] == {"read": 45, "kept": 45, "quarantined": 0}


def test_files_missing_before_the_source_went_are_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, calls = FakeSource.read, []

    def unmount_after_12(self: FakeSource, ref: object) -> object:
        calls.append(ref)
        if len(calls) > 12:
            raise OSError(116, "Stale file handle", "/secret/name.xml")
        return read(self, ref)  # type: ignore[arg-type]

    source = FakeSource(subjects=60)
    with monkeypatch.context() as patch:
        patch.setattr(FakeSource, "read", unmount_after_12)
        with pytest.raises(InputError, match="source has probably gone"):
            fake_cohort(tmp_path, source, chunk=15)
    committed = list((tmp_path / "cohort-work").glob("ecg-*"))
    assert len(committed) == 1, "a chunk of which a fifth is missing may be as it should be"
    resumed = fake_cohort(tmp_path, source, chunk=15)
    whole = fake_cohort(tmp_path, source, name="whole", chunk=15)
    assert resumed.artifact.digest == whole.artifact.digest
    assert resumed.counts["ecg"]["quarantined"] == 0


def test_files_that_are_really_missing_are_quarantined(tmp_path: Path) -> None:
    few = {f"SIM-{i:05d}": "absent" for i in range(14)}
    cohort = fake_cohort(tmp_path, FakeSource(trouble=few), chunk=4)
    assert set(reasons(cohort).values()) == {"missing_file"}
    assert cohort.counts["ecg"] == {"read": 9, "kept": 0, "quarantined": 9}
    assert "secret" not in " ".join(cohort.quarantine["detail"])
    many = FakeSource(subjects=60, trouble={f"SIM-{i:05d}": "absent" for i in range(60)})
    with pytest.raises(InputError, match="accept-missing"):
        fake_cohort(tmp_path, many, name="many")
    accepted = fake_cohort(tmp_path, many, name="many", accept_missing=True)
    assert accepted.counts["ecg"] == {"read": 45, "kept": 0, "quarantined": 45}


def test_scattered_missing_files_do_not_stop_anything(tmp_path: Path) -> None:
    scattered = {f"SIM-{i:05d}": "absent" for i in range(1, 100, 4)}
    cohort = fake_cohort(tmp_path, FakeSource(subjects=100, trouble=scattered))
    assert cohort.counts["ecg"]["quarantined"] == 25
    again = fake_cohort(tmp_path, FakeSource(subjects=100, trouble=scattered), name="b", chunk=10)
    assert again.quarantine.equals(cohort.quarantine)
