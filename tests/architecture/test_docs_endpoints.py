"""The page on endpoints is what the code says."""

from __future__ import annotations

import runpy
from pathlib import Path

from cardiobind.tasks import REASONS, TASKS


def test_the_tables_of_the_page_are_written_from_the_code(repository: Path) -> None:
    page = (repository / "docs" / "explanation" / "endpoints.md").read_text()
    written = runpy.run_path(str(repository / "docs" / "write_endpoints.py"))["render"](page)
    assert page == written, "python docs/write_endpoints.py"
    for name in (*TASKS, *REASONS):
        assert f"| `{name}` |" in page
