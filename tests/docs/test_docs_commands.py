"""Every command of the documents is run, or checked word by word with a reason why it is not."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer.main
from programs import BY
from ways import WAYS, Way, way

from calling import Call
from cardiobind.cli import app
from cardiobind.config import load_experiment, parse_experiment
from documented import FENCE, SHELL, Command, blocks, commands

REPOSITORY = Path(__file__).resolve().parents[2]
COMMANDS = commands(REPOSITORY)
OURS = [c for c in COMMANDS if "cardiobind" in c.words and c.words[0] != "pip" and "--help" not in c.words]
TAKES_EXPERIMENT = {"run", "config", "prepare", "pretrain", "align", "finetune"}
SHOWN = re.search(r"^```toml\n(name = .*?)^```", (REPOSITORY / "docs/howto/own_experiment.md").read_text(), re.M | re.S)


def run_by(how: str) -> list[Any]:
    return [pytest.param(c, w, id=str(c)) for c in COMMANDS if (w := way(c)) is not None and w.how == how]


def test_every_command_has_a_way() -> None:
    """With `pytest -s` it prints what is not run, and why; a new command fails until somebody says how it is tested."""
    assert len(COMMANDS) > 80
    unknown = [str(command) for command in COMMANDS if way(command) is None]
    assert not unknown, "add a way to tests/docs/ways.py for:\n" + "\n".join(unknown)
    checked = [(c, w.why) for c in COMMANDS if (w := way(c)) is not None and w.how == "check" and len(c.words) > 2]
    print(f"\n{len(COMMANDS)} commands in the documents; not run, but checked:")
    print(*(f"{why:<90} {command}" for command, why in sorted(checked, key=lambda row: row[1])), sep="\n")


def test_every_way_is_needed() -> None:
    used = {id(way(command)) for command in COMMANDS}
    assert not [one.pattern for one in WAYS if id(one) not in used]
    assert not [one.pattern for one in WAYS if one.how == "check" and not one.why]


def test_no_block_is_left_out() -> None:
    """A block without a language in which a known program is called is commands; other languages are known ones."""
    odd = {"python", "toml", "json", "csv", "text", *SHELL}
    unknown = [f"{b.page}:{b.line} {b.language}" for b in blocks(REPOSITORY) if b.language not in odd]
    assert not unknown, unknown
    for page in {block.page for block in blocks(REPOSITORY)}:
        text = (REPOSITORY / page).read_text()
        assert text.count("\n```") % 2 == 0, f"{page}: a fence is open"
        assert "\n```" not in FENCE.sub("", text), f"{page}: a fence that is not found"


@pytest.mark.parametrize("command", OURS, ids=str)
def test_the_words_are_valid(command: Command) -> None:
    words = _made_whole(command)
    parsed = _parsed(words)
    if words[0] in TAKES_EXPERIMENT and len(words) > 1:
        _check_experiment(parsed["experiment"], parsed["overrides"] or [])


def _made_whole(command: Command) -> list[str]:
    """Return the words after `cardiobind`, with what stands for a stand-in."""
    words = command.words[command.words.index("cardiobind") + 1 :]
    one = way(command)
    return [one.instead.get(word, word) if one else word for word in words]


def _parsed(words: list[str]) -> dict[str, Any]:
    verb: Any = _verbs()[words[0]]
    context = verb.make_context(words[0], words[1:], resilient_parsing=len(words) == 1)
    return dict(context.params)


def _verbs() -> dict[str, Any]:
    group: Any = typer.main.get_command(app)
    return dict(group.commands)


def _check_experiment(name: str | None, overrides: list[str]) -> None:
    shipped = REPOSITORY / "experiments" / f"{name}.toml"
    if shipped.exists():
        load_experiment(shipped, overrides)
    elif name is not None:
        assert name.endswith(".toml")
        assert SHOWN is not None
        parse_experiment(tomllib.loads(SHOWN[1]), overrides)


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.words[0] == "python"], ids=str)
def test_scripts_have_the_options(command: Command) -> None:
    script = REPOSITORY / command.words[1]
    if command.words[1] == "-m":
        return
    literals = {node.value for node in ast.walk(ast.parse(script.read_text())) if isinstance(node, ast.Constant)}
    options = {word.partition("=")[0] for word in command.words if word.startswith("--")}
    assert options <= literals, options - literals


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.words[0] == "pytest"], ids=str)
def test_tests_that_are_to_be_run_exist(command: Command) -> None:
    assert all((REPOSITORY / word).exists() for word in command.words[1:] if word.startswith(("tests/", "benchmarks")))


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.words[:2] == ["pip", "install"]], ids=str)
def test_extras_and_constraints_exist(command: Command) -> None:
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {extra for found in re.findall(r"\[([\w,-]+)\]", command.text) for extra in found.split(",")}
    assert named <= set(extras)
    files = [command.words[place + 1] for place, word in enumerate(command.words) if word == "-c"]
    assert all((REPOSITORY / file).is_file() for file in files)


@pytest.mark.parametrize(("command", "one"), run_by("run"))
def test_it_runs(command: Command, one: Way, call: Call, visited: Path) -> None:
    _run(command, one, call, visited)


@pytest.mark.slow
@pytest.mark.parametrize(("command", "one"), run_by("slow"))
def test_it_runs_small(command: Command, one: Way, call: Call, visited: Path) -> None:
    _run(command, one, call, visited)


def _run(command: Command, one: Way, call: Call, home: Path) -> None:
    one.before(home)
    for name in one.without:
        place = home / name
        place.rename(home / f"away-{name}")
    words = one.words(command)
    within = words[0] == "cardiobind" and not one.by
    done = call(words[1:]) if within else BY[one.by or "shell"](words, home)
    assert done.code == one.code, (done.err or done.out)[-3000:]
    assert "does not provide the extra" not in done.err
