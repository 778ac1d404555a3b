"""Cine DICOM of each scanner's layout, enhanced multi-frame, compressed, and the long-axis views."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from cardiobind.errors import InputError, RecordError
from cardiobind.formats import read_cine, reasons
from cardiobind.formats.cine import dicom_files, dicom_pixels
from cine_fixtures import (
    SECRET,
    Volume,
    classic,
    enhanced,
    ge,
    long_axis_plane,
    philips,
    plane,
    refusal,
    series,
    siemens,
    ukb_long_axis,
    volume,
)
from ingest_fixtures import write_zip

VIEWS = {"lax_2ch": "2Ch", "lax_3ch": "3Ch", "lax_4ch": "4Ch"}


def folder_of(path: Path, members: dict[str, bytes]) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for name, data in members.items():
        (path / name).write_bytes(data)
    return path


@pytest.mark.parametrize(("layout", "scale"), [(ge, 1.0), (siemens, 1.0), (philips, 2.5)])
def test_each_scanners_series_is_read_from_base_to_apex(layout, scale: float, tmp_path: Path) -> None:
    truth = volume()
    record = read_cine(folder_of(tmp_path / "study", layout(truth)))
    np.testing.assert_array_equal(record.frames, truth.pixels * np.float32(scale))
    np.testing.assert_allclose(record.trigger_times_ms, np.tile(truth.trigger_ms, (4, 1)))
    np.testing.assert_allclose(np.diff(record.slice_positions_mm), 10.0, atol=1e-4)
    np.testing.assert_allclose(record.origins_mm, truth.origins_mm, atol=1e-5)
    np.testing.assert_allclose(record.orientation, [*truth.row, *truth.column], atol=1e-8)
    assert (record.base_to_apex, record.view, record.slice_thickness_mm) == (True, "sax", 8.0)
    assert SECRET not in repr(record)


def test_slices_that_come_apex_first_are_turned(tmp_path: Path) -> None:
    truth = volume()
    turned = Volume(truth.pixels[::-1], truth.row, truth.column, truth.origins_mm[::-1], trigger_ms=truth.trigger_ms)
    opposite = Volume(
        truth.pixels.swapaxes(2, 3)[::-1], truth.column, truth.row, truth.origins_mm[::-1], (1.25, 1.5),
        trigger_ms=truth.trigger_ms,
    )  # fmt: skip
    for number, of in enumerate((turned, opposite)):
        record = read_cine(folder_of(tmp_path / str(number), series(of)))
        wanted = truth.pixels if number == 0 else truth.pixels.swapaxes(2, 3)
        np.testing.assert_array_equal(record.frames, wanted)
        np.testing.assert_allclose(record.origins_mm, truth.origins_mm, atol=1e-5)
        assert (np.diff(record.slice_positions_mm) > 0).all()
        assert record.base_to_apex is True


@pytest.mark.parametrize("phase_first", [True, False])
@pytest.mark.parametrize("times", [True, False])
def test_enhanced_multi_frame_is_read_whatever_the_order_of_its_frames(
    phase_first: bool, times: bool, tmp_path: Path
) -> None:
    truth = volume()
    data = enhanced(truth, phase_first=phase_first, times=times)
    single = tmp_path / "one.dcm"
    single.write_bytes(data)
    for place in (single, folder_of(tmp_path / "study", {"IM1": data}), write_zip(tmp_path / "a.zip", {"IM1": data})):
        record = read_cine(place)
        np.testing.assert_array_equal(record.frames, truth.pixels)
        assert np.isnan(record.trigger_times_ms).all() == (not times)
        assert record.base_to_apex is True
        assert record.pixel_spacing_mm == truth.spacing_mm


def test_an_enhanced_file_whose_frames_or_groups_are_missing_is_refused(tmp_path: Path) -> None:
    data = enhanced(volume())
    path = tmp_path / "one.dcm"
    path.write_bytes(data[:-200])
    assert refusal(path).reason == reasons.TRUNCATED
    path.write_bytes(data.replace(b"IS\x02\x0024", b"IS\x02\x0099"))
    assert refusal(path).reason == reasons.BAD_DICOM


SYNTAXES = [RLELossless, JPEG2000Lossless, JPEGLSLossless]


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda s: s.name)
def test_compressed_images_are_those_that_were_stored(syntax, tmp_path: Path) -> None:
    pytest.importorskip({JPEG2000Lossless: "openjpeg", JPEGLSLossless: "jpeg_ls"}.get(syntax, "pydicom"))
    truth = volume(slices=2, rows=40, columns=36)
    members = series(truth, compress=syntax)
    np.testing.assert_array_equal(read_cine(write_zip(tmp_path / "c.zip", members)).frames, truth.pixels)
    path = tmp_path / "e.dcm"
    path.write_bytes(enhanced(truth, compress=syntax))
    np.testing.assert_array_equal(read_cine(path).frames, truth.pixels)


def test_a_compression_without_decoder_names_it_and_the_extra(tmp_path: Path, monkeypatch) -> None:
    files = {
        n: d.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.77") for n, d in series(volume(slices=1)).items()
    }
    assert refusal(write_zip(tmp_path / "a.zip", files)).reason == reasons.UNSUPPORTED
    monkeypatch.setattr(type(get_decoder(JPEGLosslessSV1)), "is_available", property(lambda self: False))
    compressed = series(volume(slices=1), compress=RLELossless)
    error = refusal(write_zip(tmp_path / "b.zip", compressed))
    assert error.reason == reasons.UNSUPPORTED
    assert "RLE Lossless" in str(error)
    assert dicom_pixels.EXTRA in str(error)


@pytest.mark.parametrize("syntax", SYNTAXES[1:], ids=lambda s: s.name)
def test_a_code_stream_larger_than_its_header_says_is_not_decoded(syntax, tmp_path: Path) -> None:
    pytest.importorskip({JPEG2000Lossless: "openjpeg", JPEGLSLossless: "jpeg_ls"}[syntax])
    truth, tag = volume(slices=1, rows=40, columns=36), b"\x28\x00\x10\x00US\x02\x00"
    before, after = (tag + rows.to_bytes(2, "little") for rows in (40, 39))
    members = {name: data.replace(before, after) for name, data in series(truth, compress=syntax).items()}
    error = refusal(write_zip(tmp_path / "a.zip", members))
    assert error.reason == reasons.BAD_DICOM
    assert "size" in error.what


def test_what_is_no_mr_image_is_passed_over(tmp_path: Path) -> None:
    truth = volume()
    members = ge(truth)
    for number, sop in enumerate(("1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.6.1")):
        members |= series(truth, f"x{number}", SOPClassUID=sop, SeriesInstanceUID="1.2.9", SeriesNumber=9)
    np.testing.assert_array_equal(read_cine(write_zip(tmp_path / "a.zip", members)).frames, truth.pixels)
    only = {name: data for name, data in members.items() if name.startswith("x")}
    assert refusal(write_zip(tmp_path / "b.zip", only)).reason == reasons.NO_FRAMES


def test_a_series_broken_off_does_not_replace_the_whole_one_before(tmp_path: Path) -> None:
    truth = volume()
    members = series(truth)
    members["again.dcm"] = classic(truth, 1, 0, SeriesNumber=5, SeriesInstanceUID="1.2.99")
    record = read_cine(write_zip(tmp_path / "a.zip", members))
    np.testing.assert_array_equal(record.frames, truth.pixels)
    assert record.meta["dropped_slices"] == 0


def three_planes() -> dict[str, Volume]:
    return {"2Ch": plane(88, seed=5), "3Ch": plane(146, seed=6), "4Ch": plane(35, seed=7)}


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("view", VIEWS)
def test_long_axis_views_of_uk_biobank(view: str, mixed: bool, tmp_path: Path) -> None:
    planes = three_planes()
    archive = write_zip(tmp_path / "9000001_20208_2_0.zip", ukb_long_axis(planes, mixed=mixed))
    record = read_cine(archive, view)
    np.testing.assert_array_equal(record.frames, planes[VIEWS[view]].pixels)
    assert record.view == view
    assert record.base_to_apex is None
    assert refusal(archive).reason == reasons.NO_FRAMES


def test_of_repeated_long_axis_series_the_last_is_taken(tmp_path: Path) -> None:
    planes, again = three_planes(), plane(88, seed=99)
    members = ukb_long_axis(planes) | series(
        again, "r", SeriesDescription="CINE_segmented_LAX_2Ch", SeriesNumber=30, SeriesInstanceUID="1.2.30"
    )
    moved = plane(84, seed=98)
    archive = write_zip(tmp_path / "a.zip", members)
    np.testing.assert_array_equal(read_cine(archive, "lax_2ch").frames, again.pixels)
    members |= series(
        moved, "z", SeriesDescription="CINE_segmented_LAX_2Ch", SeriesNumber=31, SeriesInstanceUID="1.2.31"
    )
    archive = write_zip(tmp_path / "b.zip", members)
    np.testing.assert_array_equal(read_cine(archive, "lax_2ch").frames, moved.pixels)


def test_a_mixed_series_that_is_not_of_three_planes_is_refused(tmp_path: Path) -> None:
    members = {n: d for n, d in ukb_long_axis(three_planes(), mixed=True).items() if not n.startswith("2Ch")}
    assert refusal(write_zip(tmp_path / "a.zip", members), "lax_2ch").reason == reasons.BAD_GEOMETRY


def undescribed(with_stack: bool) -> dict[str, bytes]:
    members = series(volume(), "s") if with_stack else {}
    for number, (name, of) in enumerate(three_planes().items()):
        members |= series(of, name, SeriesNumber=10 + number, SeriesInstanceUID=f"1.2.{10 + number}")
    return members


@pytest.mark.parametrize("view", VIEWS)
def test_without_descriptions_long_axis_views_are_told_by_the_short_axis(view: str, tmp_path: Path) -> None:
    record = read_cine(write_zip(tmp_path / "a.zip", undescribed(with_stack=True)), view)
    np.testing.assert_array_equal(record.frames, three_planes()[VIEWS[view]].pixels)
    error = refusal(write_zip(tmp_path / "b.zip", undescribed(with_stack=False)), view)
    assert error.reason == reasons.NO_FRAMES
    assert "short-axis stack" in str(error)


def test_the_short_axis_is_found_beside_long_axis_planes(tmp_path: Path) -> None:
    record = read_cine(write_zip(tmp_path / "a.zip", undescribed(with_stack=True)))
    np.testing.assert_array_equal(record.frames, volume().pixels)


def test_two_planes_of_one_view_are_not_chosen_between(tmp_path: Path) -> None:
    members = undescribed(with_stack=True)
    members |= series(plane(93, seed=8), "d", SeriesNumber=40, SeriesInstanceUID="1.2.40")
    assert refusal(write_zip(tmp_path / "a.zip", members), "lax_2ch").reason == reasons.NO_FRAMES


def test_planes_of_the_fixture_cut_the_stack_where_they_say() -> None:
    truth = volume()
    for angle in (0, 35, 90):
        row, column = long_axis_plane(angle)
        assert abs(np.cross(row, column) @ np.cross(truth.row, truth.column)) < 1e-9
    step = truth.origins_mm[1] - truth.origins_mm[0]
    np.testing.assert_allclose(np.abs(np.cross(truth.row, truth.column) @ step), 10.0)
    assert (step * (1, -1, -1) > 0).all()  # left, front, feet


def test_there_are_four_views(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such view"):
        read_cine(tmp_path, "rvot")


def test_pixels_beyond_the_budget_are_read_again(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(dicom_files, "KEPT_BYTES", 5000)
    truth = volume()
    np.testing.assert_array_equal(read_cine(write_zip(tmp_path / "a.zip", ge(truth))).frames, truth.pixels)
    np.testing.assert_array_equal(read_cine(folder_of(tmp_path / "f", siemens(truth))).frames, truth.pixels)
    path = tmp_path / "e.dcm"
    path.write_bytes(enhanced(truth))
    np.testing.assert_array_equal(read_cine(path).frames, truth.pixels)


def test_what_lies_beside_the_images_is_not_read(tmp_path: Path) -> None:
    truth = volume()
    folder = folder_of(tmp_path / "study", ge(truth))
    with (folder / "film.avi").open("wb") as stream:
        stream.truncate(300 << 20)
    (folder / "sa.nii.gz").write_bytes(b"made of these files")
    (folder / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    np.testing.assert_array_equal(read_cine(folder).frames, truth.pixels)


def test_two_patients_in_one_folder_are_not_stacked(tmp_path: Path) -> None:
    for patient in ("9000001", "9000002"):
        for name, data in series(volume(), prefix=patient, PatientID=patient).items():
            (tmp_path / patient).mkdir(exist_ok=True)
            (tmp_path / patient / name).write_bytes(data)
    with pytest.raises(RecordError, match="several patients") as caught:
        read_cine(tmp_path)
    assert "900000" not in str(caught.value)
    assert read_cine(tmp_path / "9000001").frames.shape[0] == 4


def test_two_days_in_one_folder_are_not_stacked(tmp_path: Path) -> None:
    for day in ("20200518", "20230519"):
        for name, data in series(volume(), prefix=day, StudyDate=day).items():
            (tmp_path / day).mkdir(exist_ok=True)
            (tmp_path / day / name).write_bytes(data)
    with pytest.raises(RecordError, match="several days") as caught:
        read_cine(tmp_path)
    assert "2020" not in str(caught.value)
    assert read_cine(tmp_path / "20200518").frames.shape[0] == 4
