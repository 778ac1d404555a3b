"""Shards, clusters and kills: whoever prepares the records, however often, the cohort is the same byte for byte."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cardiobind import artifact
from cardiobind.cohort import Cohort, Shard, prepare_shard
from cardiobind.cohort.ingest.chunks import plan_chunks
from cardiobind.cohort.ingest.locks import beside_others, exclusive
from cardiobind.errors import ArtifactError, ConfigError
from store_fakes import CMR, ECG, FakeSource, all_bytes, fake_cohort

pytestmark = pytest.mark.usefixtures("one_endpoint")

TROUBLE = {"SIM-00000": "refuse", "SIM-00001": "fail", "SIM-00004": "flat", "SIM-00009": "flat", "SIM-00013": "absent"}
SOURCE = FakeSource(subjects=40, cmr=True, trouble=TROUBLE)
OPTIONS: dict[str, Any] = {"ecg": ECG, "cmr": CMR, "chunk": 4, "fingerprint": "f"}


@pytest.fixture(scope="module")
def whole(one_endpoint: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cohort built in one go, in one process."""
    return fake_cohort(tmp_path_factory.mktemp("whole"), SOURCE, name="whole").artifact.path


def run_shard(folder: Path, text: str, source: FakeSource = SOURCE, **options: Any) -> int:
    return prepare_shard(
        source, Shard.parse(text), **{"work": folder / "cohort-work", "workers": 0, **OPTIONS, **options}
    )


def merged(folder: Path, source: FakeSource = SOURCE) -> Cohort:
    return fake_cohort(folder, source, chunk=4)


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2), (2, 2, 3, 1, 2), (3, 1), ()], ids=str)
def test_shards_in_any_order_repeated_or_missing_make_the_same_cohort(
    tmp_path: Path, whole: Path, order: tuple[int, ...]
) -> None:
    records = {number: run_shard(tmp_path, f"{number}/3") for number in order}
    log = tmp_path / "log"
    cohort = merged(tmp_path, FakeSource(subjects=40, cmr=True, trouble=TROUBLE, read_log=str(log)))
    assert all_bytes(cohort.artifact.path) == all_bytes(whole)
    read = sum(count["read"] for modality, count in cohort.counts.items() if modality != "tabular")
    again = len(log.read_text().splitlines()) if log.exists() else 0
    assert again == read - sum(records.values()) + _found_missing_before(records)
    assert [f.name for f in (tmp_path / "cohort-work").iterdir()] == [".lock"]


def _found_missing_before(records: dict[int, int]) -> int:
    """A missing file is looked for again, whichever shard missed it."""
    chunks = plan_chunks(SOURCE.records(), 4, {"ecg": ECG, "cmr": CMR}, "f")
    place = next(i for i, c in enumerate(chunks) if any(r == ("SIM-00013", "ecg") for r in _names(c)))
    return int(place % 3 + 1 in records)


def _names(chunk: Any) -> list[tuple[str, str]]:
    return [(ref.subject, ref.modality) for ref in chunk.refs]


@pytest.mark.parametrize("of", [1, 2, 5, 100])
def test_each_chunk_has_one_owner(of: int) -> None:
    chunks = plan_chunks(SOURCE.records(), 4, {"ecg": ECG, "cmr": CMR}, "f")
    owned = [chunk.name for number in range(1, of + 1) for chunk in Shard(number, of).own(chunks)]
    assert sorted(owned) == sorted(chunk.name for chunk in chunks)


@pytest.mark.parametrize("text", ["0/3", "4/3", "1/0", "-1/3", "1", "1/", "/3", "a/b", "1/3/5", "1.0/3", "²/3"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="shard"):
        Shard.parse(text)


def test_shards_work_side_by_side_and_a_build_waits_for_them(tmp_path: Path) -> None:
    work = tmp_path / "cohort-work"
    with beside_others(work, Shard(1, 3), []):
        with pytest.raises(ArtifactError, match="shard 1/3 is at work already"):
            run_shard(tmp_path, "1/3")
        assert run_shard(tmp_path, "2/3") > 0
        with pytest.raises(ArtifactError, match="another build"):
            merged(tmp_path)
    with exclusive(work), pytest.raises(ArtifactError, match="another build"):
        run_shard(tmp_path, "3/3")
    run_shard(tmp_path, "1/3")


def test_a_shard_clears_its_own_leftovers_and_nobody_elses(tmp_path: Path) -> None:
    chunks = plan_chunks(SOURCE.records(), 4, {"ecg": ECG, "cmr": CMR}, "f")
    work = tmp_path / "cohort-work"
    mine, theirs = (work / f".{chunk.name}.partial-0" for chunk in chunks[:2])
    mine.mkdir(parents=True)
    theirs.mkdir()
    run_shard(tmp_path, "1/2")
    assert not mine.exists()
    assert theirs.exists()
    merged(tmp_path)
    assert not theirs.exists()


def test_a_shard_with_nothing_to_do_does_nothing(tmp_path: Path) -> None:
    assert run_shard(tmp_path, "100/100") == 0


def test_dask_makes_the_same_cohort(tmp_path: Path, whole: Path) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
    ) as cluster:
        cohort = fake_cohort(tmp_path, SOURCE, chunk=4, dask=cluster.scheduler_address)
    assert all_bytes(cohort.artifact.path) == all_bytes(whole)


