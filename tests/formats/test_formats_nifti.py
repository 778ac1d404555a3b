"""NIfTI cines: axes, units, scales, the layouts of open data sets, and every kind of lie in a header."""

from __future__ import annotations

import gzip
import itertools
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cardiobind.errors import RecordError
from cardiobind.formats import read_cine, reasons
from cardiobind.modalities.records import CineRecord
from cine_fixtures import SECRET, Volume, acdc_patient, enhanced, gz, nifti, refusal, series, volume
from damage import EDITS, damage, fuzz, survives
from ingest_fixtures import write_zip


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def same(a: CineRecord, b: CineRecord, places_mm: float = 1e-3) -> None:
    np.testing.assert_array_equal(a.frames, b.frames)
    np.testing.assert_allclose(a.pixel_spacing_mm, b.pixel_spacing_mm, rtol=1e-5)
    np.testing.assert_allclose(a.slice_positions_mm, b.slice_positions_mm, atol=places_mm)
    np.testing.assert_allclose(a.origins_mm, b.origins_mm, atol=places_mm)
    np.testing.assert_allclose(a.orientation, b.orientation, atol=1e-5)
    np.testing.assert_allclose(a.trigger_times_ms, b.trigger_times_ms, atol=1e-3)
    assert (a.base_to_apex, a.view) == (b.base_to_apex, b.view)


@pytest.mark.parametrize("flips", list(itertools.product([False, True], repeat=3)))
def test_one_volume_in_three_formats_gives_one_record(flips: tuple[bool, bool, bool], tmp_path: Path) -> None:
    truth = volume()
    classic = read_cine(write_zip(tmp_path / "a.zip", series(truth)))
    same(read_cine(put(tmp_path / "e.dcm", enhanced(truth))), classic)
    same(read_cine(put(tmp_path / "9000001.nii.gz", gz(nifti(truth, flips=flips)))), classic)
    np.testing.assert_array_equal(classic.frames, truth.pixels)


axes = st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: np.linalg.norm(v) > 0.2)


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(axes, axes, st.tuples(*[st.booleans()] * 3), st.booleans())
def test_any_rotation_gives_one_record(first, second, flips, apex_first: bool) -> None:
    row = np.array(first) / np.linalg.norm(first)
    column = np.array(second) - row * (row @ second)
    if np.linalg.norm(column) < 0.1:
        return
    column /= np.linalg.norm(column)
    row, column = row * np.sign(row @ (1, 0.5, 0) or 1), column * np.sign(column @ (0, 0.5, -1) or 1)
    if min(abs(row @ (1, 0.5, 0)), abs(column @ (0, 0.5, -1))) < 1e-3:
        return
    normal = np.cross(row, column) * (1 if apex_first else -1)
    small = volume(3, 2, 4, 5)
    truth = Volume(small.pixels, row, column, 9.0 * np.arange(3)[:, None] * normal, trigger_ms=np.array([0.0, 400.0]))
    with tempfile.TemporaryDirectory() as folder:
        classic = read_cine(write_zip(Path(folder, "a.zip"), series(truth)))
        image = read_cine(put(Path(folder, "x.nii"), nifti(truth, flips=flips, step=400.0, unit="msec")))
        same(image, classic)
    place = classic.origins_mm @ np.cross(classic.orientation[:3], classic.orientation[3:])
    assert (np.diff(place) > 0).all() or (np.diff(place) < 0).all()
    if classic.base_to_apex:
        assert ((classic.origins_mm[-1] - classic.origins_mm[0]) @ (1, -1, -1)) > 0


@pytest.mark.parametrize(
    ("step", "unit", "ms"),
    [
        (0.04, "sec", 40.0), (40.0, "msec", 40.0), (40_000.0, "usec", 40.0), (0.04, "unknown", 40.0),
        (40.0, "unknown", 40.0), (1.0, "unknown", np.nan), (np.nan, "sec", np.nan),
        (40.0, "sec", np.nan), (0.0, "sec", np.nan), (1.0, "msec", np.nan),
    ],
)  # fmt: skip
def test_phase_times_are_carried_where_they_make_a_heart_beat(step: float, unit: str, ms: float, tmp_path) -> None:
    record = read_cine(put(tmp_path / "a.nii", nifti(volume(phases=20), step=step, unit=unit)))
    np.testing.assert_allclose(record.trigger_times_ms, np.tile(np.arange(20) * ms, (4, 1)), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["<u2", ">i2", "<f4", "<f8", "<i4"])
