"""The command line, called as a person calls it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest

from calling import Call, Done
from cardiobind import cli


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run ``cardiobind`` with arguments in this process."""

    def run(words: Sequence[object]) -> Done:
        monkeypatch.setattr(sys, "argv", ["cardiobind", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        shown = capsys.readouterr()
        return Done(int(ended.value.code or 0), shown.out, shown.err)

    return run
