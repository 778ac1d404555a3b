"""Why a raw record cannot be used: the codes of `RecordError.reason` that readers raise, and what each means."""

from __future__ import annotations

MISSING_FILE = "missing_file"
UNREADABLE = "unreadable"
EMPTY = "empty"
NOT_RECOGNISED = "not_recognised"
OTHER_KIND = "other_kind"
UNSUPPORTED = "unsupported"
EXERCISE_ECG = "exercise_ecg"
TRUNCATED = "truncated"
TOO_LARGE = "too_large"
CHECKSUM = "checksum"
BAD_XML = "bad_xml"
BAD_HEADER = "bad_header"
BAD_NUMBER = "bad_number"
BAD_DICOM = "bad_dicom"
BAD_NIFTI = "bad_nifti"
BAD_ZIP = "bad_zip"
UNSAFE_ARCHIVE = "unsafe_archive"
BAD_TABLE = "bad_table"
NO_WAVEFORM = "no_waveform"
NO_FRAMES = "no_frames"
WRONG_LENGTH = "wrong_length"
WRONG_UNIT = "wrong_unit"
BAD_GEOMETRY = "bad_geometry"

REASONS = {
    MISSING_FILE: "the file is not there",
    UNREADABLE: "the operating system refused to read the file",
    EMPTY: "the file has no bytes",
    NOT_RECOGNISED: "no reader knows the format",
    OTHER_KIND: "a cine or a table where an ECG is read, or the like",
    UNSUPPORTED: "a valid file of a kind that is not read",
    EXERCISE_ECG: "an exercise ECG where a resting ECG is wanted",
    TOO_LARGE: "the file is, or states that it is, larger than any recording",
    TRUNCATED: "the file ends before its data do",
    CHECKSUM: "the samples differ from the checksum in the header",
    BAD_XML: "the XML is not well formed or is refused as unsafe",
    BAD_HEADER: "a header field is missing or impossible",
    BAD_NUMBER: "a sample is not a number",
    BAD_DICOM: "a DICOM file cannot be decoded",
    BAD_NIFTI: "a NIfTI file cannot be decoded",
    BAD_ZIP: "the archive is damaged",
    UNSAFE_ARCHIVE: "the archive has members outside its folder, or unpacks to far more than it holds",
    BAD_TABLE: "the table cannot be parsed",
    NO_WAVEFORM: "the file holds none of the twelve leads",
    NO_FRAMES: "the files hold no cine of the view that is wanted",
    WRONG_LENGTH: "leads differ in length or from the count in the header",
    WRONG_UNIT: "the amplitude's unit is unknown",
    BAD_GEOMETRY: "position, orientation or pixel size is missing or impossible",
}
