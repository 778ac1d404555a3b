"""The columns of a table of predictions: one row a subject, flat, each with its unit in its name or beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["text", "number", "flag"]
SEPARATOR = ";"


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: with its unit.
        kind: text, number (float64) or flag.
        says: what it is.
        value: of a row: subject, visit, set_aside, detail and what `Prediction.to_json` gives, or None.
    """

    name: str
    kind: Kind
    says: str
    value: Callable[[Mapping[str, Any]], Any]


def prediction_columns(modalities: Sequence[str]) -> tuple[Column, ...]:
    """Return the columns of a table of predictions by a network that knows these modalities."""
    return (*_WHO, *_ANSWER, *(column for m in modalities for column in _of_modality(m)), *_FACTS)


def _told(*path: str | int) -> Callable[[Mapping[str, Any]], Any]:
    def value(row: Mapping[str, Any]) -> Any:
        found: Any = row["told"]
        for step in path:
            if found is None:
                return None
            found = found[step] if isinstance(step, int) else found.get(step)
        return SEPARATOR.join(found) if isinstance(found, list | tuple) else found

    return value


def _said(name: str, kind: Kind, says: str, *path: str | int) -> Column:
    return Column(name, kind, says, _told(*(path or (name,))))


_WHO = (
    Column("subject", "text", "as you call them", lambda row: row["subject"]),
    Column("visit", "text", "as you call it, empty where you do not", lambda row: row["visit"]),
    Column("set_aside", "text", "reason code of a subject without a score; empty for the others",
           lambda row: row["set_aside"]),
    Column("detail", "text", "that reason in words", lambda row: row["detail"]),
)  # fmt: skip
_ANSWER = (
    _said("task", "text", "endpoint"),
    _said("inputs", "text", "modalities that were used, such as `ecg+tabular`"),
    _said("logit", "number", "of the network, no unit; empty where it has several, or abstains"),
    _said("risk", "number", "calibrated probability, 0 to 1, within `horizon_years` where that is given"),
    _said("threshold", "number", "on the risk, chosen on validation subjects"),
    _said("positive", "flag", "whether the risk reaches the threshold"),
    _said("value", "number", "of a regression, in `unit`"),
    _said("unit", "text", "of the value"),
    _said("horizon_years", "number", "of the risk of a time to event"),
    _said("interval_low", "number", "lower end of the interval of the risk or value", "interval", 0),
    _said("interval_high", "number", "upper end", "interval", 1),
    _said("interval_of", "text", "what the interval covers, or why there is none"),
    _said("cohort_percentile", "number", "0 to 100, validation subjects with the same inputs who are lower"),
    _said("abstained", "text", "why the bundle says nothing though the files could be read"),
    _said("reason", "text", "why another value is empty"),
)
_FACTS = (
    _said("missing_facts", "text", "facts that the network uses and that were not given", "missing"),
    _said("ignored_facts", "text", "facts that were given and that the network does not use", "ignored"),
    _said("bundle", "text", "digest of the bundle"),
)


def _of_modality(modality: str) -> tuple[Column, ...]:
    return (
        _said(f"{modality}_quality", "text", "codes of what is wrong with the signal", "quality", modality),
        _said(f"{modality}_usable", "flag", "whether it can be relied on", "verdicts", modality, "usable"),
        _said(f"{modality}_like_training", "flag", "whether it looks like those trained on", "verdicts", modality,
              "like_training"),
        _said(f"{modality}_distance", "number", "from the training subjects over the largest that passes", "verdicts",
              modality, "distance"),
    )  # fmt: skip
