"""One raw record in, one prepared array or one reason why not out; never an exception."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cardiobind.cohort.ingest.examples import thumbnail
from cardiobind.cohort.ingest.guard import Limits, TimedOut, time_limit
from cardiobind.errors import CardiobindError, ConfigError, RecordError
from cardiobind.formats import reasons
from cardiobind.modalities.cmr.preparation import CmrPreparation, cmr_spec, prepare_cmr
from cardiobind.modalities.ecg.preparation import EcgPreparation, ecg_quality, ecg_spec, prepare_ecg
from cardiobind.modalities.records import CineRecord, EcgRecord
from cardiobind.modalities.spec import InputSpec
from cardiobind.sources.base import LongAxisSource

if TYPE_CHECKING:
    from cardiobind.sources import RecordRef, Source

READER_FAILURE = "reader_failure"
READER_CRASHED = "reader_crashed"
UNKNOWN_MODALITY = "unknown_modality"
WRONG_SHAPE = "wrong_shape"
TIMED_OUT = "timed_out"
OUT_OF_MEMORY = "out_of_memory"
OUT_OF_REACH = (reasons.MISSING_FILE, reasons.UNREADABLE)

_LIMITS = Limits()

Settings = Mapping[str, EcgPreparation | CmrPreparation]


@dataclass(frozen=True)
class Prepared:
    """A prepared array and what is known about it.

    Attributes:
        array: as stored: ecg (12, samples) int16 in microvolts, cmr (planes, rows, columns) uint8.
        quality: codes of harmless defects.
        confidence: of the choice of slice, phases and crop, 0 to 1; NaN where nothing is chosen.
        details: what was chosen, JSON-compatible.
    """

    array: NDArray[Any]
    quality: tuple[str, ...] = ()
    confidence: float = float("nan")
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What became of one record: `prepared`, or None with a reason code.

    Attributes:
        ref: the record.
        prepared: None if it is quarantined.
        reason: code for the quarantine table, empty if it is kept.
        detail: the reason in words, without path or message of a foreign library.
        picture: small picture of a record that could be read and not be used, see `cardiobind.cohort.ingest.examples`.
    """

    ref: RecordRef
    prepared: Prepared | None = None
    reason: str = ""
    detail: str = ""
    picture: NDArray[Any] | None = None

    @property
    def out_of_reach(self) -> bool:
        """Whether the file or a long-axis view could not be opened, which may be the fault of the file system."""
        views = {} if self.prepared is None else self.prepared.details.get("long_axis_faults", {})
        return self.reason in OUT_OF_REACH or not set(OUT_OF_REACH).isdisjoint(views.values())


@dataclass(frozen=True)
class _Modality:
    prepare: Callable[[Any, Any], Prepared]
    spec: Callable[[Any], InputSpec]
    dtype: type[np.generic]


def _ecg(record: EcgRecord, settings: EcgPreparation) -> Prepared:
    return Prepared(prepare_ecg(record, settings), ecg_quality(record, settings))


def _cmr(record: CineRecord, settings: CmrPreparation) -> Prepared:
    cine = prepare_cmr(record, settings)
    details: dict[str, Any] = {
        "slice_index": int(cine.slice_index),
        "phases": [int(cine.es_phase), int(cine.mid_phase), int(cine.ed_phase)],
        "centre_mm": [round(float(c), 3) for c in cine.centre_mm],
    }
    if len(cine.slices) > 1:
        details |= {"slices": list(cine.slices), "base_is": cine.base_is, "moments": list(cine.phases)}
    if cine.long_axis_faults:
        details["long_axis_faults"] = dict(cine.long_axis_faults)
    return Prepared(cine.frames, cine.quality, float(cine.confidence), details)


_MODALITIES = {
    "ecg": _Modality(_ecg, ecg_spec, np.int16),
    "cmr": _Modality(_cmr, cmr_spec, np.uint8),
}
SIGNALS = tuple(_MODALITIES)


def stored_dtype(modality: str) -> np.dtype[Any]:
    """Return the type in which arrays of a modality are stored."""
    return np.dtype(_MODALITIES[modality].dtype)


