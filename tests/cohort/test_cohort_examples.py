"""Examples of the quarantine: three a reason, small, the same whoever prepared them, and nobody's name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cardiobind.cohort.ingest.examples import MISSING_UV, describe, first_of_each, thumbnail, unpack
from cardiobind.modalities.records import CineRecord, EcgRecord
from store_fakes import FakeSource, fake_cohort

pytestmark = pytest.mark.usefixtures("one_endpoint")

TROUBLE = {"SIM-00001": "fail", "SIM-00002": "refuse", **{f"SIM-{i:05d}": "flat" for i in (0, 4, 5, 6, 8)}}


def test_a_cohort_keeps_the_first_three_of_each_reason(tmp_path: Path) -> None:
    cohort = fake_cohort(tmp_path, FakeSource(trouble=TROUBLE), chunk=2)
    shown = [(e["modality"], e["reason"]) for e in cohort.quarantine_examples]
    assert sorted(shown) == [("ecg", "all_flat")] * 3 + [("ecg", "reader_failure"), ("ecg", "truncated")]
    rows = [cohort.quarantine["subject"][e["row"]] for e in cohort.quarantine_examples if e["reason"] == "all_flat"]
    assert rows == ["SIM-00000", "SIM-00004", "SIM-00005"]
    by_reason = {e["reason"]: e for e in cohort.quarantine_examples}
    assert unpack(by_reason["all_flat"]["thumbnail"]).shape == (12, 250)
    assert by_reason["truncated"]["thumbnail"] is None
    assert by_reason["truncated"]["file_type"] == ".xml"
    assert "SIM-" not in json.dumps(cohort.quarantine_examples)


def test_an_ecg_keeps_its_peaks_and_its_gaps() -> None:
    signal = np.zeros((12, 5000), dtype=np.float32)
    signal[1, 1234] = -2.5
    signal[2] = np.nan
    signal[3, :2500] = np.nan
    picture = thumbnail(EcgRecord(signal, 500.0))
    assert picture is not None
    assert picture.shape == (12, 500)
    assert picture[1, 123] == -2500
    assert (picture[1] != 0).sum() == 1
    assert (picture[2] == MISSING_UV).all()
    assert (picture[3] == MISSING_UV).sum() == 250


def test_a_cine_is_its_middle_slice() -> None:
    frames = np.zeros((3, 4, 200, 100), dtype=np.float32)
    frames[1, 0, :, 50:] = 7.0
    picture = thumbnail(CineRecord(frames, (1.0, 1.0), np.zeros(3), np.zeros((3, 4))))
    assert picture is not None
    assert picture.shape == (67, 34)
    assert (picture[:, :16] == 0).all()
    assert (picture[:, 17:] == 255).all()


@given(
    arrays.arrays(
        np.float32, arrays.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=14),
        elements=st.floats(width=32, allow_nan=True, allow_infinity=True),
    )
)  # fmt: skip
@settings(derandomize=True, deadline=None, max_examples=150)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_no_array_is_too_strange_for_a_picture(values: np.ndarray) -> None:
    for record in (EcgRecord(values, 100.0), CineRecord(values, (1.0, 1.0), np.zeros(1), np.zeros((1, 1)))):
        picture = thumbnail(record)
        assert picture is None or picture.size <= 12 * 500
        packed = describe("x.xml", "ecg", "r", "d", picture)["thumbnail"]
        assert packed is None or np.array_equal(unpack(json.loads(json.dumps(packed))), picture)


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/data/SECRETNAME_9000001.XML", ".xml"),
        ("/data/a.zip::SECRETNAME/9000001.dcm", ".dcm"),
        ("/data/9000001", ""),
        ("/data/1.2.840.9000001", ""),
        ("/data/x.SECRETNAME", ""),
    ],
)
def test_only_the_type_of_a_file_is_told(location: str, expected: str) -> None:
    example = describe(location, "ecg", "truncated", "the file of 9000001 ends early " + "x" * 1000, None)
    assert example["file_type"] == expected
    assert "9000001" not in json.dumps(example)
    assert "SECRETNAME" not in json.dumps(example)
    assert len(example["detail"]) <= 300


def test_first_of_each_keeps_the_order() -> None:
    given_reasons = "abacaabbbb"
    examples = [{"modality": "ecg", "reason": r, "row": i} for i, r in enumerate(given_reasons)]
    assert [e["row"] for e in first_of_each(examples)] == [0, 1, 2, 3, 4, 6, 7]
