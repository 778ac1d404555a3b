"""The verbs of the command line: parsing and printing; the work is in the rooms below."""

from __future__ import annotations

import sys
from typing import NoReturn

# the verbs are listed in this order
# isort: off
from cardiobind.cli import learning, results, use, search, files  # noqa: F401

# isort: on
from cardiobind.cli.app import app
from cardiobind.errors import CardiobindError, InputError

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line; an error made by the user's input or files is printed without a stack trace."""
    try:
        app()
    except CardiobindError as error:
        _end(error)
    except OSError as error:
        if error.filename is None:
            raise
        from cardiobind.formats import masked

        _end(InputError(
            "the system refuses a file or folder", where=masked(str(error.filename)), got=error.strerror,
            hint="is it of the right kind, may it be read or written there, and is there room on the disk?",
        ))  # fmt: skip


def _end(error: CardiobindError) -> NoReturn:
    if _speaks():
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
    raise SystemExit(2) from None


def _speaks() -> bool:
    processes = sys.modules.get("cardiobind.training.processes")
    return processes is None or bool(processes.current().leads)
