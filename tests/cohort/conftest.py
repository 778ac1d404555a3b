"""What the tests of ingest share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cardiobind.cohort import tables
from store_fakes import few_endpoints


@pytest.fixture(scope="module")
def one_endpoint() -> Iterator[None]:
    """Cohorts of a module are labelled for one endpoint."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "TASKS", tables.TASKS)
        few_endpoints()
        yield
