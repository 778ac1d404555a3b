"""The answer of `predict` that the documents show has the fields that it has."""

from __future__ import annotations

import json
from pathlib import Path

from calling import Call
from documented import blocks

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_answer_that_is_shown_has_the_fields_of_an_answer(call: Call, visited: Path) -> None:
    (shown,) = [b for b in blocks(REPOSITORY) if b.language == "json" and b.page == "docs/start.md"]
    done = call(["predict", "--bundle", "my-bundle", "--ecg", "record.xml", "--table", "facts.csv"])
    assert json.loads(shown.body).keys() == json.loads(done.out).keys()
