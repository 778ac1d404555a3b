"""What tables of the documents list is what there is."""

from __future__ import annotations

import re
from pathlib import Path

from cardiobind.sharing import export_hub

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_files_of_a_hub_folder_are_listed(home: Path, tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "howto" / "share.md").read_text()
    section = page.split("## A folder for a model hub")[1].split("## ")[0]
    listed = re.findall(r"^\| `([^`]+)` \|", section, flags=re.M)
    assert sorted(listed) == list(export_hub(home / "my-bundle", tmp_path / "hub").files)
