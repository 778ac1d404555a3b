"""MkDocs hook: the reference of the command line, out of the application itself."""

from __future__ import annotations

from typing import Any

import typer.main
from mkdocs.structure.files import File, Files

from cardiobind.cli import app


def on_files(files: Files, config: Any) -> Files:
    """Add the page."""
    files.append(File.generated(config, "reference/command_line.md", content=page()))
    return files


def page() -> str:
    """Return a section for each verb."""
    group: Any = typer.main.get_command(app)
    verbs = [_verb(name, command) for name, command in group.commands.items()]
    head = ["# Command line", "", group.help, "", "`cardiobind VERB --help` prints the same.", ""]
    return "\n".join([*head, *verbs])


def _verb(name: str, command: Any) -> str:
    shown = [p for p in command.params if not getattr(p, "hidden", False)]
    words = " ".join(word for p in shown if (word := _word(p)))
    rows = [f"| {_names(p)} | {_default(p)} | {(p.help or '').replace('|', chr(92) + '|')} |" for p in shown]
    table = ["| | default | |", "| --- | --- | --- |", *rows, ""] if rows else []
    return "\n".join([f"## {name}", "", command.help or "", "", "```", f"cardiobind {name} {words}", "```", "", *table])


def _word(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper())
    return f"--{parameter.name.replace('_', '-')} ..." if parameter.required else ""


def _names(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{_word(parameter)}`"
    return ", ".join(f"`{word}`" for word in (*parameter.opts, *parameter.secondary_opts))


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    empty = parameter.default is None or parameter.default == "" or parameter.default is False
    return "" if empty else f"`{parameter.default}`"
