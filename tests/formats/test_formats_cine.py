"""Cine DICOM: UK Biobank's zips with their quirks, plain folders, and a reason for whatever is wrong."""

from __future__ import annotations

import csv
import time
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest

from cardiobind.errors import RecordError
from cardiobind.formats import read_cine, reasons
from cardiobind.formats.cine.dicom_frames import manifest_descriptions
from ingest_fixtures import dicom_bytes, stack, ukb_cine, write_zip

NAME = "9000001_20209_2_0.zip"


def reason_of(location: object) -> str:
    with pytest.raises(RecordError) as caught:
        read_cine(str(location))
    assert "9000001" not in str(caught.value)
    assert "SECRETNAME" not in str(caught.value)
    return caught.value.reason


def test_slices_are_sorted_by_number_and_phases_by_trigger_time(tmp_path: Path) -> None:
    images = stack(slices=12, phases=4)
    record = read_cine(write_zip(tmp_path / NAME, ukb_cine(images)))
    np.testing.assert_array_equal(record.frames, images.astype(np.float32))
    assert record.frames.dtype == np.float32
    assert record.pixel_spacing_mm == (1.5, 1.25)
    np.testing.assert_allclose(record.slice_positions_mm, np.arange(12) * 10.0)
    np.testing.assert_allclose(record.trigger_times_ms, np.tile(np.arange(4) * 20.0, (12, 1)))
    assert record.meta["repaired_frames"] == []
    assert "SECRETNAME" not in repr(record.meta)


def test_number_order_stays_where_positions_descend(tmp_path: Path) -> None:
    images = stack()
    record = read_cine(write_zip(tmp_path / NAME, ukb_cine(images, step_mm=-10.0)))
    np.testing.assert_array_equal(record.frames, images)
    assert (np.diff(record.slice_positions_mm) > 0).all()


def test_a_folder_gives_what_its_zip_gives(tmp_path: Path) -> None:
    members = ukb_cine(stack())
    archive = write_zip(tmp_path / NAME, members)
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, data in members.items():
        (folder / name).write_bytes(data)
    (folder / "notes.txt").write_text("no image")
    np.testing.assert_array_equal(read_cine(folder).frames, read_cine(archive).frames)


@pytest.mark.parametrize(("missing", "copied"), [((1, 4), 3), ((1, 0), 9), ((1, 9), 8)])
def test_a_missing_frame_is_copied_from_the_phase_before_and_recorded(
    tmp_path: Path, missing: tuple[int, int], copied: int
) -> None:
    images = stack()
    record = read_cine(write_zip(tmp_path / NAME, ukb_cine(images, skip=(missing,))))
    assert record.meta["repaired_frames"] == [missing]
    np.testing.assert_array_equal(record.frames[missing], images[1, copied])
    assert np.isnan(record.trigger_times_ms[missing])
    kept = np.ones((3, 10), bool)
    kept[missing] = False
    np.testing.assert_array_equal(record.frames[kept], images[kept])


def test_a_slice_that_lacks_many_phases_is_left_out_and_counted(tmp_path: Path) -> None:
    images = stack()
    skip = tuple((2, phase) for phase in range(5))
    record = read_cine(write_zip(tmp_path / NAME, ukb_cine(images, skip=skip)))
    np.testing.assert_array_equal(record.frames, images[:2])
    assert record.meta["dropped_slices"] == 1


def test_of_a_repeated_series_the_last_is_taken(tmp_path: Path) -> None:
    images, members = stack(), ukb_cine(stack())
    for phase in range(10):
        members[f"again.{phase}.dcm"] = dicom_bytes(
            images[1, phase] + 7, description="CINE_segmented_SAX_b2", instance=phase + 1, trigger_ms=20.0 * phase,
            z_mm=10.0, series="1.2.10", series_number=2,
        )  # fmt: skip
    record = read_cine(write_zip(tmp_path / NAME, members))
    np.testing.assert_array_equal(record.frames[1], images[1] + 7)
    np.testing.assert_array_equal(record.frames[[0, 2]], images[[0, 2]])


def test_other_series_are_left_out(tmp_path: Path) -> None:
    images, members = stack(), ukb_cine(stack())
    for k, description in enumerate(("CINE_segmented_LAX_4Ch", "CINE_segmented_SAX_InlineVF", "ShMOLLI_192i_SAX_b2s")):
        for phase in range(10):
            members[f"o{k}.{phase}.dcm"] = dicom_bytes(images[0, phase], description=description, trigger_ms=phase)
    np.testing.assert_array_equal(read_cine(write_zip(tmp_path / NAME, members)).frames, images)


def test_a_mixed_series_is_divided_by_position(tmp_path: Path) -> None:
    images = stack()
    members = {
        f"{k}.{p}.dcm": dicom_bytes(
            images[k, p], description="CINE_segmented_SAX", instance=10 * k + p + 1, trigger_ms=None, z_mm=-8.0 * k
        )
        for k in range(3)
        for p in range(10)
    }
    record = read_cine(write_zip(tmp_path / NAME, members))
    np.testing.assert_array_equal(record.frames, images[::-1])
    np.testing.assert_allclose(record.slice_positions_mm, [-16, -8, 0])
    assert np.isnan(record.trigger_times_ms).all()


