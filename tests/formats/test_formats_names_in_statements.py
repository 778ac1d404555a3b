"""Names of a person in a device's sentences are hidden wherever they stand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiobind.formats.ecg.ecg_recording import without_names


@pytest.mark.parametrize(
    ("sentence", "kept"),
    [
        ("Sinus rhythm, Lindqvist", ("Sinus rhythm, *",)),
        ("Early transitionㄭLINDQVISTx", ("Early transitionㄭ*x",)),
        ("Li in lead II", ("Li in lead II",)),
        ("Ann: Anterior infarct", ("*: Anterior infarct",)),
        ("lindqvist", ()),
    ],
)
def test_long_names_everywhere_short_ones_as_words(sentence: str, kept: tuple[str, ...]) -> None:
    assert without_names([sentence], ["Lindqvist^Ann"]) == kept


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.text(max_size=20), st.text(max_size=20))
def test_a_long_name_never_stays(before: str, after: str) -> None:
    assert "secretname" not in "".join(without_names([f"{before}SECRETNAME{after}"], ["SECRETNAME"])).lower()
