"""A folder: what kinds of files are in it, which source would read it, and the first of each kind drawn."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from cardiobind.errors import CardiobindError
from cardiobind.formats import masked
from cardiobind.formats.cine.nifti_layouts import read_mnms_table
from cardiobind.formats.location import files_below
from cardiobind.inspection.cine import inspect_cine
from cardiobind.inspection.ecg import inspect_ecg
from cardiobind.inspection.kinds import kind_of
from cardiobind.inspection.sheet import Sheet, SheetTable
from cardiobind.inspection.table import inspect_table

MOST_FILES = 1_000_000
TRIED_A_KIND = 25
TRIED_TO_DRAW = 8
MARKERS = {
    "ptbxl_database.csv": "ptbxl",
    "record_list.csv": "mimic_iv_ecg",
    "recordings.csv": "folder",
}
_DICOM = (".dcm", ".ima", "")
_FEWEST_IMAGES = 8


def inspect_folder(root: Path, view: str | None = None) -> Sheet:
    """Return the sheet of a folder, with the first readable ECG, cine and table as parts.

    Args:
        root: the folder; its subfolders belong to it.
        view: of a cine.
    """
    files = _files(root)
    if files and all(path.suffix.lower() in _DICOM for path in files) and not _is_ecg(files[0]):
        try:
            return inspect_cine(str(root), view)
        except CardiobindError as error:
            return _of_files(root, files, view, (f"the images of the folder are no cine: {error.what}",))
    return _of_files(root, files, view, ())


def _of_files(root: Path, files: list[Path], view: str | None, warnings: tuple[str, ...]) -> Sheet:
    by_suffix: dict[str, list[Path]] = defaultdict(list)
    for path in files:
        by_suffix[path.suffix.lower()].append(path)
    tried = {suffix: _sample(paths) for suffix, paths in sorted(by_suffix.items())}
    kinds = {path: kind_of(str(path)) or "not recognised" for paths in tried.values() for path in paths}
    rows = [("suffix", "files", "MB", "what the first ones are")]
    for suffix, paths in sorted(by_suffix.items(), key=lambda item: -len(item[1])):
        size = sum(path.stat().st_size for path in paths) / 1e6
        found = Counter(kinds[path] for path in tried[suffix]).most_common()
        told = ", ".join(f"{name} ({count} of {len(tried[suffix])} tried)" for name, count in found)
        rows.append((suffix or "(none)", str(len(paths)), f"{size:.1f}", told))
    facts = (("files", str(len(files))), ("source that reads it", _source(root, files)))
    kinds |= {folder: "cine: dicom folder" for folder in _image_folders(files)}
    parts = tuple(part for part in (_first(kinds, what, view) for what in ("ecg", "cine", "table")) if part)
    return Sheet("Folder", facts, warnings, (SheetTable(tuple(rows), "Files by suffix"),), parts=parts)


def _files(root: Path) -> list[Path]:
    return list(islice((path for path in files_below(root) if not path.name.startswith(".")), MOST_FILES))


def _sample(paths: list[Path]) -> list[Path]:
    step = max(1, len(paths) // TRIED_A_KIND)
    return paths[::step][:TRIED_A_KIND]


def _image_folders(files: list[Path]) -> list[Path]:
    images: dict[Path, list[Path]] = defaultdict(list)
    for path in files:
        if path.suffix.lower() in _DICOM:
            images[path.parent].append(path)
    return [
        folder for folder, found in sorted(images.items()) if len(found) >= _FEWEST_IMAGES and not _is_ecg(found[0])
    ]


def _is_ecg(path: Path) -> bool:
    return (kind_of(str(path)) or "").startswith("ecg")


def _source(root: Path, files: list[Path]) -> str:
    found = _marked(files) or _acdc(root, files) or _ukb(root, files) or _mnms(root, files)
    if found is None:
        return "none by itself: name the files in a recordings.csv (source folder)"
    source, where = found
    return source if where == root else f"{source}, in the subfolder {masked(where)}"


def _marked(files: list[Path]) -> tuple[str, Path] | None:
    places = {path.name: path.parent for path in reversed(files) if path.name in MARKERS}
    return next(((source, places[marker]) for marker, source in MARKERS.items() if marker in places), None)


def _acdc(root: Path, files: list[Path]) -> tuple[str, Path] | None:
    patient = next((p.parent for p in files if p.name == "Info.cfg" and p.parent.name.startswith("patient")), None)
    if patient is None or patient == root:
        return None
    where = patient.parent
    return "acdc", where.parent if where != root and where.name in ("training", "testing") else where


def _ukb(root: Path, files: list[Path]) -> tuple[str, Path] | None:
    fields = ("_20205_", "_20208_", "_20209_")
    return ("ukb", root) if any(field in path.name for path in files for field in fields) else None


def _mnms(root: Path, files: list[Path]) -> tuple[str, Path] | None:
    """Return the folder above a short-axis stack that holds the table of M&Ms."""
    cine = next((path for path in files if path.name.endswith(("_sa.nii.gz", "_sa.nii"))), None)
    above = [] if cine is None else [folder for folder in cine.parents if folder.is_relative_to(root)]
    return next((("mnms", folder) for folder in above if read_mnms_table(folder)), None)


def _first(kinds: dict[Path, str], what: str, view: str | None) -> Sheet | None:
    read: dict[str, Callable[[Path], Sheet]] = {
        "ecg": lambda path: inspect_ecg(str(path)),
        "cine": lambda path: inspect_cine(str(path), view),
        "table": inspect_table,
    }
    failed: Sheet | None = None
    for path in _in_turn([path for path, kind in kinds.items() if kind.startswith(what)])[:TRIED_TO_DRAW]:
        try:
            found = read[what](path)
        except CardiobindError as error:
            place = (("suffix", path.suffix or "(none)"),)
            failed = failed or Sheet(f"A file that cannot be drawn as {what}", place, (_told(error),))
            continue
        if found.pictures:
            return found
        failed = failed or found
    return failed


def _told(error: CardiobindError) -> str:
    """Return what is wrong without the place, as it names the file."""
    return getattr(error, "what", "") or type(error).__name__


def _in_turn(paths: list[Path]) -> list[Path]:
    """Return the paths so that the first of each suffix comes before the second of any."""
    seen: Counter[str] = Counter()
    turns = []
    for path in paths:
        turns.append(seen[path.suffix.lower()])
        seen[path.suffix.lower()] += 1
    return [path for _, path in sorted(zip(turns, paths, strict=True), key=lambda one: one[0])]