@pytest.mark.parametrize("version", [1, 2])
def test_stored_types_and_scales(dtype: str, version: int, tmp_path: Path) -> None:
    truth = volume()
    record = read_cine(put(tmp_path / "a.nii", nifti(truth, dtype=dtype, version=version, slope=0.5)))
    np.testing.assert_array_equal(record.frames, truth.pixels * np.float32(0.5))
    assert record.frames.dtype == np.float32
    assert record.frames.flags.c_contiguous


def test_three_dimensions_are_one_phase(tmp_path: Path) -> None:
    truth = volume()
    record = read_cine(put(tmp_path / "a.nii.gz", gz(nifti(truth, phase=2))))
    np.testing.assert_array_equal(record.frames[:, 0], truth.pixels[:, 2])
    assert np.isnan(record.trigger_times_ms[:, 1:]).all()


def test_a_file_without_orientation_keeps_its_order(tmp_path: Path) -> None:
    truth = volume()
    data = bytearray(nifti(truth))
    data[252:256] = bytes(4)  # qform_code and sform_code
    record = read_cine(put(tmp_path / "a.nii", bytes(data)))
    np.testing.assert_array_equal(record.frames, truth.pixels)
    np.testing.assert_allclose(record.slice_positions_mm, [0, 10, 20, 30], rtol=1e-6)
    assert record.base_to_apex is None
    assert np.isnan(record.orientation).all()


def test_acdc_layout_with_its_known_phases(tmp_path: Path) -> None:
    truth = volume()
    folder = acdc_patient(tmp_path, 1, truth, ed=1, es=4)
    for place in (folder, folder / "patient001_4d.nii.gz"):
        record = read_cine(place)
        np.testing.assert_array_equal(record.frames, truth.pixels)
        assert (record.meta["ed_phase"], record.meta["es_phase"]) == (0, 3)
    single = read_cine(folder / "patient001_frame04.nii.gz")
    np.testing.assert_array_equal(single.frames[:, 0], truth.pixels[:, 3])
    assert refusal(folder / "patient001_frame04_gt.nii.gz").reason == reasons.NO_FRAMES
    assert refusal(folder, "lax_4ch").reason == reasons.NO_FRAMES


def test_mnms_layouts(tmp_path: Path) -> None:
    truth = volume()
    table = b"External code,VendorName,Vendor,Centre,ED,ES,Pathology\nA0S9V9,Siemens,A,1,0,3,DCM\n"
    put(tmp_path / "211230_M&Ms_Dataset_information_diagnosis_opendataset.csv", table)
    put(tmp_path / "Training" / "Labeled" / "A0S9V9" / "A0S9V9_sa_gt.nii.gz", gz(nifti(truth)))
    place = put(tmp_path / "Training" / "Labeled" / "A0S9V9" / "A0S9V9_sa.nii.gz", gz(nifti(truth))).parent
    record = read_cine(place)
    np.testing.assert_array_equal(record.frames, truth.pixels)
    assert (record.meta["ed_phase"], record.meta["es_phase"]) == (0, 3)
    second = tmp_path / "second" / "001"
    for name in ("SA_ED", "SA_ES", "LA_CINE", "SA_CINE", "SA_ED_gt"):
        of = volume(seed=len(name) * 7)
        put(second / f"001_{name}.nii.gz", gz(nifti(of, phase=0 if "E" in name[3:5] else None)))
    assert read_cine(second).frames.shape[1] == 6
    assert read_cine(second, "lax_4ch").view == "lax_4ch"
    (second / "001_SA_CINE.nii.gz").unlink()
    assert read_cine(second).frames.shape[1] == 1


def test_files_of_ukbb_cardiac(tmp_path: Path) -> None:
    truth = volume()
    for name in ("sa", "la_2ch", "la_4ch", "seg_sa_ED"):
        put(tmp_path / f"{name}.nii.gz", gz(nifti(volume(seed=len(name)))))
    put(tmp_path / "sa.nii.gz", gz(nifti(truth)))
    np.testing.assert_array_equal(read_cine(tmp_path).frames, truth.pixels)
    assert read_cine(tmp_path, "lax_2ch").view == "lax_2ch"
    assert refusal(tmp_path, "lax_3ch").reason == reasons.NO_FRAMES
    assert refusal(tmp_path / "la_2ch.nii.gz").reason == reasons.NO_FRAMES


