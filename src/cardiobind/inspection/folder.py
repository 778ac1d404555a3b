"""A folder: what kinds of files are in it, which source would read it, and the first of each kind drawn."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

from cardiobind.errors import CardiobindError
from cardiobind.formats import masked
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
    if files and all(path.suffix.lower() in _DICOM for path in files):
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
    found: list[Path] = []
    for folder, folders, names in os.walk(root):
        folders.sort()
        found += [Path(folder, name) for name in sorted(names) if not name.startswith(".")]
        if len(found) >= MOST_FILES:
            break
    return found[:MOST_FILES]


def _sample(paths: list[Path]) -> list[Path]:
    step = max(1, len(paths) // TRIED_A_KIND)
    return paths[::step][:TRIED_A_KIND]


def _image_folders(files: list[Path]) -> list[Path]:
    count = Counter(path.parent for path in files if path.suffix.lower() in _DICOM)
    return [folder for folder, images in sorted(count.items()) if images >= _FEWEST_IMAGES]


def _source(root: Path, files: list[Path]) -> str:
    for marker, source in MARKERS.items():
        where = next((path.parent for path in files if path.name == marker), None)
        if where is not None:
            return source if where == root else f"{source}, in the subfolder {masked(where)}"
    names = [path.name for path in files]
    if any(f"_{field}_" in name for name in names for field in ("20205", "20208", "20209")):
        return "ukb"
    if any(path.name == "Info.cfg" for path in files):
        return "acdc"
    return "none by itself: name the files in a recordings.csv (source folder)"


def _first(kinds: dict[Path, str], what: str, view: str | None) -> Sheet | None:
    read: dict[str, Callable[[Path], Sheet]] = {
        "ecg": lambda path: inspect_ecg(str(path)),
        "cine": lambda path: inspect_cine(str(path), view),
        "table": inspect_table,
    }
    failed: Sheet | None = None
    for path in [path for path, kind in kinds.items() if kind.startswith(what)][:TRIED_TO_DRAW]:
        try:
            found = read[what](path)
        except CardiobindError as error:
            failed = failed or Sheet(f"A file that cannot be drawn as {what}", (("file", masked(path)),), (str(error),))
            continue
        if found.pictures:
            return found
        failed = failed or found
    return failed
