"""Archives and images made to harm: a reason, in bounded memory and time."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from cardiobind.errors import RecordError
from cardiobind.formats import archive as archives
from cardiobind.formats import read_cine, reasons
from cardiobind.formats.cine import dicom_files
from cardiobind.formats.location import read_bytes
from cine_fixtures import classic, enhanced, gz, nifti, series, volume
from ingest_fixtures import write_zip

MOST_SECONDS, MOST_BYTES = 5.0, 512 << 20


def refusal(location: object) -> RecordError:
    with pytest.raises(RecordError) as caught:
        read_cine(str(location))
    assert "9000001" not in str(caught.value)
    assert "SECRETNAME" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("name", ["../evil.dcm", "a/../../evil.dcm", "/etc/evil.dcm", "..\\evil.dcm", "C:\\evil.dcm"])
def test_members_outside_the_folder_are_refused(name: str, tmp_path: Path) -> None:
    members = series(volume())
    path = write_zip(tmp_path / "9000001.zip", members | {name: b"DICM"})
    assert refusal(path).reason == reasons.UNSAFE_ARCHIVE
    assert read_cine(write_zip(tmp_path / "b.zip", members | {"a..b/c:d..txt": b"x"})).frames.shape[0] == 4


def test_an_archive_in_an_archive_is_named(tmp_path: Path) -> None:
    inner = write_zip(tmp_path / "inner.zip", series(volume())).read_bytes()
    error = refusal(write_zip(tmp_path / "a.zip", {"9000001.zip": inner}))
    assert error.reason == reasons.UNSUPPORTED
    assert "inner archives" in str(error)


def test_encrypted_and_oddly_packed_members_are_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"1.dcm": classic(volume(), 0, 0)})
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.find(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(data))
    error = refusal(path)
    assert (error.reason, "encrypted" in str(error)) == (reasons.UNSUPPORTED, True)
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("1.dcm", classic(volume(), 0, 0))
    assert refusal(tmp_path / "b.zip").reason == reasons.UNSUPPORTED


def test_a_declared_bomb_is_refused_from_the_index(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1.dcm", bytes(archives.BOMB_BYTES + 1))
    assert refusal(tmp_path / "a.zip").reason == reasons.UNSAFE_ARCHIVE


def lying_zip(path: Path, unpacked: int, stated: int) -> Path:
    """Write an archive whose index states fewer bytes than its member unpacks to."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = b"".join(packer.compress(bytes(1 << 20)) for _ in range(unpacked >> 20)) + packer.flush()
    crc, name = zlib.crc32(bytes(stated)), b"1.dcm"
    sizes = struct.pack("<III", crc, len(body), stated)
    local = b"PK\x03\x04" + struct.pack("<HHHHH", 20, 0, 8, 0, 0) + sizes + struct.pack("<HH", len(name), 0) + name
    index = b"PK\x01\x02" + struct.pack("<HHHHHH", 20, 20, 0, 8, 0, 0) + sizes
    index += struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, 0) + name
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(index), len(local) + len(body), 0)
    path.write_bytes(local + body + index + end)
    return path


def test_a_member_unpacks_to_no_more_than_its_index_says(tmp_path: Path) -> None:
    path = lying_zip(tmp_path / "a.zip", unpacked=64 << 20, stated=1000)
    assert len(read_bytes(f"{path}::1.dcm")) == 1000


def test_an_index_of_absurd_size_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_zip(tmp_path / "a.zip", {f"{n}.dcm": b"x" for n in range(300)})
    monkeypatch.setattr(archives, "LARGEST_INDEX_BYTES", 1000)
    assert refusal(path).reason == reasons.UNSAFE_ARCHIVE
    monkeypatch.setattr(archives, "LARGEST_INDEX_BYTES", 1 << 20)
    monkeypatch.setattr(dicom_files, "MOST_FILES", 200)
    assert refusal(path).reason == reasons.TOO_LARGE


def test_deflated_dicom_is_refused_before_it_is_inflated(tmp_path: Path) -> None:
    data = classic(volume(), 0, 0, syntax=DeflatedExplicitVRLittleEndian)
    assert refusal(write_zip(tmp_path / "a.zip", {"1.dcm": data})).reason == reasons.UNSUPPORTED


def huge_dicom(rows: int, columns: int, frames: int) -> bytes:
    """Return an enhanced file that states a size its pixels do not have."""
    data = enhanced(volume(1, 2))
    data = data.replace(b"\x28\x00\x10\x00US\x02\x00\x0c\x00", b"\x28\x00\x10\x00US\x02\x00" + struct.pack("<H", rows))
    data = data.replace(
        b"\x28\x00\x11\x00US\x02\x00\x0e\x00", b"\x28\x00\x11\x00US\x02\x00" + struct.pack("<H", columns)
    )
    return data.replace(b"\x28\x00\x08\x00IS\x02\x002 ", b"\x28\x00\x08\x00IS\x02\x00" + f"{frames:<2}".encode())


