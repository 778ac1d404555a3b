"""What the documents say exists: commands, files, and the two lines that the CI runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer.main

from cardiobind.cli import app

INSTALL_AND_DEMO = "pip install -c constraints-cpu.txt . && cardiobind demo"
INSTALL_AND_TEST = "pip install -c constraints-cpu.txt -e '.[dev]' && pytest"
CODE = re.compile(r"^```.*?^```|`[^`\n]+`|^ {4}[^\n]*$", flags=re.MULTILINE | re.DOTALL)
FENCE = re.compile(r"^```.*?^```", flags=re.MULTILINE | re.DOTALL)
VERB = re.compile(r"(?<![\w./-])cardiobind +([a-z][a-z-]*)\b(?!\.)")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def documents(repository: Path) -> list[Path]:
    return sorted([*repository.glob("*.md"), *repository.glob("docs/**/*.md")])


def verbs() -> set[str]:
    command: Any = typer.main.get_command(app)
    return set(command.commands)


def mentioned(text: str) -> set[str]:
    return {verb for code in CODE.findall(text) for verb in VERB.findall(code)}


def test_the_commands_of_the_documents_exist(repository: Path) -> None:
    for file in documents(repository):
        unknown = mentioned(file.read_text()) - verbs()
        assert not unknown, f"{file.name} names commands that do not exist: {unknown}"


def test_each_command_is_documented(repository: Path) -> None:
    everything = set().union(*(mentioned(file.read_text()) for file in documents(repository)))
    assert len(verbs()) >= 10
    assert not verbs() - everything


@pytest.mark.parametrize("line", [INSTALL_AND_DEMO, INSTALL_AND_TEST])
def test_the_readme_holds_the_two_commands(repository: Path, line: str) -> None:
    assert line in (repository / "README.md").read_text()


def test_the_ci_runs_the_commands_of_the_readme(repository: Path) -> None:
    script = (repository / ".ci" / "run").read_text()
    for part in ("-c constraints-cpu.txt .", "-c constraints-cpu.txt -e '.[dev]'", "cardiobind demo", "pytest"):
        assert part in script


def test_links_between_documents_lead_somewhere(repository: Path) -> None:
    broken = [
        f"{file.relative_to(repository)}: {target}"
        for file in documents(repository)
        for target in LINK.findall(file.read_text())
        if not re.match(r"[a-z]+:", target) and not (file.parent / target).exists()
    ]
    assert not broken, broken


def test_every_decision_is_in_the_list(repository: Path) -> None:
    folder = repository / "docs" / "decisions"
    listed = set(LINK.findall((folder / "README.md").read_text()))
    assert listed == {file.name for file in folder.glob("[0-9]*.md")}


def test_each_page_is_in_the_navigation_of_the_site(repository: Path) -> None:
    listed = set(re.findall(r"[\w/]+\.(?:md|ipynb)$", (repository / "mkdocs.yml").read_text(), flags=re.MULTILINE))
    files = [
        *repository.glob("docs/**/*.md"),
        *(f.with_suffix(".md") for f in repository.glob("docs/notebooks/*.ipynb")),
    ]
    pages = {file.relative_to(repository / "docs").as_posix() for file in files}
    decisions = {page for page in pages if page.startswith("decisions/0")}
    assert not pages - decisions - listed, "add it to `nav` in mkdocs.yml"
    index = set(LINK.findall((repository / "docs" / "README.md").read_text().replace(".ipynb", ".md")))
    assert not pages - decisions - index - {"README.md"}, "add it to docs/README.md"
    assert listed - pages <= {
        "contributing.md",
        "changelog.md",
        "reference/command_line.md",
        "reference/experiments.md",
    }


def test_a_list_begins_after_an_empty_line(repository: Path) -> None:
    """Readers of Markdown differ in what they make of a list that follows a line of text."""
    joined = re.compile(r"^(?!- |\s|\d+\. |$)[^\n]*\n(?=- )", flags=re.MULTILINE)
    wrong = [f"{file.name}: {line}" for file in documents(repository)
             for line in joined.findall(FENCE.sub("", file.read_text()))]  # fmt: skip
    assert not wrong, wrong


def test_the_licence_is_the_full_text(repository: Path) -> None:
    text = (repository / "LICENSE").read_text()
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert len(text) > 10_000
