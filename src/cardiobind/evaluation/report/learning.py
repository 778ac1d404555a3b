"""Sections about what was learnt without labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from cardiobind.evaluation.figures import Recall, embedding_map, reconstruction, retrieval_chart, training_curves
from cardiobind.evaluation.report import html
from cardiobind.evaluation.report.content import Report

_CLOSE_TO_CHANCE = 0.01
_CURVES = {
    "loss": "loss: what is minimised",
    "ncc": "ncc: correlation of what was hidden and what was filled in, 1 is perfect",
    "mse": "mse: mean squared error of what was filled in",
    "spread": "spread: 1 where embeddings fill the sphere evenly, 0 where they have collapsed",
    "recall_at_1": "recall_at_1: share whose other view is the nearest of all",
}


def losses(report: Report) -> str:
    """Return the training curves of each stage."""
    parts = []
    for name, history in report.histories.items():
        if history.empty:
            continue
        alt = f"Training curves of {name}: {', '.join(map(str, history.columns))} over {len(history)} rounds."
        source = report.source(name if name in report.artifacts else "losses", "history")
        parts += [
            html.heading(name),
            html.picture(training_curves(history), alt, _told(history)),
            _guessing(report, name),
        ]
        parts.append(html.paragraph(source, "source"))
    return "".join(parts)


def restored(report: Report) -> str:
    """Return an original signal beside what the autoencoder made of its visible part."""
    shown = report.reconstruction
    if shown is None:
        return ""
    figure = reconstruction(shown.original, shown.restored, shown.rate_hz, masked=shown.masked, unit=shown.unit)
    hidden = (
        "" if shown.masked is None else f" {100 * float(shown.masked.mean()):.0f} % of the patches were hidden (grey)."
    )
    scale = " Amplitudes in standard deviations of the group of leads (limb or chest)." if shown.unit == "z" else ""
    caption = f"One recording.{hidden}{scale}"
    alt = f"Twelve-lead ECG, original and reconstruction over each other.{hidden}"
    return html.picture(figure, alt, caption, raster=True) + html.paragraph(report.source("reconstruction"), "source")


def retrieval(report: Report) -> str:
    """Return how often one modality of a subject finds another one of the same subject, beside guessing."""
    if not report.retrieval:
        return ""
    header = list(dict.fromkeys(str(name) for row in report.retrieval for name in row))
    rows = [[_text(row.get(name)) for name in header] for row in report.retrieval]
    found = _recalls(report.retrieval)
    alt = "Recall of each pair of modalities beside guessing; the numbers are in the table below."
    return "".join(
        [
            html.paragraph(
                "Recall@k is the share of subjects whose own embedding in the other modality is among the k nearest; "
                "guessing reaches k / n, n being the number of validation subjects with both that were searched."
            ),
            html.picture(retrieval_chart(found), alt) if found else "",
            html.table([header, *rows], "Retrieval across modalities"),
            html.paragraph(report.source("retrieval"), "source"),
        ]
    )


def embeddings(report: Report) -> str:
    """Return maps of the embeddings, a panel a modality: by the endpoint, and by what else is known of the subjects."""
    shown = {modality: values for modality, values in report.embeddings.items() if len(values)}
    if not shown:
        return ""
    figures = [embedding_map(shown, report.embedding_labels, label_title=_task(report.metrics))]
    names = [_task(report.metrics)]
    for name, values in report.embedding_colours.items():
        figures.append(embedding_map(shown, values, label_title=name))
        names.append(name)
    words = f"First two principal components of the embeddings of {', '.join(shown)}, coloured by"
    caption = (
        "Test subjects. Principal components keep large distances and are the same each time; what they do not show "
        "may still be there."
    )
    pictures = [html.picture(f, f"{words} {n}.", raster=True) for f, n in zip(figures, names, strict=True)]
    return "".join([*pictures, html.paragraph(caption), html.paragraph(report.source("embeddings"), "source")])


def _recalls(rows: Sequence[Mapping[str, object]]) -> list[Recall]:
    found = []
    for row in rows:
        searched = row.get("subjects")
        for name, value in row.items():
            if name.startswith("recall@") and isinstance(value, float):
                k = int(name.removeprefix("recall@"))
                chance = min(1.0, k / searched) if isinstance(searched, int) and searched else None
                found.append(Recall(str(row["pair"]), k, value, chance))
    return found


def _guessing(report: Report, name: str) -> str:
    history, chance = report.histories[name], report.chance.get(name)
    if chance is None or "validation_loss" not in history:
        return ""
    measured = history["validation_loss"].dropna()
    if measured.empty or measured.iloc[-1] < (1 - _CLOSE_TO_CHANCE) * chance:
        return ""
    return html.paragraph(
        f"Little was learnt here: the last validation loss, {measured.iloc[-1]:.3f}, is not more than "
        f"{_CLOSE_TO_CHANCE:.0%} below that of guessing, {chance:.3f}.",
        "warning",
    )


def _task(metrics: Mapping[str, object]) -> str:
    cells = metrics.get("cells")
    tasks = {str(cell["task"]) for cell in cells} if isinstance(cells, list) else set()
    return tasks.pop() if len(tasks) == 1 else "positive"


def _told(history: pd.DataFrame) -> str:
    """Return what the curves are, of those whose names do not say it."""
    columns = [str(column) for column in history.columns]
    words = [words for name, words in _CURVES.items() if any(_is_of(column, name) for column in columns)]
    return f"{'; '.join(words)}." if words else ""


def _is_of(column: str, name: str) -> bool:
    bare = column.removeprefix("train_").removeprefix("validation_")
    return bare == name or bare.startswith(f"{name}_")


def _text(value: object) -> str:
    return "–" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
