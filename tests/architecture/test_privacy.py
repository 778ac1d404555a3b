"""No number like a participant's is committed, and the audit that says so can find one."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def audit(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit_privacy", repository / ".ci" / "audit_privacy.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tree_holds_no_participant(repository: Path) -> None:
    if not (repository / ".git").exists():
        pytest.skip("not a git checkout")
    done = subprocess.run(
        [sys.executable, ".ci/audit_privacy.py"], cwd=repository, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("number", [10**6, 10**6 + 99_999, 2 * 10**6 + 1, 5 * 10**6 + 999_999, 64 * 10**5, 65 * 10**5])
@pytest.mark.parametrize("around", ["{}", "eid={},", "{}_20209_2_0.zip", "a {} b", "line\n{}\nline", "x{}y"])
def test_the_audit_finds_participants(audit: ModuleType, number: int, around: str) -> None:
    assert audit.hits(around.format(number).encode())


@pytest.mark.parametrize(
    "text", ["9000001", "999999", "6500001", "20209", f"0.{10**6 + 7}", f"rs{10**6 + 7}", f"{10**9 + 7}", f"1{10**6}"]
)
def test_the_audit_passes_other_numbers(audit: ModuleType, text: str) -> None:
    assert not audit.hits(text.encode())


def test_the_audit_looks_at_names_kinds_and_sizes_and_shows_no_number(audit: ModuleType) -> None:
    number = str(10**6 + 23)
    found = [*audit.problems(f"{number}_20205_2_0.xml", number.encode()), *audit.problems("a.py", bytes(3 * 10**6))]
    assert len(found) == 4
    assert not any(number in problem for problem in found)
