"""The command line's application, and how it shows what goes on."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import cardiobind


class _Verbs(TyperGroup):
    """All verbs; Typer by itself would end an interrupted one without a word."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            print("interrupted: start the same command again to go on from here", file=sys.stderr)  # noqa: T201
            raise typer.Exit(130) from None


app = typer.Typer(
    cls=_Verbs,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _say_version(asked: bool) -> None:
    if asked:
        print(f"cardiobind {cardiobind.__version__}")  # noqa: T201
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and go.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """Learn from ECG, cardiac MRI and medical facts without labels; predict heart disease from few labels."""


def console(*, joint: bool = False) -> Any:
    """Return the display; of processes that do one thing together, the first one's alone is visible."""
    import rich.console

    from cardiobind.pipeline.console import Console
    from cardiobind.training.processes import launched

    return Console(rich.console.Console(quiet=True) if joint and not launched(os.environ).leads else None)


def finish(result: Any, shown: Any) -> None:
    """Show what a run has left for a person."""
    shown.table(result.headers, result.rows, result.title)
    shown.say(f"report:  {result.report}")
    shown.say(f"metrics: {result.metrics}")
    if result.bundle is not None:
        shown.say(f"bundle:  {result.bundle}")
