"""MkDocs hook: files outside docs/ that pages link to become pages of the site, and the links lead to them."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath
from typing import Any

from mkdocs.structure.files import File, Files

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENTS = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
LANGUAGES = {".py": "python", ".toml": "toml", ".json": "json"}
LINK = re.compile(r"(\]\()([^)\s:]+?)((?:#[^)\s]*)?\))")


def on_files(files: Files, config: Any) -> Files:
    """Add the documents of the root, and each other file that a page links to, as a page that shows it."""
    for name, uri in DOCUMENTS.items():
        files.append(File.generated(config, uri, content=(REPOSITORY / name).read_text()))
    for target in sorted(_targets(files)):
        files.append(File.generated(config, _uri(target), content=_shown(target)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Return the page with links out of docs/ leading to the pages of the site."""
    place = page.file.src_uri
    return LINK.sub(lambda found: found[1] + _renamed(found[2], place) + found[3], markdown)


def _home(uri: str) -> PurePosixPath:
    """Return the folder that links of a page count from, relative to the root of the repository."""
    return PurePosixPath("" if uri in DOCUMENTS.values() else "docs") / PurePosixPath(uri).parent


def _outside(target: str, place: str) -> str | None:
    """Return the path in the repository that a link out of docs/ leads to."""
    path = normpath(str(_home(place) / target))
    return None if path.startswith(("docs/", "..")) or not (REPOSITORY / path).is_file() else path


def _renamed(target: str, place: str) -> str:
    path = _outside(target, place)
    if path is not None:
        return relpath(_uri(path), PurePosixPath(place).parent)
    return target.removeprefix("docs/") if place in DOCUMENTS.values() else target


def _uri(path: str) -> str:
    return DOCUMENTS.get(path, f"source/{path}.md")


def _targets(files: Files) -> set[str]:
    pages = [(file.src_uri, file.content_string) for file in files if file.is_documentation_page()]
    found = {_outside(target, place) for place, text in pages for _, target, _ in LINK.findall(text)}
    shipped = {str(file.relative_to(REPOSITORY)) for file in REPOSITORY.glob("src/cardiobind/experiments/*.toml")}
    return ({path for path in found if path} | shipped) - set(DOCUMENTS)


def _shown(path: str) -> str:
    language = LANGUAGES.get(PurePosixPath(path).suffix, "text")
    fence = "````"
    head = f"---\nsearch: {{ exclude: true }}\n---\n# {PurePosixPath(path).name}\n\n`{path}`\n\n"
    return f"{head}{fence}{language}\n{(REPOSITORY / path).read_text()}\n{fence}\n"