@pytest.mark.parametrize("manifest", ["manifest.csv", "manifest.cvs"])
def test_a_manifest_names_the_series_where_the_files_do_not(tmp_path: Path, manifest: str) -> None:
    images = stack()
    rows, members = ["filename,patientid,date,seriesid,series discription"], {}
    for k in range(3):
        for p in range(10):
            name = f"{k}.{p}.dcm"
            members[name] = dicom_bytes(images[k, p], instance=p + 1, trigger_ms=20.0 * p, z_mm=10.0 * k)
            kind = "CINE_segmented_LAX_2Ch" if k == 2 else f"CINE_segmented_SAX_b{k + 1}"
            rows.append(f"{name},9000001,Aug 30, 2015,1.2.{k},{kind}")
    members[manifest] = "\n".join(rows).encode()
    np.testing.assert_array_equal(read_cine(write_zip(tmp_path / NAME, members)).frames, images[:2])


def test_manifests_with_other_columns_are_understood() -> None:
    text = 'filename,date,modality\n"a.dcm",Sep 1, 2014,CINE_segmented_SAX\n'
    assert manifest_descriptions(text) == {"a.dcm": "CINE_segmented_SAX"}
    assert manifest_descriptions("") == {}


def test_in_a_plain_folder_the_largest_parallel_stack_wins(tmp_path: Path) -> None:
    images = stack()
    for k in range(3):
        for p in range(10):
            (tmp_path / f"IM{k:03d}{p:03d}").write_bytes(
                dicom_bytes(images[k, p], instance=k * 10 + p + 1, trigger_ms=30.0 * p, z_mm=8.0 * k)
            )
    oblique = pydicom.dcmread(tmp_path / "IM000000")
    oblique.ImageOrientationPatient = [0, 1, 0, 0, 0, 1]
    for p in range(10):
        oblique.TriggerTime, oblique.InstanceNumber = 30.0 * p, 100 + p
        oblique.save_as(tmp_path / f"other{p}.dcm")
    record = read_cine(tmp_path)
    np.testing.assert_array_equal(record.frames, images)


def plain(images: np.ndarray, **options: object) -> dict[str, bytes]:
    """Return images of no series description, one after another."""
    slices, phases = images.shape[:2]
    return {
        f"{k}.{p}.dcm": dicom_bytes(images[k, p], **{"trigger_ms": 30.0 * p, "z_mm": 8.0 * k, "instance": 1} | options)
        for k in range(slices)
        for p in range(phases)
    }


def test_a_missing_frame_is_placed_by_time_where_instance_numbers_do_not_help(tmp_path: Path) -> None:
    images, members = stack(), plain(stack())
    del members["1.4.dcm"]
    record = read_cine(write_zip(tmp_path / NAME, members))
    assert record.meta["repaired_frames"] == [(1, 4)]
    np.testing.assert_array_equal(record.frames[1, 4], images[1, 3])
    np.testing.assert_array_equal(record.frames[1, 5], images[1, 5])


def test_images_that_cannot_be_placed_do_not_spoil_a_plain_folder(tmp_path: Path) -> None:
    images, members = stack(), plain(stack())
    members["screen.dcm"] = dicom_bytes(images[0, 0], z_mm=None)
    np.testing.assert_array_equal(read_cine(write_zip(tmp_path / NAME, members)).frames, images)
    assert reason_of(write_zip(tmp_path / NAME, plain(images, z_mm=None))) == reasons.BAD_GEOMETRY


def test_numbered_slices_need_no_position(tmp_path: Path) -> None:
    images = stack()
    members = {
        f"{k}.{p}.dcm": dicom_bytes(
            images[k, p], description=f"CINE_segmented_SAX_b{k + 1}", instance=p + 1, trigger_ms=20.0 * p, z_mm=None
        )
        for k in range(3)
        for p in range(10)
    }
    record = read_cine(write_zip(tmp_path / NAME, members))
    np.testing.assert_array_equal(record.frames, images)
    np.testing.assert_allclose(record.slice_positions_mm, [0, 10, 20])


def test_a_slice_of_another_image_size_is_left_out_and_counted(tmp_path: Path) -> None:
    images, members = stack(), ukb_cine(stack(), skip=tuple((2, p) for p in range(10)))
    for p in range(10):
        members[f"big.{p}.dcm"] = dicom_bytes(
            stack(1, 1, 20)[0, 0], description="CINE_segmented_SAX_b3", instance=p + 1, trigger_ms=20.0 * p, z_mm=20
        )
    record = read_cine(write_zip(tmp_path / NAME, members))
    np.testing.assert_array_equal(record.frames, images[:2])
    assert record.meta["dropped_slices"] == 1


