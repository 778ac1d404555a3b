"""Requests made from the server's own OpenAPI schema, and such as break it: never a 5xx, always as documented."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from cardiobind.inference.predictor import Predictor
from serving import listening

CHECKS = (not_a_server_error, content_type_conformance, response_schema_conformance, status_code_conformance)
ROUTES = (
    ("/v1/health", "GET"), ("/v1/metrics", "GET"), ("/v1/model", "GET"), ("/v1/predict", "POST"),
    ("/v1/predict/json", "POST"),
)  # fmt: skip


@pytest.fixture(scope="module")
def address(predictor: Predictor) -> Iterator[str]:
    with listening(predictor) as url:
        yield url


def fuzz(address: str, path: str, method: str, mode: GenerationMode, examples: int) -> set[int]:
    """Return the statuses of requests that were made for one route."""
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    statuses = set()

    @settings(max_examples=examples, deadline=None, database=None, derandomize=True, suppress_health_check=HealthCheck)
    @given(case=schema[path][method].as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case) -> None:
        response = case.call()
        statuses.add(response.status_code)
        case.validate_response(response, checks=CHECKS)

    ask()
    return statuses


@pytest.mark.slow
def test_every_route_of_the_schema_is_fuzzed(address: str) -> None:
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    found = {(one.ok().path, one.ok().method.upper()) for one in schema.get_all_operations()}
    assert found == set(ROUTES)


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/v1/predict", "/v1/predict/json"])
def test_a_few_requests_from_the_schema(address: str, path: str) -> None:
    statuses = fuzz(address, path, "POST", GenerationMode.POSITIVE, 8)
    assert statuses <= {200, 400, 413, 415, 422}


@pytest.mark.slow
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize(("path", "method"), ROUTES)
def test_many_requests_from_the_schema(address: str, path: str, method: str, mode: GenerationMode) -> None:
    if method == "GET" and mode == GenerationMode.NEGATIVE:
        pytest.skip("a route without parameters cannot be asked wrongly")
    assert fuzz(address, path, method, mode, 500 if method == "POST" else 20)