def signal_spec(modality: str, settings: EcgPreparation | CmrPreparation) -> InputSpec:
    """Return what an encoder of this modality is fed under these settings."""
    return _MODALITIES[modality].spec(settings)


def prepare_record(source: Source, ref: RecordRef, settings: Settings, limits: Limits = _LIMITS) -> Outcome:
    """Read and prepare one record; whatever goes wrong becomes a reason.

    Args:
        source: where the record is.
        ref: which one.
        settings: preparation of each modality.
        limits: time that the record may take.
    """
    if ref.modality not in settings:
        return Outcome(ref, reason=UNKNOWN_MODALITY, detail=f"no preparation for {ref.modality!r}")
    seen: list[EcgRecord | CineRecord] = []
    try:
        with time_limit(limits.seconds):
            seen.append(read_record(source, ref, settings))
            prepared = _MODALITIES[ref.modality].prepare(seen[0], settings[ref.modality])
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a reader may raise anything; the batch must go on
        reason, detail = explained(error, limits)
        return _left_out(ref, reason, detail, seen)
    return _checked(ref, prepared, settings, seen)


def read_record(source: Source, ref: RecordRef, settings: Settings) -> EcgRecord | CineRecord:
    """Return one recording as the reader gives it, with the long-axis views that the preparation asks for.

    Raises:
        RecordError: it cannot be used; whatever else a reader lets through.
    """
    record, wanted = source.read(ref), settings[ref.modality]
    if isinstance(record, CineRecord) and isinstance(wanted, CmrPreparation) and wanted.long_axis:
        views, faults = long_axis_source(source).read_long_axis(ref, wanted.long_axis)
        return replace(record, long_axis=views, long_axis_faults=faults)
    return record


def long_axis_source(source: Source) -> LongAxisSource:
    """Return a source as one that has long-axis views.

    Raises:
        ConfigError: it has none.
    """
    if not isinstance(source, LongAxisSource):
        raise ConfigError(
            "the source has no long-axis views", where="cmr.long_axis", got=type(source).__name__,
            hint="leave long_axis empty, or take a source that has them: ukb, folder",
        )  # fmt: skip
    return source


def _checked(ref: RecordRef, prepared: Prepared, settings: Settings, seen: list[EcgRecord | CineRecord]) -> Outcome:
    shape, dtype = signal_spec(ref.modality, settings[ref.modality]).shape, stored_dtype(ref.modality)
    if prepared.array.shape == shape and prepared.array.dtype == dtype:
        return Outcome(ref, prepared)
    got = f"{prepared.array.shape} {prepared.array.dtype}"
    return _left_out(ref, WRONG_SHAPE, f"prepared as {got}, expected {shape} {dtype}", seen)


def _left_out(ref: RecordRef, reason: str, detail: str, seen: list[EcgRecord | CineRecord]) -> Outcome:
    words = detail.replace(ref.subject, "*") if len(ref.subject) > 3 else detail
    return Outcome(ref, reason=reason, detail=words, picture=thumbnail(seen[0]) if seen else None)


def explained(error: BaseException, limits: Limits) -> tuple[str, str]:
    """Return the reason code of what went wrong with a record, and the words: no path, no text of a foreign library."""
    if isinstance(error, TimedOut):
        return TIMED_OUT, f"not done after {limits.seconds:g} s"
    if isinstance(error, MemoryError) or (isinstance(error, RecordError) and error.got == MemoryError.__name__):
        return OUT_OF_MEMORY, "more memory was asked for than a record may take"
    if isinstance(error, RecordError):
        return error.reason, in_words(error)
    if isinstance(error, OSError):
        reason = reasons.MISSING_FILE if isinstance(error, FileNotFoundError) else reasons.UNREADABLE
        return reason, _place(error)
    return READER_FAILURE, _place(error)


def in_words(error: CardiobindError) -> str:
    """Return what an error says, without where."""
    facts = [("expected", error.expected), ("got", error.got)]
    return "; ".join([error.what, *(f"{name}: {value}" for name, value in facts if value is not None)])


def _place(error: BaseException) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
