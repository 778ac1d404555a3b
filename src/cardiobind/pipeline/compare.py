"""Any models head to head: tables of predictions in, differences on the same subjects out."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cardiobind.artifact import file_sha256
from cardiobind.errors import InputError
from cardiobind.evaluation import evaluate
from cardiobind.evaluation.external import match, read_model
from cardiobind.evaluation.report import Report, write_papers, write_report
from cardiobind.pipeline.results import read_predictions
from cardiobind.registry import did_you_mean

_SAID = ("task", "split", "kind", "seed", "arm", "inputs", "fraction")


@dataclass(frozen=True)
class Compared:
    """What a comparison leaves for a person.

    Attributes:
        report: HTML page.
        metrics: JSON of everything measured.
        tables: CSV, Markdown and LaTeX files, model card and checklist.
        notes: what was left out.
    """

    report: Path
    metrics: Path
    tables: tuple[Path, ...]
    notes: tuple[str, ...]


def compare_files(
    models: Sequence[str], out: Path, *, baseline: str | None = None, only: Sequence[str] = (), title: str = "",
    resamples: int = 2000, seed: int = 0,
) -> Compared:  # fmt: skip
    """Compare models by their predictions, on the test subjects that all of them have.

    Args:
        models: paths of Parquet or CSV tables as `cardiobind.evaluation.external` describes, each with a name before
            it (``mine=a.csv``) or named after its file.
        out: folder that receives ``report.html``, ``metrics.json`` and ``tables/``.
        baseline: model that every other one is compared with; the first where it is not given.
        only: ``COLUMN=VALUE``, rows to keep.
        title: heading of the page.
        resamples: bootstrap resamples.
        seed: of the bootstrap.

    Raises:
        InputError: fewer than two models, an unknown baseline, or tables that are not as described.
    """
    paths = dict(_named(word) for word in models)
    if len(paths) < len(models):
        raise InputError("two tables have the same name", where="compare", hint="name them: mine=a.csv theirs=b.csv")
    tables = [_read(name, path, only) for name, path in paths.items()]
    frame, notes = match(tables)
    arms = list(dict.fromkeys(frame["arm"]))
    pairs = [(arm, against) for against in [_baseline(arms, baseline)] for arm in arms if arm != against]
    metrics = evaluate(frame, resamples=resamples, seed=seed, comparisons=pairs)
    report = _report(title or " against ".join(arms[:3]), metrics, frame, paths, notes)
    out.mkdir(parents=True, exist_ok=True)
    written = write_papers(out, report)
    (out / "metrics.json").write_text(json.dumps(metrics, indent=1, allow_nan=False))
    page = write_report(out / "report.html", report)
    return Compared(page, out / "metrics.json", tuple(written), tuple(notes))


def _named(word: str) -> tuple[str, Path]:
    name, mark, path = word.partition("=")
    return (name, Path(path)) if mark and not Path(word).exists() else (Path(word).stem, Path(word))


def _read(name: str, path: Path, only: Sequence[str]) -> pd.DataFrame:
    frame = read_predictions(path)
    for word in only:
        frame = _keep(frame, word, path.name)
    return read_model(frame, name, path.name)


def _keep(frame: pd.DataFrame, word: str, where: str) -> pd.DataFrame:
    column, mark, value = word.partition("=")
    if not mark or column not in frame:
        hint = did_you_mean(column, [str(c) for c in frame.columns])
        raise InputError(
            "no such column", where=f"{where}, --only", expected="COLUMN=VALUE", got=_said(word), hint=hint
        )
    try:
        wanted = frame[column] == float(value) if pd.api.types.is_numeric_dtype(frame[column]) else None
    except ValueError:
        wanted = None
    kept = frame[frame[column].astype(str) == value if wanted is None else wanted]
    if kept.empty:
        raise InputError("no row has that value", where=f"{where}, --only", got=_said(word))
    return kept


def _said(word: str) -> str:
    """Return what an error may say of ``COLUMN=VALUE``: the value only of a column that cannot name a person."""
    column = re.sub(r"\d{4,}", "*", word.partition("=")[0])
    return word if column in _SAID else column


def _baseline(arms: Sequence[str], wanted: str | None) -> str:
    if len(arms) < 2:
        raise InputError(
            "there is nothing to compare with", where="compare", expected="two models at least", got=len(arms)
        )
    if wanted is not None and wanted not in arms:
        hint = did_you_mean(wanted, list(arms))
        raise InputError("no such model", where="--baseline", expected=", ".join(arms), got=wanted, hint=hint)
    return wanted or arms[0]


def _report(
    title: str, metrics: dict[str, object], frame: pd.DataFrame, paths: dict[str, Path], notes: Sequence[str]
) -> Report:  # fmt: skip
    origin = "; ".join(f"{path.name} sha256 {file_sha256(path)[:12]}" for path in paths.values())
    said = "Predictions made elsewhere, on the test subjects that all models have. " + " ".join(notes)
    return Report(
        title=title, metrics=metrics, predictions=frame, description=said.strip(),
        sources={name: origin for name in ("results", "curves", "checklist")},
        made={"command": "cardiobind compare", "tables": origin},
    )  # fmt: skip
