"""What makes raw files be read again, and what does not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cardiobind.cohort import Cohort, Shard
from cardiobind.config import Experiment
from cardiobind.config.parts import Component
from cardiobind.errors import ArtifactError, ConfigError, InputError
from cardiobind.pipeline import Ingest, run_shard, run_until, simulate
from cardiobind.pipeline.prepare import files_beyond, named_files, raw_inventory
from cardiobind.simulate import SimulationSettings
from cardiobind.sources import SOURCES
from ingest_fixtures import cardiosoft_xml, random_counts

Make = Callable[..., Experiment]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    (tmp_path / "raw" / "bulk").mkdir(parents=True)
    (tmp_path / "raw" / "bulk" / "a.xml").write_text("a")
    return tmp_path / "raw"


def inventory(raw: Path, out: Path) -> str:
    return raw_inventory(SOURCES.get("ukb")(root=raw), raw, out)


def test_any_change_of_a_raw_file_is_seen(raw: Path, tmp_path: Path) -> None:
    out, found = tmp_path / "out", []
    found.append(inventory(raw, out))
    (raw / "bulk" / "b.xml").write_text("a")
    found.append(inventory(raw, out))
    os.utime(raw / "bulk" / "a.xml", (1, 1))
    found.append(inventory(raw, out))
    (raw / "bulk" / "b.xml").rename(raw / "bulk" / "c.xml")
    found.append(inventory(raw, out))
    assert len(set(found)) == 4
    assert inventory(raw, out) == found[-1]


def test_a_file_that_an_option_names_elsewhere_is_seen(raw: Path, tmp_path: Path) -> None:
    withdrawals, found = tmp_path / "withdrawn.csv", []
    source = Component(kind="ukb", options={"withdrawals": str(withdrawals), "rate": 100, "title": ""})
    assert named_files(source) == []
    for text in ("", "9000001\n", "9000002\n"):
        withdrawals.write_text(text)
        os.utime(withdrawals, ns=(1, len(found)))
        assert named_files(source) == [withdrawals]
        found.append(raw_inventory(SOURCES.get("ukb")(root=raw), raw, tmp_path / "out", named_files(source)))
    assert len({inventory(raw, tmp_path / "out"), *found}) == 4


def test_recordings_that_a_list_names_elsewhere_are_seen(raw: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    for path in ("ecg/a.hea", "ecg/a.dat", "cine/1/x.dcm", "linked/b.xml"):
        (elsewhere / path).parent.mkdir(parents=True, exist_ok=True)
        (elsewhere / path).write_text("x")
    (raw / "link").symlink_to(elsewhere / "linked")
    (raw / "withdrawn.csv").write_text("P2\n")
    (raw / "recordings.csv").write_text(
        f"subject,ecg,cmr\nP1,{elsewhere}/ecg/a.hea,../elsewhere/cine\nP2,link/b.xml,\nP3,bulk/a.xml,\n"
        f"P4,{tmp_path}/gone/c.xml,\n"
    )
    source = SOURCES.get("folder")(root=raw)
    found = files_beyond(source, raw, tmp_path / "out")
    assert [file.relative_to(elsewhere.resolve()).as_posix() for file in found] == [
        "cine/1/x.dcm", "ecg/a.dat", "ecg/a.hea", "linked/b.xml"
    ]  # fmt: skip
    assert files_beyond(SOURCES.get("ukb")(root=raw), raw, tmp_path / "out") == []


def test_a_changed_recording_elsewhere_is_read_again(make: Make, raw: Path, tmp_path: Path) -> None:
    ecg = tmp_path / "elsewhere" / "a.xml"
    ecg.parent.mkdir()
    ecg.write_bytes(cardiosoft_xml(random_counts(5000)))
    (raw / "recordings.csv").write_text(f"subject,ecg\nP1,{ecg}\n")
    experiment, work = make("source={kind='folder'}", f"data_root={raw}"), tmp_path / "out"
    for seconds in (1, 1, 2):
        os.utime(ecg, (seconds, seconds))
        assert run_shard(Shard(1, 1), experiment, work) == 1
    assert len(list((work / ".work").glob("cohort-*"))) == 2


def test_a_new_withdrawal_makes_a_new_cohort(make: Make, tmp_path: Path) -> None:
    raw = simulate(tmp_path / "raw", SimulationSettings(subjects=40, mi_prevalence=0.4, cmr_fraction=0.0), workers=1)
    (tmp_path / "withdrawn.csv").write_text("")
    options = f"source={{kind='ukb',options={{withdrawals='{tmp_path / 'withdrawn.csv'}'}}}}"
    experiment = make(options, f"data_root={raw}")
    before, _ = run_until("prepare", experiment, tmp_path / "out")
    (tmp_path / "withdrawn.csv").write_text("9000001\n")
    after, _ = run_until("prepare", experiment, tmp_path / "out")
    assert "9000001" in set(Cohort(before).samples["subject"])
    assert "9000001" not in set(Cohort(after).samples["subject"])


def test_outputs_among_the_raw_files_are_passed_over(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = inventory(raw, raw / "runs")
    (raw / "runs").mkdir()
    (raw / "runs" / "report.html").write_text("")
    assert inventory(raw, raw / "runs") == before
    assert inventory(raw, tmp_path) != before
    monkeypatch.chdir(raw)
    assert inventory(Path("."), Path("runs")) == before


def test_a_simulated_source_counts_by_its_settings(tmp_path: Path) -> None:
    made = [raw_inventory(SOURCES.get("simulated")(seed=seed), None, tmp_path) for seed in (0, 0, 1)]
    assert made[0] == made[1] != made[2]


def test_outputs_do_not_go_into_the_folder_of_the_raw_files(make: Make, raw: Path) -> None:
    with pytest.raises(ConfigError, match="mixed with the raw files"):
        run_until("prepare", make("source={kind='ukb'}", f"data_root={raw}"), raw)


def test_a_cohort_prepared_elsewhere_is_used_without_raw_files(make: Make, prepared: Path, tmp_path: Path) -> None:
    (folder,) = prepared.glob("cohort-*")
    ingest = Ingest(cohort=folder)
    cohort, protocol = run_until("prepare", make("data_root=/nowhere"), tmp_path / "out", ingest=ingest)
    assert cohort.path == folder
    assert {p.name.split("-")[0] for p in (tmp_path / "out").glob("[!.]*")} == {"protocol", "division"}
    assert protocol.manifest["parents"][0]["digest"] == cohort.digest


@pytest.mark.parametrize("word", ["ecg.rate_hz=250", "source.options.subjects=81", "cmr={encoder={kind='resnet'}}"])
def test_a_cohort_that_was_prepared_otherwise_is_refused(make: Make, prepared: Path, tmp_path: Path, word: str) -> None:
    (folder,) = prepared.glob("cohort-*")
    with pytest.raises(InputError, match="prepared in another way"):
        run_until("prepare", make(word), tmp_path / "out", ingest=Ingest(cohort=folder))
    with pytest.raises(ArtifactError):
        run_until("prepare", make(), tmp_path / "out", ingest=Ingest(cohort=tmp_path))
