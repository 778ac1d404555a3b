"""What each reason of the quarantine table means, in plain words, and what a person can do about it."""

from __future__ import annotations

from cardiobind.cohort.ingest.chunks import DUPLICATE_RECORD
from cardiobind.cohort.ingest.prepare import (
    OUT_OF_MEMORY,
    READER_CRASHED,
    READER_FAILURE,
    TIMED_OUT,
    UNKNOWN_MODALITY,
    WRONG_SHAPE,
)
from cardiobind.cohort.tables import NO_SUBJECT, NO_VALUES
from cardiobind.formats import reasons
from cardiobind.modalities.cmr import quality as cmr_quality

_FETCH_AGAIN = "Fetch the file again and compare its size; if the original is like that, it has to stay out."
_LOOK = "Look at one of the files with `cardiobind inspect`; if it is sound, report it: the reader should take it."
_FINE = "Nothing: it does not belong into the cohort."
_TELL = "Report it with the place that the example names: a reader should refuse a file, not fail."
_RECORDING = "Look at an example: if the recording is like that, it has to stay out."

_MEANINGS = {
    **cmr_quality.MEANINGS,
    DUPLICATE_RECORD: "another record, or row, of the same visit is kept",
    READER_FAILURE: "the reader met something it was not written for",
    READER_CRASHED: "the process that read the file died",
    TIMED_OUT: "the record took longer than the time limit",
    OUT_OF_MEMORY: "the record asked for more memory than the limit",
    UNKNOWN_MODALITY: "the record is neither an ECG nor a cine",
    WRONG_SHAPE: "the recording is not an array of the shape that was expected",
    NO_VALUES: "the row of the table holds no value",
    NO_SUBJECT: "the row of the table has no subject or visit",
    "all_flat": "no lead carries a signal",
    "too_short": "the recording is shorter than the duration asked for",
    "bad_rate": "the sampling rate is not a positive number",
    "implausible_amplitude": "the amplitudes are not plausible in millivolts; the unit may be wrong",
    "wrong_view": "the cine is a long-axis view where short-axis slices are prepared",
}

_ADVICE = {
    **dict.fromkeys(
        (
            reasons.EMPTY, reasons.TRUNCATED, reasons.CHECKSUM, reasons.BAD_XML, reasons.BAD_DICOM, reasons.BAD_ZIP,
            "bad_nifti", "bad_scp", "bad_edf",
        ),
        _FETCH_AGAIN,
    ),
    **dict.fromkeys(
        (
            reasons.NOT_RECOGNISED, reasons.OTHER_KIND, reasons.UNSUPPORTED, reasons.BAD_HEADER, reasons.BAD_NUMBER,
            reasons.NO_WAVEFORM, reasons.NO_FRAMES, reasons.WRONG_LENGTH, reasons.WRONG_UNIT, reasons.BAD_GEOMETRY,
            reasons.BAD_TABLE,
        ),
        _LOOK,
    ),
    **dict.fromkeys((reasons.EXERCISE_ECG, DUPLICATE_RECORD, UNKNOWN_MODALITY, NO_VALUES), _FINE),
    **dict.fromkeys((READER_FAILURE, READER_CRASHED), _TELL),
    reasons.MISSING_FILE: "Check the path and whether the disk was mounted; once the file is there, run again.",
    reasons.UNREADABLE: "Check permissions and the disk; once the file can be read, run again.",
    "too_large": "Nothing if it is no recording; a recording of that size has to be cut first.",
    "unsafe_archive": "Do not unpack it; pack the recording again from its origin.",
    TIMED_OUT: "If the file is sound and the machine was busy, raise --record-seconds and delete the cohort's folder.",
    OUT_OF_MEMORY: "If the file is sound, raise --worker-gib and delete the cohort's folder.",
    NO_SUBJECT: "Correct the row where the table was made.",
}  # fmt: skip


def explain(reason: str) -> tuple[str, str]:
    """Return what a reason code means and what to do about it.

    A code of a plug-in, which nobody described here, refers to the words of its examples.
    """
    meaning = _MEANINGS.get(reason) or reasons.REASONS.get(reason, "see the words of the examples")
    return meaning, _ADVICE.get(reason, _RECORDING)