def deep_dicom(depth: int) -> bytes:
    """Return a file whose sequence holds itself many times, each of undefined length."""
    inner = b"\x40\x00\x75\x02SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * depth
    data = classic(volume(), 0, 0)
    at = data.find(b"\x18\x00\x50\x00DS")
    return data[:at] + inner + data[at:]


def hostile(folder: Path) -> dict[str, Path]:
    """Return files made to take memory or time, by name."""
    many = io.BytesIO()
    with zipfile.ZipFile(many, "w") as archive:
        for number in range(30_000):
            archive.writestr(f"{number}", b"")
    dims = np.array([4, 2000, 2000, 2, 10, 1, 1, 1], "<i2").tobytes()
    image = nifti(volume())
    bomb = gz(image[:40] + dims + image[56:352] + bytes(300 << 20))
    items = classic(volume(), 0, 0)
    at = items.find(b"\x18\x00\x50\x00DS")
    length = 8 * 3_000_000
    items = (
        items[:at]
        + b"\x08\x00\x40\x11SQ\0\0"
        + struct.pack("<I", length)
        + b"\xfe\xff\x00\xe0\0\0\0\0" * (length // 8)
        + items[at:]
    )
    plain = classic(volume(), 0, 0)
    elements = b"".join(b"\x19\x00" + struct.pack("<H", 0x1000 + n % 50_000) + b"SH\0\0" for n in range(1_000_000))
    files = {
        "elements.dcm": plain[:at] + elements + plain[at:], "sides.dcm": huge_dicom(65535, 65535, 2),
        "stack.dcm": huge_dicom(4096, 4096, 99),
        "deep.dcm": deep_dicom(20_000),
        "items.dcm": items, "padded.dcm": plain[:-400] + bytes(90 << 20), "many.zip": many.getvalue(),
        "bomb.nii.gz": bomb, "short.nii.gz": gz(image[:40] + dims + image[56:]),
        "twice.nii.gz": gz(gz(bytes(100 << 20))),
    }  # fmt: skip
    for name, data in files.items():
        (folder / name).write_bytes(data)
    lying_zip(folder / "lying.zip", unpacked=600 << 20, stated=1000)
    return {path.name: path for path in folder.iterdir()}


CHILD = """
import sys, time
from cardiobind.errors import RecordError
from cardiobind.formats import read_cine
import nibabel, pydicom
def peak_kb():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
base, start = peak_kb(), time.process_time()
try:
    read_cine(sys.argv[1]); reason = "read"
except RecordError as error:
    reason = error.reason
print(reason, time.process_time() - start, (peak_kb() - base) * 1024)
"""


@pytest.mark.slow
def test_hostile_files_take_little_memory_and_time(tmp_path: Path) -> None:
    wanted = {
        "bomb.nii.gz": "read", "short.nii.gz": reasons.TRUNCATED, "twice.nii.gz": reasons.BAD_NIFTI,
        "sides.dcm": reasons.BAD_GEOMETRY, "stack.dcm": reasons.BAD_DICOM, "items.dcm": reasons.TOO_LARGE,
        "many.zip": reasons.TOO_LARGE, "elements.dcm": reasons.TOO_LARGE, "lying.zip": reasons.BAD_DICOM,
    }  # fmt: skip
    found = {}
    for name, path in hostile(tmp_path).items():
        run = subprocess.run([sys.executable, "-c", CHILD, str(path)], capture_output=True, text=True, check=True)
        reason, seconds, memory = run.stdout.split()
        print(name, reason, f"{float(seconds):.2f} s", f"{int(memory) >> 20} MB")
        assert float(seconds) < MOST_SECONDS, name
        assert int(memory) < MOST_BYTES, name
        found[name] = reason
    assert found == found | wanted


def test_small_hostile_files_are_refused_at_once(tmp_path: Path) -> None:
    start = time.process_time()
    for data in (huge_dicom(65535, 65535, 2), huge_dicom(4096, 4096, 99), deep_dicom(3000)):
        path = tmp_path / "1.dcm"
        path.write_bytes(data)
        assert refusal(path).reason in (reasons.BAD_GEOMETRY, reasons.BAD_DICOM, reasons.TRUNCATED, reasons.NO_FRAMES)
    assert time.process_time() - start < MOST_SECONDS


def test_a_stack_over_the_limit_is_refused_before_its_pixels_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cardiobind.formats.cine import cine_geometry, dicom_cine

    monkeypatch.setattr(dicom_cine, "LARGEST_STACK_BYTES", 4 * 4 * 6 * 12 * 14 - 1)
    assert refusal(write_zip(tmp_path / "a.zip", series(volume()))).reason == reasons.TOO_LARGE
    assert 13 * 50 * 256 * 256 * 4 < cine_geometry.LARGEST_STACK_BYTES
