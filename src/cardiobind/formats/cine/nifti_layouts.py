"""Where NIfTI data sets keep a subject's cine, and the files beside it that name its end-diastole and end-systole.

Source: the pages of ACDC (Bernard et al., IEEE TMI 37:2514, 2018), M&Ms and M&Ms-2 (Campello et al., IEEE TMI 40:3543,
2021; Martín-Isla et al., IEEE JBHI 27:3302, 2023), and the files that ukbb_cardiac writes.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.base import masked
from cardiobind.formats.location import read_bytes, split_location

SUFFIXES = (".nii.gz", ".nii")
LARGEST_SIDECAR_BYTES = 1 << 20
# In the order of preference: the whole cycle, then single phases.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "sax": (
        r".*_4d", r"(.*_)?sax?", r"(.*_)?sax?_cine", r"(.*_)?sax?_ed", r".*_frame\d+", r"(.*_)?sax?_es",
    ),
    "lax_2ch": (r"(.*_)?la[x]?_?2ch",),
    "lax_3ch": (r"(.*_)?la[x]?_?3ch",),
    "lax_4ch": (r"(.*_)?la[x]?_?4ch", r"(.*_)?la[x]?_cine", r"(.*_)?la[x]?_ed", r"(.*_)?la[x]?_es"),
}  # fmt: skip
_SEGMENTATION = re.compile(r"(_gt|_seg|_label|_mask)$|^seg_|^label", re.IGNORECASE)
_INFO_LINE = re.compile(r"^\s*(\w+)\s*:\s*(.*?)\s*$")


def stem_of(location: str) -> str | None:
    """Return the name of a NIfTI file without its suffix; None for another file."""
    name = PurePosixPath(split_location(location)[1]).name
    return next((name[: -len(suffix)] for suffix in SUFFIXES if name.lower().endswith(suffix)), None)


def is_segmentation(location: str) -> bool:
    """Tell from a file's name whether it holds labels instead of an image."""
    return bool(_SEGMENTATION.search(stem_of(location) or ""))


def view_of_name(location: str) -> str | None:
    """Return the view that a file's name states; None where it states none."""
    stem = (stem_of(location) or "").lower()
    return next((view for view, names in _NAMES.items() if any(re.fullmatch(name, stem) for name in names)), None)


def is_nifti_folder(location: str) -> bool:
    """Tell whether NIfTI images, and no DICOM files that they were made from, lie directly in a folder."""
    folder = Path(location)
    return bool(_images(folder)) and not any(path.suffix.lower() == ".dcm" for path in folder.iterdir())


def find_nifti(location: str, view: str) -> str:
    """Return the file of a subject's folder that holds a view: all phases if there is such a file, else one phase.

    Raises:
        RecordError: none, or several between which nothing decides.
    """
    images = _images(Path(location))
    for pattern in _NAMES[view]:
        found = [path for path in images if re.fullmatch(pattern, (stem_of(path.name) or "").lower())]
        if found and (len(found) == 1 or "frame" in pattern):
            return str(found[0])
        if found:
            raise _ambiguous(location, len(found))
    unnamed = [path for path in images if view_of_name(path.name) is None]
    if len(unnamed) == 1 and len(images) == 1:
        return str(unnamed[0])
    if unnamed:
        raise _ambiguous(location, len(unnamed))
    raise RecordError(
        reasons.NO_FRAMES, "no NIfTI file of this view", where=masked(location), expected=view,
        got=f"{len(images)} files of other views",
    )  # fmt: skip


def known_phases(location: str, phases: int) -> dict[str, int]:
    """Return ``ed_phase`` and ``es_phase``, counted from 0, as Info.cfg (ACDC) or the table (M&Ms) beside a file says.

    Args:
        location: of the NIfTI file; members of archives have no neighbours.
        phases: of its cine: a number beyond them is ignored.
    """
    if split_location(location)[0] is not None:
        return {}
    folder = Path(location).parent
    stated, first = read_info(folder / "Info.cfg"), 1
    if not stated:
        stated, first = _table_row(folder, stem_of(location) or ""), 0
    found = {}
    for key in ("ED", "ES"):
        text = stated.get(key, "")
        if re.fullmatch(r"\d{1,5}", text) and first <= int(text) < phases + first:
            found[f"{key.lower()}_phase"] = int(text) - first
    return found


def read_info(path: Path) -> dict[str, str]:
    """Return the ``key: value`` lines of ACDC's Info.cfg; nothing where there is no such file."""
    matches = (_INFO_LINE.match(line) for line in _text(path).splitlines())
    return {match[1]: match[2] for match in matches if match}


def read_mnms_table(folder: Path) -> dict[str, dict[str, str]]:
    """Return subject -> row of the table of M&Ms in a folder; nothing where there is none."""
    for path in sorted(folder.glob("*.csv")):
        if _text(path, 4096).lower().lstrip("\ufeff, ").startswith(("external code", '"external code"')):
            rows = csv.DictReader(io.StringIO(_text(path).lstrip("\ufeff")))
            return {(row.get("External code") or "").strip(): _strings(row) for row in rows}
    return {}


def _strings(row: Mapping[str | None, object]) -> dict[str, str]:
    return {key.strip(): str(value or "").strip() for key, value in row.items() if key}


def _table_row(folder: Path, stem: str) -> dict[str, str]:
    subject = re.sub(r"_sa[x]?$", "", stem, flags=re.IGNORECASE)
    for place in folder.absolute().parents[:3]:
        found = read_mnms_table(place).get(subject)
        if found:
            return found
    return {}


def _text(path: Path, limit: int = LARGEST_SIDECAR_BYTES) -> str:
    try:
        return read_bytes(str(path), limit=limit).decode("utf-8", "replace")
    except RecordError:
        return ""


def _images(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if stem_of(path.name) is not None and _is_image(path)]


def _is_image(path: Path) -> bool:
    return path.is_file() and not is_segmentation(path.name) and not path.name.startswith(".")


def _ambiguous(location: str, count: int) -> RecordError:
    return RecordError(
        reasons.UNSUPPORTED, "several NIfTI files between which nothing decides", where=masked(location),
        got=f"{count} files", hint="give the file instead of its folder",
    )  # fmt: skip
