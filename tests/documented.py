"""What the documents tell a reader to type: commands of a shell, and Python."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = frozenset(
    """cardiobind python python3 python3.11 pip pytest torchrun srun sbatch mkdocs export curl git docker ruff mypy
    lint-imports dask dx cd . source .ci/run ssh unzip tar cp jupyter sha256sum wget uv conda apptainer scp rsync
    tensorboard""".split()
)
FENCE = re.compile(r"^(```+)([\w-]*)\n(.*?)^\1", flags=re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^(?: {4,}[^\n]*)?\n)*^ {4,}[^\n]*\n", flags=re.MULTILINE)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
SHELL = ("", "bash", "sh", "shell", "console")
BREAKS = re.compile(r"\s*(?:&&|;|&(?!&)|\|(?!\|))\s*(?=(?:[^'\"]*(?:'[^']*'|\"[^\"]*\"))*[^'\"]*$)")


@dataclass(frozen=True)
class Block:
    """A block of a page.

    Attributes:
        page: path in the repository.
        line: where it begins.
        language: what stands after the fence; of an indented block nothing.
        body: without fence and common indentation.
    """

    page: str
    line: int
    language: str
    body: str


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        page, line: where it stands first.
        text: as it is typed, continued lines joined.
        quoted: within a sentence, so perhaps with a stand-in such as FILE.
    """

    page: str
    line: int
    text: str
    quoted: bool = False

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text.replace("$(which cardiobind)", "cardiobind"), comments=True)

    def __str__(self) -> str:
        return f"{self.page}:{self.line} {self.text}"


def pages(repository: Path) -> dict[str, str]:
    """Return the text of each page that a reader is led to."""
    files = [repository / "README.md", repository / "CONTRIBUTING.md", *sorted(repository.glob("docs/**/*.md"))]
    return {file.relative_to(repository).as_posix(): file.read_text() for file in files}


def blocks(repository: Path) -> Iterator[Block]:
    """Yield fenced and indented blocks of all pages."""
    for page, text in pages(repository).items():
        for found in FENCE.finditer(text):
            yield Block(page, _line(text, found.start()), found[2], found[3])
        rest = FENCE.sub(lambda found: "\n" * found[0].count("\n"), text)
        for found in INDENTED.finditer(rest):
            body = "\n".join(line[4:] for line in found[0].split("\n"))
            if _programs(body):
                yield Block(page, _line(text, found.start()), "", body)


def commands(repository: Path) -> list[Command]:
    """Return each command once: those in blocks first, then those in sentences."""
    found = [*_in_blocks(repository), *_in_sentences(repository)]
    return list({command.text: command for command in reversed(found)}.values())[::-1]


def _in_blocks(repository: Path) -> Iterator[Command]:
    for block in blocks(repository):
        if block.language in SHELL and (block.language or _programs(block.body)):
            yield from _commands(block)


def _commands(block: Block) -> Iterator[Command]:
    joined = re.sub(r"\\\n\s*", " ", block.body)
    for number, line in enumerate(joined.splitlines(), block.line + 1):
        stripped = line.strip().removeprefix("$ ")
        if stripped.startswith("#") or not stripped:
            continue
        for part in BREAKS.split(stripped):
            if part:
                yield Command(block.page, number, part)


def _in_sentences(repository: Path) -> Iterator[Command]:
    for page, text in pages(repository).items():
        rest = FENCE.sub(lambda found: "\n" * found[0].count("\n"), text)
        for found in INLINE.finditer(rest):
            first, _, more = found[1].partition(" ")
            if first in PROGRAMS and more and first != ".":
                yield from (
                    Command(page, _line(text, found.start()), part, quoted=True) for part in BREAKS.split(found[1])
                )


def _programs(body: str) -> set[str]:
    return {line.split()[0] for line in body.splitlines() if line.strip()} & PROGRAMS


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
