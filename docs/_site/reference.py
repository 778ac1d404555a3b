"""MkDocs hook: a page of reference for each room, out of the names it offers and those that the pages speak of."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from posixpath import relpath
from typing import Any

import griffe
from mkdocs.structure.files import File, Files

import cardiobind

REPOSITORY = Path(__file__).resolve().parents[2]
NAMED = re.compile(r"(?<!\[)`(cardiobind(?:\.\w+)+)`")
INDEX = "reference/python/index.md"
_anchors: dict[str, str] = {}


def on_config(config: Any) -> Any:
    """Add the pages of the rooms to the navigation."""
    package = griffe.load("cardiobind", search_paths=[REPOSITORY / "src"], resolve_aliases=True)
    config.pages_of_rooms = _pages(package)
    (section,) = [entry["Reference"] for entry in config.nav if "Reference" in entry]
    section[:] = [entry for entry in section if "Python" not in entry]
    section.append({"Python": [INDEX, *({uri.split("/")[-1][:-3]: uri} for uri in config.pages_of_rooms)]})
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of the rooms and the list of experiments."""
    for uri, content in config.pages_of_rooms.items():
        files.append(File.generated(config, uri, content=content))
    files.append(File.generated(config, INDEX, content=_index(list(config.pages_of_rooms))))
    files.append(File.generated(config, "reference/experiments.md", content=_experiments()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Return the page with each name of the package leading to its entry in the reference."""
    if page.file.src_uri.startswith(("reference/", "source/")):
        return markdown
    parts = re.split(r"(^```.*?^```|^#.*?$)", markdown, flags=re.MULTILINE | re.DOTALL)
    place = PurePosixPath(page.file.src_uri).parent
    linked = partial(_linked, place=place, pages=config.pages_of_rooms)
    return "".join(part if part.startswith(("```", "#")) else NAMED.sub(linked, part) for part in parts)


def _linked(found: re.Match[str], place: PurePosixPath, pages: Mapping[str, str]) -> str:
    room = f"reference/python/{_room(found[1])}.md"
    if found[1].count(".") == 1 and room in pages:
        return f"[{found[0]}]({relpath(room, place)})"
    anchor = _anchors.get(found[1])
    return f"[{found[0]}][{anchor}]" if anchor else found[0]


def _public() -> list[str]:
    return (REPOSITORY / "tests" / "architecture" / "public_api.txt").read_text().split()


def _spoken_of() -> list[str]:
    files = [REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
    return sorted({name for file in files for name in NAMED.findall(file.read_text())})


def _pages(package: Any) -> dict[str, str]:
    """Return each room's page; every object is shown once, under the first name by which it is met."""
    shown: dict[str, str] = {}
    rooms: dict[str, list[str]] = defaultdict(list)
    homes = [f"cardiobind.{home}.{name}" for name, home in cardiobind._HOMES.items()]
    offered = [*(name for name in _public() if name.count(".") > 1), *homes]
    for name in [*offered, *_spoken_of()]:
        thing = _found(package, name)
        owner, member = (_found(package, name.rpartition(".")[0]), name.rpartition(".")[2])
        if thing.canonical_path not in shown and owner.canonical_path in shown and owner.is_class:
            _anchors[name] = f"{shown[owner.canonical_path]}.{member}"
            continue
        anchor = _anchor(name, thing)
        _anchors[name] = shown.setdefault(thing.canonical_path, anchor)
        if shown[thing.canonical_path] == anchor and name not in rooms[_room(name)]:
            rooms[_room(name)].append(name)
    _anchors.update({f"cardiobind.{home.rpartition('.')[2]}": _anchors[home] for home in homes})
    return {
        f"reference/python/{room}.md": _page(package, room, names, offered) for room, names in sorted(rooms.items())
    }


def _room(name: str) -> str:
    return name.split(".")[1]


def _found(package: Any, name: str) -> Any:
    """Return the object of a dotted name; a function hides the module it is called like."""
    thing = package
    for part in name.split(".")[1:]:
        thing = thing[part]
        thing = thing.final_target if thing.is_alias else thing
    own = name.rpartition(".")[2]
    return thing[own] if thing.is_module and own in thing.members and name in _public() else thing


def _page(package: Any, room: str, names: list[str], offered: list[str]) -> str:
    path = f"cardiobind.{room}"
    alone = not (REPOSITORY / "src" / "cardiobind" / room).is_dir()
    head = [f"# {path}\n", _entry(path, heading=2, members=alone, heading_shown=False)]
    first = [name for name in names if name in offered]
    rest = [name for name in names if name not in offered and name != path]
    if alone:
        return "\n".join(head)
    inside = ["\n## Further inside\n\nNot promised to stay, but named in this documentation.\n"] if rest else []
    return "\n".join([*head, *(_item(package, n) for n in first), *inside, *(_item(package, n) for n in rest)])


def _item(package: Any, name: str) -> str:
    thing = _found(package, name)
    return _entry(_anchor(name, thing), members=not thing.is_module)


def _anchor(name: str, thing: Any) -> str:
    """Return the name that leads to the object: where a function hides its module, the longer one."""
    doubled = thing.canonical_path.endswith(f".{name.rpartition('.')[2]}.{name.rpartition('.')[2]}")
    return thing.canonical_path if doubled else name


def _entry(name: str, *, heading: int = 3, members: bool = True, heading_shown: bool = True) -> str:
    options = [f"heading_level: {heading}", f"show_root_heading: {str(heading_shown).lower()}"]
    options += [] if heading_shown else ["show_root_toc_entry: false"]
    options += [] if members else ["members: false"]
    return f"::: {name}\n    options:\n" + "".join(f"      {option}\n" for option in options)


def _index(pages: list[str]) -> str:
    """Return the names at the top of the package, and the rooms."""
    top = [f"- [`{name}`][{_anchors[name]}]" for name in _public() if name.count(".") == 1]
    rooms = [f"- [`cardiobind.{uri.split('/')[-1][:-3]}`]({uri.split('/')[-1]})" for uri in pages]
    return "\n".join(
        ["# Python", "", "From the top of the package:", "", *top, "", "By room, from the docstrings:", "", *rooms, "",
         "Arrays and tensors are given with their axes, such as (subjects, 12, samples); names carry units."]
    )  # fmt: skip


def _experiments() -> str:
    files = sorted((REPOSITORY / "src" / "cardiobind" / "experiments").glob("*.toml"))
    rows = [
        f"| [`{file.stem}`](../source/src/cardiobind/experiments/{file.name}.md) | {_title(file)} |" for file in files
    ]
    head = "# Experiments\n\n`cardiobind run NAME`; `cardiobind config NAME` prints all of it, defaults included.\n"
    return "\n".join([head, "| name | title |", "| --- | --- |", *rows, ""])


def _title(file: Path) -> str:
    found = re.search(r'^title = "(.*)"', file.read_text(), flags=re.MULTILINE)
    return found[1] if found else ""