def test_a_folder_of_several_unnamed_files_is_not_guessed(tmp_path: Path) -> None:
    put(tmp_path / "first.nii.gz", gz(nifti(volume())))
    assert read_cine(tmp_path).frames.shape[0] == 4
    put(tmp_path / "second.nii.gz", gz(nifti(volume())))
    assert refusal(tmp_path).reason == reasons.UNSUPPORTED


def test_a_member_of_an_archive(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {"9000001/sa.nii.gz": gz(nifti(volume()))})
    np.testing.assert_array_equal(read_cine(f"{archive}::9000001/sa.nii.gz").frames, volume().pixels)


def with_dims(data: bytes, *dims: int) -> bytes:
    stated = np.array([len(dims), *dims, *[1] * (7 - len(dims))], "<i2").tobytes()
    return data[:40] + stated + data[56:]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: b"", reasons.EMPTY),
        (lambda d: d[:200], reasons.BAD_NIFTI),
        (lambda d: d[:-1], reasons.TRUNCATED),
        (lambda d: with_dims(d, 14, 12, 4, 7), reasons.TRUNCATED),
        (lambda d: with_dims(d, 32767, 32767, 32767, 32767), reasons.TOO_LARGE),
        (lambda d: with_dims(d, 14, 12, 4, 6, 3), reasons.BAD_GEOMETRY),
        (lambda d: with_dims(d, 14, 0, 4, 6), reasons.BAD_GEOMETRY),
        (lambda d: with_dims(d, 14, -12, 4, 6), reasons.BAD_GEOMETRY),
        (lambda d: d[:70] + (128).to_bytes(2, "little") + d[72:], reasons.UNSUPPORTED),
        (lambda d: d[:70] + (999).to_bytes(2, "little") + d[72:], reasons.BAD_NIFTI),
        (lambda d: d[:344] + b"ni1\0" + d[348:], reasons.UNSUPPORTED),
        (lambda d: d[:108] + np.float32(1e30).tobytes() + d[112:], reasons.TOO_LARGE),
        (lambda d: d[:108] + np.float32(3e8).tobytes() + d[112:], reasons.TOO_LARGE),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_each_defect_has_its_reason(tmp_path: Path, change, reason: str, packed: bool) -> None:
    data = change(nifti(volume()))
    path = put(tmp_path / f"9000001.nii{'.gz' if packed else ''}", gz(data) if packed and data else data)
    assert refusal(path).reason == reason


def test_not_a_number_and_infinity_are_refused(tmp_path: Path) -> None:
    data = bytearray(nifti(volume(), dtype="<f4"))
    data[-4:] = np.float32(np.nan).tobytes()
    assert refusal(put(tmp_path / "a.nii", bytes(data))).reason == reasons.BAD_NIFTI
    assert refusal(put(tmp_path / "b.nii", nifti(volume(), dtype="<f8", slope=1e38))).reason == reasons.BAD_NIFTI


def sound_or_refused(path: Path) -> None:
    found = survives(lambda: read_cine(path))
    assert isinstance(found, RecordError) or SECRET not in repr(found.meta)


@fuzz
@given(EDITS, st.booleans(), st.booleans())
def test_damaged_files_give_a_record_or_a_reason(edits, packed: bool, header_only: bool) -> None:
    data = damage(nifti(volume(2, 3, 5, 6)), edits, last=352 if header_only else None)
    with tempfile.TemporaryDirectory() as folder:
        path = put(Path(folder, "9000001.nii" + (".gz" if packed else "")), gz(data) if packed else data)
        sound_or_refused(path)


@fuzz
@given(st.floats(0, 1), st.binary(min_size=1, max_size=8))
def test_damaged_gzip_streams(place: float, payload: bytes) -> None:
    data = gzip.compress(nifti(volume(2, 3, 5, 6)), 6, mtime=0)
    at = int(place * len(data))
    with tempfile.TemporaryDirectory() as folder:
        path = put(Path(folder, "9000001.nii.gz"), data[:at] + payload + data[at + len(payload) :])
        sound_or_refused(path)
