"""The training cohort of a bundle in numbers, none of which stands for fewer than ten people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cardiobind.artifact import Artifact
from cardiobind.cohort import Cohort, Protocol
from cardiobind.inference.trust.intervals import FEWEST_TOLD, told
from cardiobind.modalities.tabular.contract import TableColumn


def summary(found: Sequence[Artifact], cohort: Cohort, protocol: Protocol) -> dict[str, Any]:
    """Return the counts of the splits, of labels and seeds, and what the training subjects were like.

    Args:
        found: predictors of one arm.
        cohort: they were trained on.
        protocol: of them.
    """
    model = found[0].json("model.json")
    training = protocol.rows("train")
    modalities = {m: len(cohort.rows_with(training, [m])) for m in model["encoders"]}
    facts = _facts(cohort, protocol) if "tabular" in modalities else {}
    return {
        "splits": {split: _told(own) for split, own in protocol.artifact.json("protocol.json")["counts"].items()},
        "training_labels": told(model["training_labels"]),
        "arm": model["arm"]["name"],
        "label_fraction": found[0].config["fraction"],
        "seeds": [one.config["seed"] for one in found],
        "training_with": _told(modalities),
        "training_facts": facts,
    }


def _told(counts: Mapping[str, Any]) -> dict[str, Any]:
    """Return counts with None for those between none and ten people."""
    return {name: told(n) if isinstance(n, int) else n for name, n in counts.items()}


def _facts(cohort: Cohort, protocol: Protocol) -> dict[str, Any]:
    """Return for each fact how many training subjects have it, and mean and standard deviation or shares."""
    if protocol.contract is None:
        return {}
    table = cohort.table.iloc[cohort.rows_with(protocol.rows("train"), ["tabular"])]
    found = {column.name: _fact(column, table[column.name].dropna()) for column in protocol.contract.columns}
    return {name: fact for name, fact in found.items() if fact}


def _fact(column: TableColumn, values: pd.Series[Any]) -> dict[str, Any]:
    if len(values) < FEWEST_TOLD:
        return {}
    if column.kind == "number":
        numbers = values.to_numpy(dtype=np.float64)
        return {"n": len(values), "mean": _rounded(numbers.mean()), "sd": _rounded(numbers.std())}
    counts = values.astype(float if column.kind == "flag" else str).value_counts()
    if column.kind == "flag":
        share = _rounded(counts.get(1.0, 0) / len(values))
        few = (
            len(counts) == 2 and min(counts.min(), *(round(s * len(values)) for s in (share, 1 - share))) < FEWEST_TOLD
        )
        return {"n": len(values)} if few else {"n": len(values), "share": share}
    shares = {str(name): _rounded(n / len(values)) for name, n in counts.items() if n >= FEWEST_TOLD}
    return {"n": len(values), "shares": shares} if len(shares) == len(counts) else {"n": len(values)}


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")
