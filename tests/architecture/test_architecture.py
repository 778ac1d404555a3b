"""The building keeps its shape: arrows run one way, rooms stay small, torch stays where it belongs."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

LONGEST_FUNCTION = 60
LONGEST_FILE = 400
DRAWERS = {"util", "utils", "helper", "helpers", "misc", "common", "tools"}
WITHOUT_TORCH = ("modalities", "formats", "sources", "simulate", "cohort", "tasks", "evaluation")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_arrows_run_one_way(repository: Path) -> None:
    command = shutil.which("lint-imports", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert command is not None, "import-linter is not installed: pip install -e '.[dev]'"
    done = subprocess.run(
        [command, "--no-cache", "--no-logo"], cwd=repository, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_functions_are_short(modules: dict[Path, ast.Module]) -> None:
    long = [
        f"{file.name}:{node.lineno} {node.name} {length}"
        for file, tree in modules.items()
        for node in functions(tree)
        if (length := (node.end_lineno or node.lineno) - node.lineno + 1) > LONGEST_FUNCTION
    ]
    assert not long, long


def test_files_are_short(modules: dict[Path, ast.Module]) -> None:
    long = {file.name: n for file in modules if (n := len(file.read_text().splitlines())) > LONGEST_FILE}
    assert not long, long


def test_there_is_no_drawer(modules: dict[Path, ast.Module]) -> None:
    assert not [file for file in modules if file.stem in DRAWERS or file.parent.name in DRAWERS]


def test_each_folder_is_a_package_that_says_what_it_holds(modules: dict[Path, ast.Module]) -> None:
    folders = {file.parent for file in modules}
    without = [folder.name for folder in folders if not (folder / "__init__.py").is_file()]
    assert not without, f"setuptools leaves folders without __init__.py out of the package: {without}"
    silent = [str(file) for file, tree in modules.items() if not ast.get_docstring(tree)]
    assert not silent, silent


def test_nothing_is_left_unfinished(modules: dict[Path, ast.Module]) -> None:
    found = [f"{file.name}: {match.group()}" for file in modules for match in UNFINISHED.finditer(file.read_text())]
    assert not found, found


def test_input_is_never_checked_by_assert(modules: dict[Path, ast.Module]) -> None:
    found = [
        f"{file.name}:{node.lineno}"
        for file, tree in modules.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert)
    ]
    assert not found, f"assert vanishes under python -O: {found}"


def test_only_the_training_room_knows_lightning(modules: dict[Path, ast.Module], repository: Path) -> None:
    root = repository / "src" / "cardiobind"
    knows = {
        file.relative_to(root).parts[0]
        for file, tree in modules.items()
        for node in ast.walk(tree)
        for name in imported(node)
        if name.split(".")[0] in ("lightning", "pytorch_lightning")
    }
    assert knows <= {"training"}


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []


IMPORT_ALL = """
import importlib, os, pkgutil, sys, traceback
import matplotlib.pyplot, pandas, pyarrow.parquet, pydantic, pydicom, scipy.signal, scipy.stats, sklearn.linear_model

def room_alone(name):
    room = importlib.import_module("cardiobind." + name)
    for found in pkgutil.walk_packages(getattr(room, "__path__", []), room.__name__ + "."):
        importlib.import_module(found.name)
    heavy = sorted({{"torch", "lightning", "torchvision"}} & sys.modules.keys())
    assert not heavy, (name, heavy)

assert not [name for name in sys.modules if name.startswith("cardiobind")]
failed = []
for name in {rooms}:
    child = os.fork()
    if not child:
        try:
            room_alone(name)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)
    failed += [name] if os.waitpid(child, 0)[1] else []
assert not failed, failed
"""


def test_each_room_of_ingest_and_evaluation_runs_alone_and_without_torch() -> None:
    """Each is imported in a process of its own, which has what others wrote in it and nothing of cardiobind."""
    done = run_python(IMPORT_ALL.format(rooms=WITHOUT_TORCH))
    assert done.returncode == 0, done.stderr


HELP = """
import sys
from typer.testing import CliRunner
from cardiobind.cli import app
result = CliRunner().invoke(app, ["--help"])
assert result.exit_code == 0, result.output
heavy = {"torch", "lightning", "pandas", "numpy", "scipy", "sklearn", "matplotlib", "pydantic"} & sys.modules.keys()
assert not heavy, heavy
"""


def test_help_imports_nothing_heavy() -> None:
    done = run_python(HELP)
    assert done.returncode == 0, done.stderr


def test_importing_the_package_is_cheap() -> None:
    done = run_python("import sys, cardiobind; assert 'torch' not in sys.modules and 'pandas' not in sys.modules")
    assert done.returncode == 0, done.stderr


def test_torchvision_is_absent_or_sound() -> None:
    done = run_python("import importlib.util as u\nif u.find_spec('torchvision'): import torchvision")
    assert done.returncode == 0, (
        "torchvision is installed and does not fit the torch that is installed; cardiobind needs none of it: "
        f"pip uninstall torchvision\n{done.stderr}"
    )
