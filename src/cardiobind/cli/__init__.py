"""The verbs of the command line: parsing and printing; the work is in the rooms below."""

from __future__ import annotations

import sys

# the verbs are listed in this order
# isort: off
from cardiobind.cli import learning, results, use, search, files  # noqa: F401

# isort: on
from cardiobind.cli.app import app
from cardiobind.errors import CardiobindError

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line; an error made by the user's input is printed without a stack trace."""
    try:
        app()
    except CardiobindError as error:
        if _speaks():
            print(f"error: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from None


def _speaks() -> bool:
    processes = sys.modules.get("cardiobind.training.processes")
    return processes is None or bool(processes.current().leads)
