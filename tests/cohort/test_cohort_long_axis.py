"""Long-axis cines beside the short axis: into the cohort as planes, or absent with a reason, and none lost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import heart_phantom as phantom
from cardiobind.cohort import Cohort, build_cohort
from cardiobind.data.dataset import scale_cmr
from cardiobind.errors import ConfigError, InputError
from cardiobind.formats import read_cine, read_long_axis
from cardiobind.inference import prepare_subject
from cardiobind.modalities.cmr import ABSENT_VALUE, CmrPreparation, prepare_cmr
from cardiobind.sources import SimulatedSource, UkbSource
from cardiobind.sources.folder import FolderSource
from cine_fixtures import series, ukb_long_axis
from ingest_fixtures import write_zip

pytestmark = pytest.mark.usefixtures("one_endpoint")
VIEWS = ("lax_2ch", "lax_4ch")
CMR = CmrPreparation(size_px=32, layout="slices", long_axis=VIEWS)
WHOLE, DAMAGED, WITHOUT, ALONE = "9000001", "9000002", "9000003", "9000004"


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ukb")
    sax = phantom.stack(slices=4, phases=10, pixels=56, spacing=3.5)
    short = {
        name: data
        for k in range(4)
        for name, data in series(
            phantom.cut(sax.row, sax.column, sax.origins_mm[k : k + 1], 56, 3.5, 10), f"s{k}",
            SeriesDescription=f"CINE_segmented_SAX_b{k + 1}", SeriesInstanceUID=f"1.2.{k + 1}",
        ).items()
    }  # fmt: skip
    planes = {phantom.UKB_NAMES[view]: phantom.lax(view, 10, 52, 3.5) for view in phantom.LINES_DEG}
    for eid in (WHOLE, DAMAGED, WITHOUT):
        write_zip(root / "20209" / f"{eid}_20209_2_0.zip", short)
    for eid in (WHOLE, ALONE):
        write_zip(root / "20208" / f"{eid}_20208_2_0.zip", ukb_long_axis(planes))
    (root / "20208" / f"{DAMAGED}_20208_2_0.zip").write_bytes(b"PK\x03\x04 and no more")
    return root


def build(raw: Path, out: Path, cmr: CmrPreparation) -> Cohort:
    config = {"ecg": None, "cmr": None}
    build_cohort(
        UkbSource(raw), out / "cohort", work=out / "work", ecg=None, cmr=cmr, workers=0, config=config, fingerprint="x"
    )
    return Cohort.open(out / "cohort")


@pytest.fixture(scope="module")
def cohort(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return build(raw, tmp_path_factory.mktemp("lax"), CMR)


def stored(cohort: Cohort, eid: str) -> np.ndarray:
    row = int(np.flatnonzero(cohort.samples["subject"] == eid)[0])
    return cohort.read("cmr", [row])[0].reshape(5, 3, 32, 32)


def test_counts_are_conserved_and_issues_true(raw: Path, cohort: Cohort, tmp_path: Path) -> None:
    assert cohort.counts["cmr"] == {"read": 3, "kept": 3, "quarantined": 0}
    reasons = {found["reason"]: found["count"] for found in cohort.summary["table_issues"]}
    assert "long_axis_not_used" not in reasons
    assert reasons["long_axis_alone"] == 1
    plain = build(raw, tmp_path, CmrPreparation(size_px=32))
    assert {f["reason"]: f["count"] for f in plain.summary["table_issues"]}["long_axis_not_used"] == 2


def test_what_lacks_is_counted(cohort: Cohort) -> None:
    codes = cohort.summary["quality"]["cmr"]["codes"]
    assert {code: n for code, n in codes.items() if "lax" in code} == {
        "no_lax_2ch": 1, "no_lax_4ch": 1, "lax_2ch_unusable": 1, "lax_4ch_unusable": 1,
    }  # fmt: skip


def test_planes_are_those_of_the_files(raw: Path, cohort: Cohort) -> None:
    record = read_cine(raw / "20209" / f"{WHOLE}_20209_2_0.zip")
    views, faults = read_long_axis(raw / "20208" / f"{WHOLE}_20208_2_0.zip", VIEWS)
    assert set(views) == set(VIEWS)
    assert not faults
    whole = stored(cohort, WHOLE)
    assert whole.any(axis=(2, 3)).all()
    short = prepare_cmr(record, CmrPreparation(size_px=32, layout="slices")).frames
    for eid in (WHOLE, DAMAGED, WITHOUT):
        np.testing.assert_array_equal(stored(cohort, eid)[:3].reshape(9, 32, 32), short)
    assert not stored(cohort, DAMAGED)[3:].any()
    assert not stored(cohort, WITHOUT)[3:].any()
    assert cohort.spec("cmr").names[9:] == tuple(
        f"{view}.{moment}" for view in VIEWS for moment in ("end_diastole", "mid_beat", "end_systole")
    )


def test_the_index_says_what_was_chosen(cohort: Cohort) -> None:
    import pandas as pd

    index = pd.read_parquet(cohort.artifact.file("index.parquet"))
    details = {row.subject: json.loads(row.details) for row in index.itertuples()}
    assert details[DAMAGED]["long_axis_faults"] == {"lax_2ch": "bad_zip", "lax_4ch": "bad_zip"}
    assert "long_axis_faults" not in details[WHOLE]
    assert details[WHOLE]["base_is"] == "first"
    assert len(details[WHOLE]["slices"]) == len(details[WHOLE]["moments"]) == 3


def test_a_source_without_long_axis_views_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no long-axis views"):
        build_cohort(
            SimulatedSource(subjects=10), tmp_path / "c", work=tmp_path / "w", ecg=None, cmr=CMR, workers=0,
            config={}, fingerprint="x",
        )  # fmt: skip
    assert not (tmp_path / "w").exists()


def test_a_hospitals_list_names_the_place_of_long_axis_views(raw: Path, tmp_path: Path) -> None:
    short, long = (raw / field / f"{WHOLE}_{field}_2_0.zip" for field in ("20209", "20208"))
    (tmp_path / "recordings.csv").write_text(f"subject,cmr,cmr_long_axis\nP1,{short},{long}\nP2,{short},\n")
    source = FolderSource(tmp_path)
    first, second = source.records()
    assert set(source.read_long_axis(first, VIEWS)[0]) == set(VIEWS)
    assert source.read_long_axis(second, VIEWS) == ({}, {})
    assert long in source.places()


def test_a_single_file_that_states_no_view_holds_none(tmp_path: Path) -> None:
    for name in ("a.nii.gz", "b.dcm", "c.zip::x.nii.gz"):
        (tmp_path / name).write_bytes(b"x")
        assert read_long_axis(tmp_path / name, VIEWS) == ({}, {})


def test_a_place_that_is_not_there_is_a_fault_and_no_absent_view(tmp_path: Path) -> None:
    for name in ("folder", "a_2ch.nii.gz", "b.zip"):
        assert read_long_axis(tmp_path / name, VIEWS) == ({}, dict.fromkeys(VIEWS, "missing_file"))


def test_prediction_prepares_what_the_cohort_holds(raw: Path, cohort: Cohort) -> None:
    contract = SimpleNamespace(cmr=CMR, inputs={"cmr": None})
    short, long = (raw / field / f"{WHOLE}_{field}_2_0.zip" for field in ("20209", "20208"))
    found = prepare_subject(contract, cmr=short, cmr_long_axis=long)
    signal, codes = found.signals["cmr"], found.quality["cmr"]
    np.testing.assert_array_equal(signal.numpy()[0].reshape(5, 3, 32, 32), scale_cmr(stored(cohort, WHOLE)))
    assert not {code for code in codes if "lax" in code}
    found = prepare_subject(contract, cmr=short)
    signal, codes = found.signals["cmr"], found.quality["cmr"]
    assert {"no_lax_2ch", "no_lax_4ch"} <= set(codes)
    assert bool((signal[0, 9:] == ABSENT_VALUE).all())


@pytest.fixture
def listed(raw: Path, tmp_path: Path) -> Callable[[int], FolderSource]:
    """A hospital's list of subjects whose long axes lie on a disk that is not mounted."""

    def make(subjects: int) -> FolderSource:
        short, disk = raw / "20209" / f"{WHOLE}_20209_2_0.zip", tmp_path / "disk"
        rows = [f"P{i:02d},{short},{disk / f'{i}.zip'}" for i in range(subjects)]
        (tmp_path / "recordings.csv").write_text("\n".join(["subject,cmr,cmr_long_axis", *rows]) + "\n")
        return FolderSource(tmp_path)

    return make


