"""The forms of a bundle that a command asks for, one line said of each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from cardiobind.errors import InputError
from cardiobind.inference import load
from cardiobind.modalities.spec import split_inputs
from cardiobind.models import Tower, pool_of
from cardiobind.sharing.graphs import TowerGraph
from cardiobind.sharing.hub import export_hub, export_release
from cardiobind.sharing.onnx_file import OnnxFile, export_onnx, export_tower_onnx


def export_forms(
    bundle: Path | str,
    *,
    onnx: Path | None = None,
    inputs: str | None = None,
    tower: str | None = None,
    hub: Path | None = None,
    licence: str = "other",
    metrics: Path | None = None,
    release: Path | None = None,
) -> Iterator[str]:
    """Write the forms that are asked for and yield a line of each.

    Args:
        bundle: folder of a bundle or of a hub.
        onnx: file for the network as ONNX.
        inputs: of the ONNX graph, such as ``ecg+tabular``; all that the bundle knows by default.
        tower: modality whose encoder alone becomes the ONNX file.
        hub: folder for a model hub.
        licence: for its card.
        metrics: ``metrics.json`` of a run, for its card.
        release: folder for a copy without the places of its parents.

    Raises:
        InputError: no such inputs, tower or metrics.
        CardiobindError: as the functions of `cardiobind.sharing`.
    """
    if onnx is not None:
        yield _said(_onnx(bundle, onnx, inputs, tower))
    if hub is not None:
        written = export_hub(bundle, hub, licence=licence, metrics=None if metrics is None else _read(metrics))
        yield f"hub:     {written.path}  ({', '.join(written.files)})"
    if release is not None:
        yield f"release: {export_release(bundle, release).path}"
    yield "before it leaves a closed place: cardiobind verify --release PATH"


def _onnx(bundle: Path | str, out: Path, inputs: str | None, tower: str | None) -> OnnxFile:
    predictor = load(bundle)
    if tower is None:
        return export_onnx(predictor, out, inputs=None if inputs is None else split_inputs(inputs))
    towers = predictor.members[0].towers
    found = towers[tower] if tower in towers else None
    if not isinstance(found, Tower):
        raise InputError("the bundle has no such encoder", where="tower", expected=" | ".join(towers), got=tower)
    kind, options = pool_of(predictor.contract.pool, tower)
    facts = {
        "bundle": predictor.artifact.digest, "encoder": dict(predictor.contract.encoders[tower]),
        "pool": {tower: {"kind": kind, "options": dict(options)}},
    }  # fmt: skip
    return export_tower_onnx(TowerGraph.of(found), out, facts=facts)


def _said(file: OnnxFile) -> str:
    shapes = ", ".join(f"{name} ({', '.join(map(str, shape))})" for name, shape in file.inputs.items())
    return (
        f"onnx:    {file.path}  opset {file.opset}; {shapes} -> {', '.join(file.outputs)}; "
        f"differs from torch by {file.difference:.1e} at most"
    )


def _read(metrics: Path) -> dict[str, object]:
    try:
        found = json.loads(metrics.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError("the metrics cannot be read", where=metrics, expected="metrics.json of a run") from error
    if not isinstance(found, dict):
        raise InputError("the metrics are no metrics of a run", where=metrics)
    return found
