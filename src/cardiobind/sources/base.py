"""What a data set on disk must offer to be prepared, whatever its layout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import pandas as pd

from cardiobind.modalities.records import CineRecord, EcgRecord
from cardiobind.registry import Registry

EVENT_COLUMNS = ["subject", "visit", "system", "code", "date"]
VISIT_COLUMNS = ["subject", "visit", "date"]
LONG_AXIS_NOT_USED = "long_axis_not_used"
"""Issue of a source: long-axis cines that go with a short axis; a cohort whose layout asks for them drops it."""


@dataclass(frozen=True, order=True)
class RecordRef:
    """Where one raw recording of one subject's visit is.

    Attributes:
        subject: participant, never to be logged.
        visit: within the subject ("2" for UK Biobank's first imaging visit).
        modality: ``"ecg"`` or ``"cmr"``.
        location: what the source's `read` needs to find it.
        long_axis: of a cine: where its long-axis views are, if apart from the short axis or beside it in one place;
            empty: nowhere.
    """

    subject: str
    visit: str
    modality: str
    location: str
    long_axis: str = ""


class Source(Protocol):
    """A data set. An instance is small and picklable: `read` runs in worker processes."""

    def records(self) -> list[RecordRef]:
        """Return all recordings on disk, sorted, without opening them."""

    def read(self, ref: RecordRef) -> EcgRecord | CineRecord:
        """Return one recording.

        Raises:
            RecordError: it cannot be used.
        """

    def table(self) -> pd.DataFrame:
        """Return subject, visit, the features of `cardiobind.modalities.features` that the data set has, and its fold.

        Numbers are float with NaN for missing, categories are their labels, flags 0, 1 or NaN; ``fold`` (1 to 10) is
        there if the data set has an official split.
        """

    def events(self) -> pd.DataFrame:
        """Return coded events: subject, visit ("" if about the subject), system, code, date (NaT: unknown)."""

    def visits(self) -> pd.DataFrame:
        """Return the visits of all subjects in the table: subject, visit, date (NaT: unknown)."""

    def issues(self) -> list[dict[str, Any]]:
        """Return what is wrong with the data set as a whole: reason, column, count; no identifier."""


@runtime_checkable
class DatedSource(Protocol):
    """A source that knows when each value of its table was measured."""

    def instances(self) -> pd.DataFrame:
        """Return, in the shape of `table`, the assessment each value is from (-1: missing)."""

    def days_after_visit(self) -> pd.DataFrame:
        """Return, in the shape of `table`, days from the visit to the day a value is from (NaN: unknown)."""


@runtime_checkable
class LongAxisSource(Protocol):
    """A source that has long-axis cines too."""

    def read_long_axis(self, ref: RecordRef, views: Sequence[str]) -> tuple[dict[str, CineRecord], dict[str, str]]:
        """Return the views of a recording's study that can be read, and the reason code of each that is damaged."""


@runtime_checkable
class TruthfulSource(Protocol):
    """A source that knows what no data set tells: the best that can be said of each subject."""

    @property
    def ceilings(self) -> tuple[str, ...]:
        """Tasks of which it knows that."""

    def best_scores(self, task: str) -> pd.DataFrame:
        """Return subject, inputs, score of the best predictor of each set of modalities, for one of `ceilings`."""


SOURCES: Registry[Callable[..., Source]] = Registry("source")


def issue(reason: str, column: str, count: int) -> dict[str, Any]:
    """Return one entry of `Source.issues`."""
    return {"reason": reason, "column": column, "count": int(count)}
