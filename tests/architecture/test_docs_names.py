"""What the documents name exists: modules, functions, tests, experiments, options, features."""

from __future__ import annotations

import ast
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from cardiobind.config import Experiment, load_experiment, parse_experiment
from cardiobind.modalities.features import FEATURES
from cardiobind.registry import Registry
from cardiobind.sources import SOURCES
from cardiobind.tasks import TASKS

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
DOTTED = re.compile(r"`(cardiobind(?:\.\w+)+)`")
TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
LINE = re.compile(r"cardiobind (?:run|config|prepare|pretrain|align|finetune) [^`]+")


def pages(repository: Path) -> dict[str, str]:
    files = [repository / "README.md", repository / "CONTRIBUTING.md", *sorted(repository.glob("docs/**/*.md"))]
    return {file.relative_to(repository).as_posix(): file.read_text() for file in files}


def text(repository: Path) -> str:
    return "\n".join(pages(repository).values())


def defined(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    """Return the names that a module or class defines or imports."""
    names: dict[str, ast.stmt] = {}
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names[node.name] = node
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: node for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id: node for target in targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.If):
            names |= defined(node.body)
    return names


def exists(package: Path, dotted: str) -> bool:
    """Tell whether a dotted name is a module of the package or something in one, without importing it."""
    place, parts = package, dotted.split(".")[1:]
    while parts and ((place / parts[0]).is_dir() or (place / f"{parts[0]}.py").is_file()):
        place = place / parts[0] if (place / parts[0]).is_dir() else place / f"{parts[0]}.py"
        parts = parts[1:]
    body = ast.parse((place / "__init__.py" if place.is_dir() else place).read_text()).body
    for part in parts:
        node = defined(body).get(part)
        if node is None:
            return False
        body = node.body if isinstance(node, ast.ClassDef) else []
    return True


def test_dotted_names_are_found_and_others_are_not(repository: Path) -> None:
    package = repository / "src" / "cardiobind"
    assert exists(package, "cardiobind.artifact")
    assert exists(package, "cardiobind.methods.finetune.Finetune.logits")
    assert not exists(package, "cardiobind.methods.finetune.Finetune.fly")
    assert not exists(package, "cardiobind.wings.flap")


def test_modules_and_functions_that_are_named_exist(repository: Path) -> None:
    named = sorted(set(DOTTED.findall(text(repository))))
    assert len(named) > 40
    wrong = [name for name in named if not exists(repository / "src" / "cardiobind", name)]
    assert not wrong, wrong


def test_tests_that_are_named_exist(repository: Path) -> None:
    named = sorted(set(TEST.findall(text(repository))))
    assert len(named) > 30
    wrong = [
        f"{file}::{function}"
        for file, function in named
        if not (repository / file).is_file() or f"def {function}(" not in (repository / file).read_text() + "def ("
    ]
    assert not wrong, wrong


def command_lines(repository: Path) -> list[list[str]]:
    """Return the words after `cardiobind VERB` of each command that takes an experiment."""
    blocks = [body for page in pages(repository).values() for _, body in BLOCK.findall(page)]
    inline = re.findall(r"`(cardiobind [^`\n]+)`", text(repository))
    lines = [line for block in blocks for line in block.splitlines()] + inline
    return [shlex.split(line)[2:] for line in lines if LINE.match(line)]


def test_experiments_and_overrides_in_commands_are_valid(repository: Path) -> None:
    shipped = {file.stem: file for file in (repository / "experiments").glob("*.toml")}
    lines = [words for words in command_lines(repository) if words[0] in shipped]
    assert lines
    for name, *words in lines:
        assert isinstance(load_experiment(shipped[name], overrides_of(words)), Experiment)


def overrides_of(words: list[str]) -> list[str]:
    return [word for word in words if "=" in word and not word.startswith("--")]


def whole_experiments(repository: Path) -> list[str]:
    blocks = [block for page in pages(repository).values() for block in BLOCK.findall(page)]
    return [body for language, body in blocks if language == "toml" and body.startswith("name =")]


def test_experiments_that_are_shown_are_valid(repository: Path) -> None:
    shown = whole_experiments(repository)
    assert shown
    for body in shown:
        experiment = parse_experiment(tomllib.loads(body))
        assert experiment.source.kind in SOURCES.names()
        assert experiment.protocol.task in TASKS.names()


def test_overrides_that_are_shown_fit_the_experiment_that_is_shown(repository: Path) -> None:
    lines = [words for words in command_lines(repository) if words[0] == "my.toml" and len(words) > 1]
    assert lines
    for words in lines:
        parse_experiment(tomllib.loads(whole_experiments(repository)[0]), overrides_of(words[1:]))


def test_python_that_is_shown_can_be_parsed(repository: Path) -> None:
    blocks = [body for page in pages(repository).values() for language, body in BLOCK.findall(page)
              if language == "python"]  # fmt: skip
    assert blocks
    for body in blocks:
        ast.parse(body)


def test_each_feature_is_in_the_page_of_features_with_its_field(repository: Path) -> None:
    page = (repository / "docs" / "explanation" / "features.md").read_text()
    absent = [f.name for f in FEATURES if f"| `{f.name}` | {f.ukb_field} |" not in page]
    assert not absent, absent


@pytest.mark.parametrize(("registry", "page"), [(TASKS, "docs/explanation"), (SOURCES, "README.md")])
def test_what_can_be_chosen_is_documented(repository: Path, registry: Registry[object], page: str) -> None:
    place = repository / page
    found = place.read_text() if place.is_file() else "\n".join(f.read_text() for f in place.glob("*.md"))
    assert not [name for name in registry.names() if name not in found]