def test_still_images_are_no_cine(tmp_path: Path) -> None:
    assert reason_of(write_zip(tmp_path / NAME, plain(stack(phases=1)))) == reasons.NO_FRAMES


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: {}, reasons.NO_FRAMES),
        (lambda m: {"manifest.csv": b"filename,date\n"}, reasons.NO_FRAMES),
        (lambda m: {n: d.replace(b"SAX_b", b"LAX_b") for n, d in m.items()}, reasons.NO_FRAMES),
        (lambda m: {n: d[:-100] if i == 5 else d for i, (n, d) in enumerate(m.items())}, reasons.TRUNCATED),
        (lambda m: {n: d[:400] if i == 5 else d for i, (n, d) in enumerate(m.items())}, reasons.TRUNCATED),
        (lambda m: {n: d[:100] if i == 5 else d for i, (n, d) in enumerate(m.items())}, reasons.BAD_DICOM),
        (lambda m: {n: b"" if i == 5 else d for i, (n, d) in enumerate(m.items())}, reasons.BAD_DICOM),
        (lambda m: {n: d.replace(b"1.5\\1.25", b"0.0\\1.25") for n, d in m.items()}, reasons.BAD_GEOMETRY),
    ],
)
def test_each_defect_has_its_reason(tmp_path: Path, change, reason: str) -> None:
    assert reason_of(write_zip(tmp_path / NAME, change(ukb_cine(stack())))) == reason


def test_archives_that_are_none_are_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / NAME, ukb_cine(stack()))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert reason_of(path) == reasons.BAD_ZIP
    path.write_bytes(b"")
    assert reason_of(path) == reasons.BAD_ZIP
    path.unlink()
    assert reason_of(path) == reasons.MISSING_FILE
    path.write_bytes(data.replace(b"\0\0\0", b"\0\1\0", 400))
    assert reason_of(path) == reasons.BAD_ZIP


@pytest.mark.parametrize(("name", "slices"), [("SCD0000101.zip", 12), ("SCD0000301.zip", 10)])
def test_sunnybrook_is_read_as_slices_by_phases(shared_data: Path, name: str, slices: int) -> None:
    record = read_cine(shared_data / "sunnybrook" / name)
    assert record.frames.shape == (slices, 20, 256, 256)
    assert (np.diff(record.slice_positions_mm) > 5).all()
    assert (np.diff(record.trigger_times_ms, axis=1) > 0).all()
    assert record.meta["repaired_frames"] == []
    assert record.meta["dropped_slices"] == 0


def endocardial_areas(folder: Path, patient: str) -> dict[int, float]:
    """Return slice -> largest area (end-diastole) of its manual contours, slices numbered as the files are."""
    with (folder / "link.csv").open() as stream:
        original = next(row["original_id"] for row in csv.DictReader(stream) if row["patient_id"] == patient)
    areas: dict[int, float] = {}
    for path in sorted((folder / "contourfiles" / original / "i-contours").glob("IM-0001-*.txt")):
        x, y = np.loadtxt(path).T
        area = abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2
        number = (int(path.name.split("-")[2]) - 1) // 20
        areas[number] = max(area, areas.get(number, 0.0))
    return areas


@pytest.mark.parametrize("patient", ["SCD0000101", "SCD0000301"])
def test_sunnybrook_runs_from_base_to_apex_as_its_contours_do(shared_data: Path, patient: str) -> None:
    folder = shared_data / "sunnybrook"
    record = read_cine(folder / f"{patient}.zip")
    assert record.base_to_apex is True
    with zipfile.ZipFile(folder / f"{patient}.zip") as archive:
        first = {k: pydicom.dcmread(archive.open(f"{patient}/{20 * k + 1}.dcm")) for k in range(len(record.frames))}
    place = {k: int(np.argmin(np.abs(record.origins_mm - d.ImagePositionPatient).sum(1))) for k, d in first.items()}
    for k, dataset in first.items():
        np.testing.assert_array_equal(record.frames[place[k], 0], dataset.pixel_array)
    areas = endocardial_areas(folder, patient)
    falling = np.array([areas[k] for k in sorted(areas, key=lambda k: place[k])])
    assert len(falling) >= 9
    assert (np.diff(falling[len(falling) // 2 :]) < 0).all()
    assert falling[-1] < 0.5 * falling[0]
    np.testing.assert_allclose(
        np.linalg.norm(np.diff(record.origins_mm, axis=0), axis=1), record.slice_thickness_mm, atol=0.01
    )


def test_sunnybrook_pixels_are_those_that_pydicom_decodes(shared_data: Path) -> None:
    folder = shared_data / "sunnybrook" / "sample_one_slice"
    record = read_cine(folder)
    datasets = sorted((pydicom.dcmread(p) for p in folder.glob("*.dcm")), key=lambda d: float(d.TriggerTime))
    np.testing.assert_array_equal(record.frames[0], np.stack([d.pixel_array for d in datasets]))
    assert record.pixel_spacing_mm == tuple(datasets[0].PixelSpacing)


def test_thirty_six_files_are_read_fast(tmp_path: Path) -> None:
    path = write_zip(tmp_path / NAME, ukb_cine(stack(slices=3, phases=12, side=128)))
    read_cine(path)
    start = time.process_time()
    for _ in range(3):
        read_cine(path)
    assert (time.process_time() - start) / 3 < 0.3  # 60 ms on a free core
