"""Building a cohort: nothing lost, nothing fatal, the same bytes whatever happens on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cardiobind.cohort import Cohort
from cardiobind.cohort.build import SHARD_ROWS
from cardiobind.cohort.ingest import executors, work, workers
from cardiobind.cohort.ingest.chunks import out_of_reach, plan_chunks
from cardiobind.cohort.ingest.locks import exclusive
from cardiobind.errors import ArtifactError, ArtifactExistsError, ConfigError, CorruptArtifactError
from cardiobind.modalities.ecg import prepare_ecg
from cardiobind.sources import RecordRef
from store_fakes import ECG, FakeSource, all_bytes, fake_cohort

pytestmark = pytest.mark.usefixtures("one_endpoint")

TROUBLE = {
    "SIM-00000": "refuse",
    "SIM-00001": "fail",
    "SIM-00002": "leave",
    "SIM-00004": "flat",
}


def reasons(cohort: Cohort) -> dict[str, str]:
    ecg = cohort.quarantine[cohort.quarantine["modality"] == "ecg"]
    return dict(zip(ecg["subject"], ecg["reason"], strict=True))


def test_signals_are_those_of_the_records(tmp_path: Path) -> None:
    source = FakeSource(subjects=16, cmr=True)
    cohort = fake_cohort(tmp_path, source)
    ecg_rows = np.flatnonzero(cohort.has("ecg"))
    for row in ecg_rows:
        ref = RecordRef(cohort.samples["subject"][row], "2", "ecg", "")
        assert np.array_equal(cohort.read("ecg", [row])[0], prepare_ecg(source.read(ref), ECG))
    assert cohort.counts == {
        "cmr": {"read": 6, "kept": 6, "quarantined": 0},
        "ecg": {"read": 12, "kept": 12, "quarantined": 0},
        "tabular": {"read": 13, "kept": 13, "quarantined": 0},
    }


def test_every_failure_is_quarantined_with_its_reason(tmp_path: Path) -> None:
    cohort = fake_cohort(tmp_path, FakeSource(trouble=TROUBLE))
    assert reasons(cohort) == {
        "SIM-00000": "truncated",
        "SIM-00001": "reader_failure",
        "SIM-00002": "reader_failure",
        "SIM-00004": "all_flat",
    }
    details = cohort.quarantine.set_index("reason")["detail"]
    assert details["truncated"] == "the file ends early; expected: 10; got: 3"
    assert [d.split(":")[0] for d in details["reader_failure"]] == [
        "ZeroDivisionError at store_fakes.py",
        "SystemExit at store_fakes.py",
    ]
    assert cohort.counts["ecg"] == {"read": 9, "kept": 5, "quarantined": 4}


def test_a_crashing_reader_costs_one_record(tmp_path: Path) -> None:
    trouble = {"SIM-00001": "crash", "SIM-00002": "fail", "SIM-00006": "crash"}
    cohort = fake_cohort(tmp_path, FakeSource(trouble=trouble), workers=2, chunk=4)
    assert reasons(cohort) == {
        "SIM-00001": "reader_crashed",
        "SIM-00002": "reader_failure",
        "SIM-00006": "reader_crashed",
    }
    assert cohort.counts["ecg"] == {"read": 9, "kept": 6, "quarantined": 3}


def test_a_worker_killed_from_outside_costs_nothing(tmp_path: Path) -> None:
    clean = fake_cohort(tmp_path, FakeSource(), name="clean")
    flag = tmp_path / "crashed"
    shot = fake_cohort(tmp_path, FakeSource(trouble={"SIM-00005": "crash_once"}, flag=str(flag)), workers=2, chunk=4)
    assert flag.exists()
    assert all_bytes(shot.artifact.path) == all_bytes(clean.artifact.path)


@pytest.mark.parametrize(("workers", "chunk"), [(1, 4), (2, 3), (3, 100)])
def test_bytes_depend_neither_on_workers_nor_on_chunks(tmp_path: Path, workers: int, chunk: int) -> None:
    source = FakeSource(subjects=20, cmr=True, trouble=TROUBLE)
    one = fake_cohort(tmp_path, source, name="one")
    two = fake_cohort(tmp_path, source, name="two", workers=workers, chunk=chunk)
    assert all_bytes(one.artifact.path) == all_bytes(two.artifact.path)


def test_a_killed_build_goes_on_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    log, work = tmp_path / "log", tmp_path / "cohort-work"
    source = FakeSource(subjects=24, cmr=True, trouble=TROUBLE, read_log=str(log))
    killed = _start(f"fake_cohort(Path(sys.argv[1]), replace({source!r}, slow_s=0.1), workers=2, chunk=4)", tmp_path)
    while not list(work.glob("ecg-*")):
        assert killed.poll() is None
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    done, before = len([*work.glob("cmr-*"), *work.glob("ecg-*")]), len(log.read_text().splitlines())
    time.sleep(0.5)
    assert len(log.read_text().splitlines()) - before <= 2, "workers outlive their parent"
    log.unlink()
    cohort = fake_cohort(tmp_path, source, chunk=4)
    assert len(log.read_text().splitlines()) <= 26 - 4 * (done - 1)
    whole = fake_cohort(tmp_path, replace(source, read_log=""), name="whole")
    assert all_bytes(cohort.artifact.path) == all_bytes(whole.artifact.path)
    assert [f.name for f in work.iterdir()] == [".lock"]


def test_a_damaged_chunk_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = FakeSource(read_log=str(tmp_path / "log"))
    with monkeypatch.context() as patch:
        patch.setattr("cardiobind.cohort.build._write_cohort", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            fake_cohort(tmp_path, source, chunk=4)
    assert not (tmp_path / "cohort").exists()
    victim = sorted((tmp_path / "cohort-work").glob("ecg-*"))[1] / "signals.npy"
    victim.write_bytes(victim.read_bytes()[:-1] + b"x")
    (tmp_path / "log").unlink()
    cohort = fake_cohort(tmp_path, source, chunk=4)
    assert len((tmp_path / "log").read_text().splitlines()) == 4
    whole = fake_cohort(tmp_path, FakeSource(), name="whole")
    assert all_bytes(cohort.artifact.path) == all_bytes(whole.artifact.path)


def test_chunks_of_other_settings_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("cardiobind.cohort.build._write_cohort", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            fake_cohort(tmp_path, FakeSource(), fingerprint="other")
    log = tmp_path / "log"
    fake_cohort(tmp_path, FakeSource(read_log=str(log)))
    assert len(log.read_text().splitlines()) == 9


def test_a_chunk_that_another_worker_wrote_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fake_cohort(tmp_path, FakeSource(), name="first")
    monkeypatch.setattr("cardiobind.cohort.build.remove_chunks", lambda *_: None)
    fake_cohort(tmp_path, FakeSource())
    for module in ("run", "work"):
        monkeypatch.setattr(f"cardiobind.cohort.ingest.{module}.out_of_reach", lambda *_: None)
    monkeypatch.setattr("cardiobind.cohort.ingest.work.remove_chunk", lambda *_: None)
    second = fake_cohort(tmp_path, FakeSource(), name="second", work=tmp_path / "cohort-work")
    assert all_bytes(second.artifact.path) == all_bytes(first.artifact.path)


def test_repeated_records_are_quarantined_and_the_first_readable_one_stays(tmp_path: Path) -> None:
    again = tuple(RecordRef(s, "2", "ecg", f"{s}-again.xml") for s in ("SIM-00000", "SIM-00005", "SIM-00006"))
    source = FakeSource(extra=again, trouble={"SIM-00006": "fail"})
    cohort = fake_cohort(tmp_path, source, chunk=1)
    counts = cohort.quarantine["reason"].value_counts().to_dict()
    assert counts == {"duplicate_record": 2, "reader_failure": 2}
    assert cohort.counts["ecg"] == {"read": 12, "kept": 8, "quarantined": 4}
    assert cohort.samples.groupby(["subject", "visit"]).size().max() == 1


def test_a_record_of_an_unknown_modality_is_quarantined(tmp_path: Path) -> None:
    cohort = fake_cohort(tmp_path, FakeSource(extra=(RecordRef("SIM-00001", "2", "echo", "x"),)))
    assert cohort.counts["echo"] == {"read": 1, "kept": 0, "quarantined": 1}
    assert cohort.quarantine["reason"].tolist() == ["unknown_modality"]


def test_a_modality_not_asked_for_is_not_read(tmp_path: Path) -> None:
    cohort = fake_cohort(tmp_path, FakeSource(cmr=True), cmr=None)
    assert "cmr" not in cohort.counts
    assert not cohort.has("cmr").any()


def test_an_array_of_the_wrong_shape_is_quarantined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cardiobind.cohort.ingest.prepare.prepare_ecg", lambda *_: np.zeros((3, 3), dtype=np.int16))
    cohort = fake_cohort(tmp_path, FakeSource())
    assert set(cohort.quarantine["reason"]) == {"wrong_shape"}
    assert cohort.read("ecg", []).shape == (0, 12, 200)


def test_a_source_with_nothing_usable_gives_an_empty_cohort(tmp_path: Path) -> None:
    cohort = fake_cohort(tmp_path, FakeSource(subjects=0))
    assert len(cohort) == 0
    assert cohort.summary["samples"] == 0


def test_rows_go_into_shards_of_fixed_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert SHARD_ROWS == 256
    whole = fake_cohort(tmp_path, FakeSource(subjects=20), name="whole")
    monkeypatch.setattr("cardiobind.cohort.build.SHARD_ROWS", 4)
    cut = fake_cohort(tmp_path, FakeSource(subjects=20), name="cut")
    rows = np.random.default_rng(0).permutation(np.flatnonzero(cut.has("ecg")))
    assert len(list((cut.artifact.path / "ecg").glob("*.npy"))) == 4
    assert np.array_equal(cut.read("ecg", rows), whole.read("ecg", rows))


def test_lost_records_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cardiobind.cohort.ingest.chunks._quarantine_row", lambda o: {"modality": "?", "subject": "x"})
    with pytest.raises(ArtifactError, match="lost"):
        fake_cohort(tmp_path, FakeSource(trouble=TROUBLE))


def test_progress_counts_records(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    fake_cohort(tmp_path, FakeSource(), chunk=4, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 9), (4, 9), (8, 9), (9, 9)]


def test_progress_reaches_the_end_after_crashes(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    source = FakeSource(trouble={"SIM-00001": "crash", "SIM-00008": "crash"})
    fake_cohort(tmp_path, source, workers=2, chunk=4, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (9, 9)
    assert seen == sorted(seen)


def test_an_existing_cohort_is_not_overwritten(tmp_path: Path) -> None:
    fake_cohort(tmp_path, FakeSource())
    with pytest.raises(ArtifactExistsError):
        fake_cohort(tmp_path, FakeSource())


def test_two_builds_do_not_share_a_work_folder(tmp_path: Path) -> None:
    with exclusive(tmp_path / "cohort-work"), pytest.raises(ArtifactError, match="another build"):
        fake_cohort(tmp_path, FakeSource())


def test_negative_workers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="workers"):
        fake_cohort(tmp_path, FakeSource(), workers=-1)


def test_workers_that_cannot_start_are_no_reason_to_quarantine_everything(tmp_path: Path) -> None:
    script = tmp_path / "unguarded.py"
    script.write_text("from store_fakes import *\nfake_cohort(Path(__file__).parent, FakeSource(), workers=1)\n")
    result = subprocess.run([sys.executable, script], env=_environment(), capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert "worker processes cannot start" in result.stderr
    assert not (tmp_path / "cohort").exists()


def test_what_a_worker_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = FakeSource()
    (chunk,) = plan_chunks(source.records(), 100, {"ecg": ECG}, "f")
    limits: list[int] = []
    monkeypatch.setattr("cardiobind.cohort.ingest.workers.threadpool_limits", lambda _: None)
    monkeypatch.setattr("cardiobind.cohort.ingest.workers.limit_memory", limits.append)
    workers._begin_worker(1 << 30, executors._begin_worker, [work.Job(source, {"ecg": ECG}, tmp_path)])
    assert limits == [1 << 30]
    assert executors._prepare_chunk_here(chunk) == work.Report(9, 0)
    assert out_of_reach(tmp_path, chunk) == []
    assert executors._prepare_record_here(chunk.refs[0]).prepared is not None


def test_a_chunk_finished_before_the_pool_broke_is_not_made_again(tmp_path: Path) -> None:
    source = FakeSource(read_log=str(tmp_path / "log"))
    (chunk,) = plan_chunks(source.records(), 100, {"ecg": ECG}, "f")
    job = work.Job(source, {"ecg": ECG}, tmp_path)
    work.prepare_chunk(job, chunk)
    (tmp_path / "log").unlink()
    assert executors.prepare_one_by_one(job, chunk) == work.Report(9, 0)
    assert not (tmp_path / "log").exists()


def test_no_identifier_in_the_files_for_people(tmp_path: Path) -> None:
    cohort = fake_cohort(tmp_path, FakeSource(trouble=TROUBLE, cmr=True))
    for name in ("summary.json", "counts.json", "specs.json", "manifest.json"):
        assert "SIM-" not in (cohort.artifact.path / name).read_text()
    assert "SIM-" not in " ".join(cohort.quarantine["detail"])


def test_a_damaged_cohort_is_not_opened(tmp_path: Path) -> None:
    cohort = fake_cohort(tmp_path, FakeSource())
    shard = cohort.artifact.path / "ecg" / "shard-00000.npy"
    shard.write_bytes(shard.read_bytes()[:-1] + b"\xff")
    with pytest.raises(CorruptArtifactError):
        Cohort.open(cohort.artifact.path)


def test_the_summary_agrees_with_the_cohort(tmp_path: Path) -> None:
    cohort = fake_cohort(tmp_path, FakeSource(subjects=40, cmr=True, trouble=TROUBLE))
    summary = json.loads(json.dumps(cohort.summary))
    assert summary["samples"] == len(cohort) == sum(summary["availability"].values())
    for modality, count in summary["modalities"].items():
        assert count == cohort.has(modality).sum()
    pattern = cohort.has("ecg") & cohort.has("cmr") & ~cohort.has("tabular")
    assert summary["availability"]["ecg+cmr"] == pattern.sum()
    sbp, sex = cohort.table["sbp_mmhg"], cohort.table["sex"]
    assert np.isclose(summary["features"]["sbp_mmhg"]["mean"], sbp.mean())
    assert np.isclose(summary["features"]["sbp_mmhg"]["sd"], sbp.std())
    assert np.isclose(summary["features"]["sbp_mmhg"]["missing_share"], sbp.isna().mean())
    assert np.isclose(summary["features"]["sex"]["shares"]["male"], (sex == "male").sum() / sex.notna().sum())
    mi = cohort.labels("mi")
    assert summary["tasks"]["mi"]["positive"] == np.nansum(mi)
    assert summary["tasks"]["mi"]["prevalence"] == np.nanmean(mi)
    assert summary["quarantine"]["ecg"]["truncated"] == 1
    assert {"reason": "unknown_code", "column": "sex", "count": 1} in summary["table_issues"]
    assert "mi_vs_norm" not in summary["tasks"]


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _environment() -> dict[str, str]:
    paths = [str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _start(script: str, *arguments: object) -> subprocess.Popen[bytes]:
    lines = ["import sys", "from dataclasses import replace", "from store_fakes import *", "few_endpoints()", script]
    return subprocess.Popen([sys.executable, "-c", "\n".join(lines), *map(str, arguments)], env=_environment())