def ingested(source: FolderSource, out: Path, *, name: str = "cohort", accept_missing: bool = False) -> Cohort:
    build_cohort(
        source, out / name, work=out / "work", ecg=None, cmr=CMR, workers=0, config={}, fingerprint=name,
        accept_missing=accept_missing,
    )  # fmt: skip
    return Cohort.open(out / name)


def test_a_disk_of_long_axes_that_is_not_mounted_stops_the_run(
    listed: Callable[[int], FolderSource], tmp_path: Path
) -> None:
    source = listed(21)
    with pytest.raises(InputError, match="source has probably gone"):
        ingested(source, tmp_path)


def test_long_axes_that_were_not_there_are_looked_for_again(
    raw: Path, listed: Callable[[int], FolderSource], tmp_path: Path
) -> None:
    source = listed(2)
    first = ingested(source, tmp_path, accept_missing=True)
    assert first.summary["quality"]["cmr"]["codes"]["lax_2ch_unusable"] == 2
    (tmp_path / "disk").mkdir()
    shutil.copy(raw / "20208" / f"{WHOLE}_20208_2_0.zip", tmp_path / "disk" / "1.zip")
    again = ingested(source, tmp_path, name="again", accept_missing=True)
    assert again.summary["quality"]["cmr"]["codes"]["lax_2ch_unusable"] == 1
