"""One image of a DICOM file as numbers: native, or compressed where a decoder of pydicom is installed."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.cine.dicom_values import raw_bytes, word

EXTRA = "cardiobind[dicom]"
_NATIVE = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
_UNCOMPRESSED = (*_NATIVE, ExplicitVRBigEndian)
# Markers after which a code stream states its size: SOF of JPEG and JPEG-LS, SIZ of JPEG 2000.
_JPEG_SIZE = re.compile(rb"\xff[\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf\xf7]..[\x02-\x10](..)(..)", re.DOTALL)
_JPEG2000_SIZE = re.compile(rb"\xff\x4f\xff\x51....(....)(....)(....)(....)", re.DOTALL)


def stored_pixels(dataset: FileDataset, index: int, frames: int, shape: tuple[int, int], name: str) -> NDArray[Any]:
    """Return (rows, columns) stored values of image `index` of `frames`.

    Raises:
        RecordError: the pixel data are short, or compressed in a way that no installed decoder knows.
        Exception: of pydicom, on damaged data.
    """
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    bits = word(dataset, "BitsAllocated")
    if syntax in _NATIVE and bits in (8, 16):
        return _native(dataset, index, shape, bits, name)
    if syntax not in _UNCOMPRESSED:
        _refuse_undecodable(syntax, name)
        _refuse_other_size(dataset, syntax, index, frames, shape, name)
    decoded: NDArray[Any] = pixel_array(dataset, index=index, raw=True)
    return decoded.reshape(shape)


def _native(dataset: FileDataset, index: int, shape: tuple[int, int], bits: int, name: str) -> NDArray[Any]:
    sign = "i" if word(dataset, "PixelRepresentation") == 1 else "u"
    data, wanted = raw_bytes(dataset, "PixelData"), shape[0] * shape[1]
    start = index * wanted * bits // 8
    if len(data) < start + wanted * bits // 8:
        raise RecordError(
            reasons.TRUNCATED, "the pixel data end early", where=name, expected=f"{start + wanted * bits // 8} bytes",
            got=len(data),
        )  # fmt: skip
    return np.frombuffer(data, f"<{sign}{bits // 8}", count=wanted, offset=start).reshape(shape)


def _refuse_undecodable(syntax: Any, name: str) -> None:
    known = str(syntax) if syntax is not None and re.fullmatch(r"[\d.]{1,64}", str(syntax)) else "none"
    title = UID(known).name if known.startswith("1.2.840.10008.") else known
    try:
        available = get_decoder(UID(known)).is_available
    except RuntimeError:
        raise RecordError(reasons.UNSUPPORTED, "a transfer syntax that is not read", where=name, got=title) from None
    if not available:
        raise RecordError(
            reasons.UNSUPPORTED, "no decoder for this compression is installed", where=name, got=title,
            hint=f"pip install '{EXTRA}'",
        )  # fmt: skip


def _refuse_other_size(
    dataset: FileDataset, syntax: Any, index: int, frames: int, shape: tuple[int, int], name: str
) -> None:
    """Refuse a code stream that states another size than the header: a decoder would allocate what it states."""
    if syntax == RLELossless:
        return
    stream = get_frame(raw_bytes(dataset, "PixelData"), index, number_of_frames=frames)[: 1 << 16]
    jpeg2000 = _JPEG2000_SIZE.search(stream)
    if jpeg2000:
        right, bottom, left, top = (int.from_bytes(part, "big") for part in jpeg2000.groups())
        sizes = [(bottom - top, right - left)]
    else:
        sizes = [(int.from_bytes(a, "big"), int.from_bytes(b, "big")) for a, b in _JPEG_SIZE.findall(stream)[:1]]
    if sizes != [shape]:
        raise RecordError(
            reasons.BAD_DICOM, "the compressed image is not of the size in the header", where=name, expected=shape,
            got=sizes[0] if sizes else "no size",
        )  # fmt: skip
