"""The arm that a clinic has already: a linear score of the known risk factors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import ConfigError
from cardiobind.methods.linear_probes import Probe
from cardiobind.modalities.features.presets import RISK_FACTORS
from cardiobind.modalities.tabular.contract import TableContract
from cardiobind.modalities.tabular.design import Design
from cardiobind.pipeline.arms.base import ARMS, Arm
from cardiobind.pipeline.arms.cell import Cell
from cardiobind.pipeline.arms.linear import linear_model, penalty_of
from cardiobind.pipeline.arms.on_features import check_inputs, fit_on_features
from cardiobind.pipeline.workspace import Stage
from cardiobind.registry import did_you_mean

SEES = ("tabular",)


def risk_factors(table: TableContract, *, columns: Sequence[str] = RISK_FACTORS) -> TableContract:
    """Return the contract of the risk factors among the columns of an experiment's table.

    Args:
        table: contract of all columns of the experiment.
        columns: those the score may use; the default are age, sex, blood pressure, smoking, lipids and diabetes.

    Raises:
        ConfigError: a column is named that the package does not know, or the table has none of them.
    """
    known = {name: column for name, column in zip(table.names, table.columns, strict=True)}
    if tuple(columns) != RISK_FACTORS and (unknown := [name for name in columns if name not in known]):
        raise ConfigError(
            "the table of the experiment has no such column", where="options.columns", got=unknown[0],
            hint=did_you_mean(unknown[0], list(known)),
        )  # fmt: skip
    chosen = tuple(known[name] for name in columns if name in known)
    if not chosen:
        raise ConfigError("the table has none of the risk factors", where="tabular.features", got=", ".join(known))
    return TableContract(chosen)


def rehearse_risk_score(cell: Cell) -> None:
    """Check inputs, columns and kind of endpoint."""
    check_inputs(cell, SEES)
    linear_model(cell)
    _contract(cell)


def fit_risk_score(cell: Cell, stage: Stage) -> None:
    """Fit logistic, ridge or Cox regression on the risk factors; medians and gaps are those of all training rows."""
    contract, cohort = _contract(cell), cell.study.cohort
    train = cohort.rows_with(cell.study.protocol.rows("train"), SEES)
    design = Design.fit(contract.columns, contract.encode(cohort.table.iloc[train]))

    def features(wanted: NDArray[np.int64]) -> NDArray[np.float32]:
        return design.matrix(contract.encode(cohort.table.iloc[wanted]))

    fit_on_features(cell, stage, SEES, features, linear_model(cell), partial(_coefficients, design))


def _contract(cell: Cell) -> TableContract:
    table = cell.study.protocol.contract
    if table is None:
        raise ConfigError("a risk score needs a table", where=cell.arm.name, hint="add a section [tabular]")
    return risk_factors(table, **cell.arm.options)  # type: ignore[arg-type]


def _coefficients(design: Design, probe: Probe) -> dict[str, object]:
    weight, bias = probe.line()
    columns = [dict(zip(design.names, map(float, row), strict=True)) for row in weight]
    return {**penalty_of(probe), "coefficients": columns, "intercepts": [float(b) for b in bias]}


ARMS.register("risk_score")(Arm(fit_risk_score, rehearse_risk_score, risk_factors))
