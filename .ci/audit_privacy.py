"""Fails if a tracked file, its name or the history holds a number that UK Biobank's audit takes for a participant."""

# ruff: noqa: S603, S607, T201

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Iterator

# participant numbers have seven digits, from one million to six and a half
PARTICIPANT = re.compile(rb"(?<!\d)(?<!\.)(?<!rs)(10[0-9]{5}|[1-5][0-9]{6}|6[0-4][0-9]{5}|650{5})(?!\d)")
LARGEST_BYTES = 2_000_000
DATA_ENDINGS = (
    ".ckpt", ".dat", ".dcm", ".edf", ".hea", ".npy", ".npz", ".parquet", ".pkl", ".safetensors", ".xml", ".zip",
)  # fmt: skip


def hits(content: bytes) -> list[int]:
    """Return the numbers of the lines that hold a number like a participant's; the number itself is not shown."""
    return [i for i, line in enumerate(content.split(b"\n"), 1) if PARTICIPANT.search(line)]


def problems(name: str, content: bytes) -> Iterator[str]:
    """Yield what is wrong with one file."""
    if PARTICIPANT.search(name.encode()):
        name = PARTICIPANT.sub(b"(number)", name.encode()).decode()
        yield f"{name}: a file name holds a number like a participant's"
    if name.lower().endswith(DATA_ENDINGS):
        yield f"{name}: files of this kind hold data and are not committed"
    if len(content) > LARGEST_BYTES:
        yield f"{name}: {len(content)} bytes, more than {LARGEST_BYTES}"
    for line in hits(content):
        yield f"{name}:{line}: a number like a participant's"


def _git(*arguments: str, text: bytes | None = None) -> bytes:
    return subprocess.run(["git", *arguments], input=text, capture_output=True, check=True).stdout


def tracked() -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each file that git holds or would take, as it stands in the working tree."""
    for name in _git("ls-files", "-z", "--cached", "--others", "--exclude-standard").decode().split("\0"):
        try:
            with open(name, "rb") as stream:
                yield name, stream.read()
        except (FileNotFoundError, IsADirectoryError):
            continue


def history() -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each blob and each commit message in the history of any branch."""
    rows = [row.partition(" ") for row in _git("rev-list", "--all", "--objects").decode().splitlines()]
    wanted = "".join(f"{digest}\n" for digest, _, _ in rows)
    stream = io.BytesIO(_git("cat-file", "--batch", text=wanted.encode()))
    for _, _, name in rows:
        _, kind, size = stream.readline().decode().split()
        content = stream.read(int(size) + 1)[:-1]
        if kind == "blob":
            yield name, content
        elif kind == "commit":
            yield "a commit message", content.partition(b"\n\n")[2]


def main(arguments: list[str]) -> int:
    """Print each problem; return 1 if there is one."""
    sources = [tracked()] + ([history()] if "--history" in arguments else [])
    found = sorted({problem for source in sources for name, content in source for problem in problems(name, content)})
    print("\n".join(found) or "no number like a participant's, no data file")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
