"""Preparing a cohort by the command line: shards, withdrawals, limits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from calling import Call
from cardiobind.cohort import Cohort, tables
from cardiobind.pipeline import simulate
from cardiobind.simulate import SimulationSettings
from cardiobind.tasks import TASKS
from store_fakes import all_bytes

EXPERIMENT = """
name = "small"
title = "Small"

[source]
kind = "ukb"

[protocol]
task = "mi"
fractions = [0.5, 0.25, 0.25]

[ecg]
rate_hz = 100

[ecg.encoder]
kind = "vit"

[finetune]
epochs = 1

[[arms]]
name = "only"

[evaluation]
inputs = ["ecg"]
"""


@pytest.fixture(scope="module", autouse=True)
def one_endpoint() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "TASKS", {"mi": TASKS.get("mi")})
        yield


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated")
    settings = SimulationSettings(subjects=40, mi_prevalence=0.4, cmr_fraction=0.0)
    (folder / "small.toml").write_text(EXPERIMENT)
    return simulate(folder / "raw", settings, workers=1)


def words(raw: Path, out: Path, *more: object) -> list[object]:
    return ["prepare", raw.parent / "small.toml", f"data_root={raw}", "--out", out, "--workers", 0, *more]


def cohorts(out: Path) -> list[Path]:
    return sorted(out.glob("cohort-*"))


def test_shards_by_command_make_the_cohort_of_one_command(call: Call, raw: Path, tmp_path: Path) -> None:
    done = [call(words(raw, tmp_path / "shards", "--shard", f"{i}/2")) for i in (2, 1, 1)]
    assert [d.code for d in done] == [0, 0, 0], done[0].err
    assert "records; after all shards" in done[0].out
    assert not cohorts(tmp_path / "shards")
    assert call(words(raw, tmp_path / "shards")).code == 0
    assert "done before" in call(words(raw, tmp_path / "shards", "--shard", "1/2")).out
    assert call(words(raw, tmp_path / "whole")).code == 0
    (one,), (two,) = cohorts(tmp_path / "shards"), cohorts(tmp_path / "whole")
    assert one.name == two.name
    assert all_bytes(one) == all_bytes(two)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--shard", "3/2"), "there is no such shard"),
        (("--shard", "0/2"), "there is no such shard"),
        (("--shard", "one"), "a shard is not written like that"),
        (("--record-seconds", "0"), "time limit"),
        (("--worker-gib", "0.01"), "memory limit"),
        (("--dask", "local"), "a cluster needs workers"),
    ],
)
def test_a_mistake_is_explained(call: Call, raw: Path, tmp_path: Path, more: Sequence[str], message: str) -> None:
    done = call(words(raw, tmp_path / "out", *more))
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err


def test_who_withdraws_is_gone_from_the_next_cohort_without_reading_the_others_again(
    call: Call, raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, listed = tmp_path / "out", raw / "w12345_20260101.csv"
    try:
        assert call(words(raw, out)).code == 0
        (before,) = cohorts(out)
        subject = sorted(Cohort.open(before).samples["subject"])[3]
        left_by_a_killed_build = out / ".work" / "cohort-0badc0de"
        left_by_a_killed_build.mkdir(parents=True)
        listed.write_text(f"{subject}\n")
        told = call(["withdrawn", before, listed])
        assert told.code == 1
        assert told.out.startswith("1 of the listed participants")
        monkeypatch.setattr("cardiobind.sources.ukb.read_ecg", lambda _: pytest.fail("a file was read again"))
        done = call(words(raw, out))
        assert done.code == 0, done.err
        assert "was made under another list of withdrawals" in done.out
        (after,) = set(cohorts(out)) - {before}
        monkeypatch.undo()
        assert call(["withdrawn", after, listed]).code == 0
        assert not left_by_a_killed_build.exists()
        assert call(words(raw, tmp_path / "scratch")).code == 0
        (scratch,) = cohorts(tmp_path / "scratch")
        assert all_bytes(after) == all_bytes(scratch)
        for name in ("samples", "table", "labels", "index", "quarantine"):
            assert not (pd.read_parquet(after / f"{name}.parquet") == subject).any(axis=None)
    finally:
        listed.unlink(missing_ok=True)


def test_a_list_that_is_none_is_refused(call: Call, raw: Path, tmp_path: Path) -> None:
    assert call(words(raw, tmp_path)).code == 0
    done = call(["withdrawn", cohorts(tmp_path)[0], tmp_path / "absent"])
    assert done.code == 2
    assert "the list cannot be read" in done.err
