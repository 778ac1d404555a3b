"""What is dear to make is made once for all workers of a session."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from filelock import FileLock

Made = TypeVar("Made")


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Made]) -> Made:
    """Return what `make` returns for an empty folder: called by the worker that asks first, unpickled by the others.

    Tests must not change the folder. In a session of one process it is called there.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return make(factory.mktemp(name))
    common = factory.getbasetemp().parent
    kept, folder = common / f"{name}.pickle", common / name
    with FileLock(common / f"{name}.lock"):
        if not kept.exists():
            folder.mkdir(exist_ok=True)
            kept.write_bytes(pickle.dumps(make(folder)))
    made: Made = pickle.loads(kept.read_bytes())  # noqa: S301
    return made
