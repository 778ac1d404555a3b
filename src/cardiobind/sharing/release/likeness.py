"""What the training subjects look like: means and a few axes, of the widths that the network of the contract has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file

from cardiobind.inference.bundle import BundleContract
from cardiobind.inference.members import members_of
from cardiobind.inference.trust.likeness import MOST_AXES, SUBJECTS_AN_AXIS
from cardiobind.inference.trust.signs import CMR_SIGNS, ECG_SIGNS
from cardiobind.inference.trust.texture import ECG_TEXTURE
from cardiobind.models import Fusion
from cardiobind.sharing.release.arrays import check_values, read_header
from cardiobind.sharing.release.documents import parse
from cardiobind.sharing.release.findings import Finding, Findings
from cardiobind.sharing.release.rules import Context, fields
from cardiobind.sharing.release.schema import LIKENESS_FACTS

Widths = Mapping[tuple[str, str], int]
"""How many values each check compares, by modality and name of the check."""


def likeness_widths(contract: BundleContract, network: Any) -> Widths:
    """Return the checks that a bundle may have and how many values each compares.

    Args:
        contract: of the bundle.
        network: of the contract.
    """
    first: Fusion = members_of(network)[0].eval()
    widths = {}
    for modality, spec in contract.inputs.items():
        if modality == "tabular":
            widths[modality, "signs"] = sum(cardinality == 0 for cardinality in spec.cardinalities)
            continue
        with torch.inference_mode():
            widths[modality, "embedding"] = int(first.encode(modality, torch.zeros(1, *spec.shape)).shape[-1])
        widths[modality, "signs"] = len(ECG_SIGNS if modality == "ecg" else CMR_SIGNS)
    of_ecgs = {("ecg", "signs_of_few_leads"): len(ECG_SIGNS), ("ecg", "texture"): len(ECG_TEXTURE)}
    return widths | (of_ecgs if "ecg" in contract.inputs else {})


def check_likeness(where: str, path: Path, widths: Widths, context: Context) -> Findings:
    """Yield what a file about what the training subjects look like holds beside means and a few axes.

    Args:
        where: the file's name in findings.
        path: of the file.
        widths: of the checks that may be there.
        context: of the release.
    """
    header = yield from read_header(where, path)
    if header is None:
        return
    known = _facts(header.pop("__metadata__", {}))
    if known is None:
        yield Finding(where, "metadata that are not declared")
        return
    wrong = list(fields({"facts": LIKENESS_FACTS})(where, {"facts": known}, context))
    yield from wrong
    wanted = {} if wrong else _wanted(known, widths)
    for name, entry in header.items():
        if name not in wanted or entry["dtype"] not in ("F32", "F64"):
            yield Finding(where, "an array that is not declared")
        elif tuple(entry["shape"]) not in wanted[name]:
            yield Finding(f"{where}, {name}", "more rows, or rows of another width, than the contract's check has")
    yield from (Finding(f"{where}, {name}", "not there") for name in wanted if name not in header)
    yield from check_values(where, path, set(wanted))
    yield from _axes(where, path, set(wanted))


def _facts(metadata: Mapping[str, str]) -> Any:
    try:
        return parse(metadata["facts"]) if set(metadata) == {"facts"} else None
    except (ValueError, TypeError, RecursionError):
        return None


def _wanted(known: Mapping[str, Any], widths: Widths) -> dict[str, set[tuple[int, ...]]]:
    """Return the shapes that each array may have."""
    wanted: dict[str, set[tuple[int, ...]]] = {}
    for modality, own in known.items():
        for check in own.get("checks", {}):
            if (modality, check) not in widths:
                continue
            width = widths[modality, check]
            most = width
            if check == "embedding":
                most = min(MOST_AXES, max(1, own.get("training", 0) // SUBJECTS_AN_AXIS), width)
            rows = range(1, most + 1) if check == "embedding" else (width,)
            wanted |= {f"{modality}.{check}.{part}": {(width,)} for part in ("mean", "scale")}
            wanted[f"{modality}.{check}.axes"] = {(count, width) for count in rows}
            wanted[f"{modality}.{check}.variances"] = {(count,) for count in rows}
    return wanted


def _axes(where: str, path: Path, wanted: set[str]) -> Findings:
    """Yield axes that are no directions: rows of subjects are neither of length one nor at right angles."""
    try:
        arrays = load_file(path)
    except (SafetensorError, ValueError, OSError):
        return
    for name, axes in arrays.items():
        if name in wanted and name.endswith(".axes") and axes.ndim == 2:
            size = 1e-8 if axes.dtype == np.float64 else 1e-4
            if not np.allclose(axes @ axes.T, np.eye(len(axes)), atol=size):
                yield Finding(f"{where}, {name}", "axes that are not orthonormal")
