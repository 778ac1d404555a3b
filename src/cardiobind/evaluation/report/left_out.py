"""The section about records that were left out: how many, why, what to do, and how some of them look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cardiobind.cohort.ingest.examples import MISSING_UV, unpack
from cardiobind.cohort.left_out import explain
from cardiobind.evaluation.figures.left_out import small_ecg, small_image
from cardiobind.evaluation.report import html

Example = Mapping[str, Any]


def reasons(counts: Mapping[str, Mapping[str, int]]) -> str:
    """Return a table of all reasons with their meaning and what to do.

    Args:
        counts: modality -> reason -> records.
    """
    rows = [
        [modality, code, *explain(code), f"{n:,}"]
        for modality, found in counts.items()
        for code, n in sorted(found.items(), key=lambda entry: (-entry[1], entry[0]))
    ]
    header = ["Modality", "Reason", "What it means", "What to do", "Records"]
    return html.table([header, *rows], "Why records were left out", text_columns=4) if rows else ""


def examples(found: Sequence[Example]) -> str:
    """Return up to three examples of each reason: a picture where the signal could be read, else the words alone.

    Args:
        found: as `cardiobind.cohort.Cohort.quarantine_examples`; they name nobody.
    """
    if not found:
        return ""
    parts = [
        html.heading("Examples"),
        html.paragraph(
            "Up to three of each reason, drawn where the signal could be read. Neither subjects nor names of files are "
            "shown; the table quarantine.parquet of the cohort has the subjects."
        ),
    ]
    for modality, reason in dict.fromkeys((e["modality"], e["reason"]) for e in found):
        own = [e for e in found if (e["modality"], e["reason"]) == (modality, reason)]
        parts.append(_of_one_reason(modality, reason, own))
    return "".join(parts)


def _of_one_reason(modality: str, reason: str, own: Sequence[Example]) -> str:
    drawn = [_picture(example) for example in own if example["thumbnail"] is not None]
    words = list(dict.fromkeys(_words(example) for example in own if example["thumbnail"] is None))
    return "".join(
        [
            html.heading(f"{modality}, {reason}: {explain(reason)[0]}"),
            html.in_a_row(drawn) if drawn else "",
            html.bullets(words) if words else "",
        ]
    )


def _picture(example: Example) -> str:
    pixels = unpack(example["thumbnail"])
    if pixels.dtype == np.uint8:
        figure = small_image(pixels)
    else:
        figure = small_ecg(np.where(pixels == MISSING_UV, np.nan, pixels / 1000.0))
    alt = f"{example['modality']} left out: {example['reason']}"
    return html.picture(figure, alt, _words(example), raster=True)


def _words(example: Example) -> str:
    kind = example["file_type"]
    return f"{kind} file: {example['detail']}" if kind else str(example["detail"])
