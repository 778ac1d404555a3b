"""Fails where the tests leave more than one branch in twenty of a promised room untaken."""

# ruff: noqa: T201

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

REQUIRED_PERCENT = 95.0
ROOMS = {
    "foundation": ("errors.py", "registry.py", "rng.py", "artifact.py", "config/"),
    "cohort": ("cohort/",),
    "objectives": ("objectives/",),
}


def main(report: Path) -> int:
    """Print the coverage of each room; return 1 if one is below what is required."""
    files: dict[str, Any] = json.loads(report.read_text())["files"]
    failed = False
    for room, places in ROOMS.items():
        chosen = {name: entry for name, entry in files.items() if _is_in(name, places)}
        percent = _percent(list(chosen.values()))
        failed |= percent <= REQUIRED_PERCENT
        print(f"{room}: {percent:.1f} % of branches in {len(chosen)} files")
        if percent <= REQUIRED_PERCENT:
            _print_gaps(chosen)
    return int(failed)


def _is_in(name: str, places: tuple[str, ...]) -> bool:
    inner = name.replace("\\", "/").rpartition("src/cardiobind/")[2]
    return any(inner == place or (place.endswith("/") and inner.startswith(place)) for place in places)


def _percent(entries: list[dict[str, Any]]) -> float:
    branches: int = sum(entry["summary"]["num_branches"] for entry in entries)
    covered: int = sum(entry["summary"]["covered_branches"] for entry in entries)
    statements: int = sum(entry["summary"]["num_statements"] for entry in entries)
    if not statements:
        return 0.0
    reached: int = sum(entry["summary"]["covered_lines"] for entry in entries)
    lines = 100.0 * reached / statements
    return min(lines, 100.0 * covered / branches if branches else 100.0)


def _print_gaps(entries: dict[str, dict[str, Any]]) -> None:
    for name, entry in sorted(entries.items()):
        if entry["missing_branches"] or entry["missing_lines"]:
            print(f"  {name}: lines {entry['missing_lines']}, branches {entry['missing_branches']}")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
