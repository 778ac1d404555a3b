"""Options of the verbs that take many subjects at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from cardiobind.errors import ConfigError

Subjects = Annotated[
    Path | None, typer.Option(help="Table of many: subject, ecg, cmr, and facts; paths count from its folder.")
]
Folder = Annotated[Path | None, typer.Option(help="Folder of many: each ECG file below it is a subject.")]
SourceKind = Annotated[str | None, typer.Option("--source", help="Data set of many, such as ukb or ptbxl, in --root.")]
Root = Annotated[Path | None, typer.Option(help="Folder of the --source.")]
Inputs = Annotated[str | None, typer.Option(help="Modalities to use, such as ecg+tabular; by default all.")]
IgnoreUnknown = Annotated[
    bool, typer.Option("--ignore-unknown", help="Go on without columns that are no medical fact.")
]
Workers = Annotated[int, typer.Option(help="Processes that read files of many; 0: this one alone.")]
Seconds = Annotated[float, typer.Option(help="Longest that reading one of many may take.")]
MemoryGib = Annotated[float, typer.Option(help="Most memory that reading one of many may take.")]
WORKERS = 2
SECONDS = 60.0
MEMORY_GIB = 4.0
_USUAL = {"workers": WORKERS, "seconds": SECONDS, "memory_gib": MEMORY_GIB}


def modality_names(inputs: str | None) -> tuple[str, ...] | None:
    """Return the names in a set of inputs, None for none; see `cardiobind.modalities.spec.split_inputs`."""
    from cardiobind.modalities.spec import split_inputs

    return None if inputs is None else split_inputs(inputs)


def limits(seconds: float, memory_gib: float) -> Any:
    """Return the limits of one subject."""
    from cardiobind.cohort.ingest.guard import Limits

    return Limits(seconds, int(memory_gib * 2**30))


def refuse_beside_one(many: Mapping[str, object]) -> None:
    """Refuse options of many where one subject is scored.

    Args:
        many: their values by name.

    Raises:
        ConfigError: one is not its default.
    """
    given = [_option(name) for name, value in many.items() if value != _USUAL.get(name)]
    if given:
        raise ConfigError(
            "an option of many subjects where one is scored", got=", ".join(given),
            hint="say --subjects, --folder or --source, or leave it out",
        )  # fmt: skip


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def refuse_beside_many(out: Path | None, one: Mapping[str, object]) -> None:
    """Refuse options of one subject beside those of many, and many without a table to write.

    Raises:
        ConfigError: there is such an option, or no `out`.
    """
    given = [_option(name) for name, value in one.items() if value is not None]
    if given:
        raise ConfigError("an option of one subject beside those of many", got=", ".join(given), hint="leave it out")
    if out is None:
        raise ConfigError("where shall the table of many be written?", where="--out", expected="a path.parquet")
