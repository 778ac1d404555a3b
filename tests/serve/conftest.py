"""One small server for all tests of the room."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from cardiobind.inference.predictor import Predictor
from serving import serving, small_predictor


@pytest.fixture(scope="session")
def predictor() -> Predictor:
    return small_predictor()


@pytest.fixture(scope="session")
def client(predictor: Predictor) -> Iterator[TestClient]:
    with serving(predictor) as started:
        yield started
