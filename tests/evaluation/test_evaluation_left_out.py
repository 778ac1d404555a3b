"""The page of what was left out: every code explained, examples drawn, nobody named."""

from __future__ import annotations

import numpy as np
import pytest

from cardiobind.cohort.ingest import prepare
from cardiobind.cohort.ingest.chunks import DUPLICATE_RECORD
from cardiobind.cohort.ingest.examples import describe, thumbnail
from cardiobind.cohort.left_out import explain
from cardiobind.cohort.tables import NO_SUBJECT, NO_VALUES
from cardiobind.evaluation.report import Report, data, left_out
from cardiobind.formats.reasons import REASONS
from cardiobind.modalities.cmr import FATAL_CMR
from cardiobind.modalities.ecg import FATAL_ECG
from cardiobind.modalities.records import CineRecord, EcgRecord

OF_INGEST = (
    prepare.READER_FAILURE, prepare.READER_CRASHED, prepare.TIMED_OUT, prepare.OUT_OF_MEMORY, prepare.UNKNOWN_MODALITY,
    prepare.WRONG_SHAPE, DUPLICATE_RECORD, NO_VALUES, NO_SUBJECT,
)  # fmt: skip


@pytest.mark.parametrize("code", sorted({*REASONS, *OF_INGEST, *FATAL_ECG, *FATAL_CMR}))
def test_every_code_is_explained(code: str) -> None:
    meaning, advice = explain(code)
    assert meaning != explain("a code of a plug-in")[0]
    assert advice.endswith(".")


def flat() -> dict[str, object]:
    picture = thumbnail(EcgRecord(np.zeros((12, 700), np.float32), 100.0))
    return describe("/data/9000001_20205_2_0.xml", "ecg", "all_flat", "no lead carries a signal", picture)


def still() -> dict[str, object]:
    frames = np.random.default_rng(0).random((3, 8, 60, 60)).astype(np.float32)
    picture = thumbnail(CineRecord(frames, (1.0, 1.0), np.zeros(3), np.zeros((3, 8))))
    return describe("/data/9000001_20209_2_0.zip", "cmr", "no_motion", "nothing moves", picture)


def page() -> str:
    unread = describe("/data/9000002.xml", "ecg", "truncated", "the file of 9000002 <ends> early", None)
    report = Report(
        title="t", metrics={}, counts={"ecg": {"read": 9, "kept": 5, "quarantined": 4}},
        cohort={"quarantine": {"ecg": {"truncated": 1, "all_flat": 3}, "cmr": {"no_motion": 1}}},
        quarantine_examples=[flat(), flat(), flat(), unread, unread, still()],
    )  # fmt: skip
    return data.quarantine(report)


def test_the_page_counts_explains_and_draws() -> None:
    html = page()
    assert html.count('alt="ecg left out: all_flat"') == 3
    assert html.count('alt="cmr left out: no_motion"') == 1
    assert html.count("the file of * &lt;ends&gt; early") == 1, "equal words are said once"
    assert html.index("all_flat") < html.index("truncated"), "the most frequent reason first"
    assert explain("truncated")[0] in html
    assert explain("truncated")[1] in html


def test_the_page_names_nobody() -> None:
    assert "9000001" not in page()
    assert "9000002" not in page()


def test_without_examples_there_is_no_heading() -> None:
    assert left_out.examples([]) == ""
    assert left_out.reasons({}) == ""