@pytest.mark.slow
def test_a_local_dask_cluster_survives_a_crashing_reader(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    source = FakeSource(trouble={"SIM-00001": "crash", "SIM-00002": "fail"})
    cohort = fake_cohort(tmp_path, source, chunk=4, dask="local", workers=2)
    plain = fake_cohort(tmp_path, source, name="plain", chunk=4, workers=2)
    assert all_bytes(cohort.artifact.path) == all_bytes(plain.artifact.path)
    assert cohort.counts["ecg"] == {"read": 9, "kept": 7, "quarantined": 2}


def test_a_scheduler_that_does_not_answer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("cardiobind.cohort.ingest.executors.CONNECT_SECONDS", 0.5)
    with pytest.raises(ConfigError, match="no dask scheduler answers"):
        fake_cohort(tmp_path, FakeSource(), dask="tcp://127.0.0.1:9")


def test_without_dask_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match=r"cardiobind\[cluster\]"):
        fake_cohort(tmp_path, FakeSource(), dask="local", workers=1)
    with pytest.raises(ConfigError, match="a cluster needs workers"):
        fake_cohort(tmp_path, FakeSource(), dask="local", workers=0)


BUILD = "fake_cohort(Path(sys.argv[1]), {source!r}, workers=2, chunk=4)"
SHARD = (
    "from cardiobind.cohort import Shard, prepare_shard\n"
    "prepare_shard({source!r}, Shard(1, 2), work=Path(sys.argv[1]) / 'cohort-work', ecg=ECG, cmr=CMR, workers=2,"
    " chunk=4, fingerprint='f')"
)


def kill_group_after(script: str, folder: Path, ripe: Callable[[], bool], seconds: float) -> bool:
    """Start a script, kill its process group so long after it is ripe; return whether it was still running."""
    lines = ["import sys", "from store_fakes import *", "few_endpoints()", script]
    paths = [str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
    process = subprocess.Popen(
        [sys.executable, "-c", "\n".join(lines), str(folder)], start_new_session=True, stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )  # fmt: skip
    while process.poll() is None and not ripe():
        time.sleep(0.005)
    time.sleep(seconds)
    running = process.poll() is None
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return running


def kill_and_go_on(tmp_path: Path, whole: Path, scripts: list[tuple[str, float]], slow_s: float) -> int:
    source = FakeSource(subjects=40, cmr=True, trouble=TROUBLE, slow_s=slow_s)
    work, kills = tmp_path / "cohort-work", 0
    for script, seconds in scripts:
        before = len(list(work.glob("[ce]*-*")))
        kills += kill_group_after(
            script.format(source=source),
            tmp_path,
            lambda before=before: len(list(work.glob("[ce]*-*"))) > before,
            seconds,
        )
        for left in [*work.glob("ecg-*"), *work.glob("cmr-*"), *tmp_path.glob("cohort")]:
            artifact.open_artifact(left)
    if not (tmp_path / "cohort").exists():
        merged(tmp_path)
    assert all_bytes(tmp_path / "cohort") == all_bytes(whole)
    return kills


def test_a_killed_shard_goes_on_to_the_same_cohort(tmp_path: Path, whole: Path) -> None:
    assert kill_and_go_on(tmp_path, whole, [(SHARD, 0.03)], 0.04) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_killed_at_any_instant_again_and_again_it_ends_with_the_same_cohort(
    tmp_path: Path, whole: Path, seed: int
) -> None:
    draw = random.Random(seed)  # noqa: S311
    scripts = [(draw.choice([SHARD, BUILD]), draw.uniform(0, 0.5)) for _ in range(6)]
    assert kill_and_go_on(tmp_path, whole, scripts, 0.01) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_killed_while_the_cohort_is_committed_it_is_whole_or_not_there(tmp_path: Path, whole: Path, seed: int) -> None:
    for number in (1, 2):
        run_shard(tmp_path, f"{number}/2")

    def committing() -> bool:
        return bool(list(tmp_path.glob(".cohort.partial-*")))

    seconds = random.Random(seed).uniform(0, 0.1)  # noqa: S311
    kill_group_after(BUILD.format(source=SOURCE), tmp_path, committing, seconds)
    if (tmp_path / "cohort").exists():
        artifact.open_artifact(tmp_path / "cohort", "cohort")
    else:
        merged(tmp_path)
    assert all_bytes(tmp_path / "cohort") == all_bytes(whole)
