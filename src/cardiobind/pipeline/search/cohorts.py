"""Subjects of a prepared cohort, one by one, as a network is fed raw files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cardiobind.cohort import Cohort, Protocol
from cardiobind.data import CohortDataset
from cardiobind.errors import DataContractError
from cardiobind.inference import BundleContract, PreparedSubject


def usable_modalities(cohort: Cohort, contract: BundleContract) -> tuple[str, ...]:
    """Return the modalities of a contract that a cohort has.

    Raises:
        DataContractError: it has none, or one was prepared otherwise than the contract says.
    """
    wanted: dict[str, Any] = {"ecg": contract.ecg, "cmr": contract.cmr}
    for modality, settings in wanted.items():
        if modality not in contract.inputs or modality not in cohort.specs:
            continue
        prepared = cohort.artifact.config.get(modality)
        if prepared is None or type(settings)(**prepared) != settings:
            raise DataContractError(
                "the cohort was prepared otherwise than the networks were trained on", where=modality,
                expected=asdict(settings), got=prepared, hint="give the raw files, or prepare them like that",
            )  # fmt: skip
    found = tuple(m for m in contract.inputs if m in cohort.specs or m == "tabular")
    if not found:
        raise DataContractError(
            "the cohort has none of the modalities", expected=" | ".join(contract.inputs), got=" | ".join(cohort.specs)
        )
    return found


def subjects_of(
    cohort: Cohort, contract: BundleContract, rows: NDArray[np.int64]
) -> Iterator[tuple[int, PreparedSubject]]:
    """Yield the row of each sample that has a modality, and its data.

    Args:
        cohort: prepared as the contract says.
        contract: of the networks.
        rows: samples of the cohort.

    Raises:
        DataContractError: the cohort does not fit the contract.
    """
    modalities = usable_modalities(cohort, contract)
    having = cohort.rows_with(rows, modalities)
    nobody = np.full(len(cohort), "", dtype=str)
    dataset = CohortDataset(
        cohort, Protocol(cohort.artifact, cohort, None, contract.table, (), nobody), having, modalities
    )
    for place, row in enumerate(having):
        batch = dataset.batch([place])
        yield int(row), PreparedSubject({m: x for m, x in batch.signals.items() if len(x)}, {})
