"""Networks as ONNX files that are checked against torch before they are written."""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cardiobind.errors import ArtifactError, ArtifactExistsError, ConfigError
from cardiobind.inference import NOTICE
from cardiobind.inference.predictor import Predictor
from cardiobind.modalities.cmr.layouts import ABSENT_VALUE, optional_places
from cardiobind.modalities.spec import InputSpec
from cardiobind.sharing.graphs import PRESENT, ScoreGraph, TowerGraph, expressible

OPSET = 17
"""ONNX operators, with a layer norm of their own; onnxruntime 1.12 (2022) and later run them."""
TOLERANCE = 1e-4
"""Largest difference from torch, over the largest value of what is compared where that is above 1."""
CHECKED_BATCHES = (1, 3, 8)
_EXTRA = "pip install 'cardiobind[onnx]'"

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class OnnxFile:
    """A network as ONNX.

    Attributes:
        path: of the file.
        inputs: name and shape of each input, the batch being ``"batch"``.
        outputs: names.
        opset: of the operators.
        difference: largest one from torch on random inputs, over the largest value where that is above 1.
    """

    path: Path
    inputs: Mapping[str, tuple[int | str, ...]]
    outputs: tuple[str, ...]
    opset: int
    difference: float


def export_onnx(
    predictor: Predictor, out: Path | str, *, inputs: Sequence[str] | None = None, tolerance: float = TOLERANCE
) -> OnnxFile:
    """Write the network of a bundle, its crops and members averaged, as ONNX: signals as prepared in, logits out.

    One input a modality, (batch, ...) float32, and where there are several a mask (batch,) bool that says who has it.
    Contract, digest and notice are in the file's metadata. Preparation and calibration are not in the graph.

    Args:
        predictor: what `cardiobind.load` gives.
        out: file; must not exist.
        inputs: modalities of the graph; all that the bundle knows by default.
        tolerance: see `TOLERANCE`.

    Raises:
        InputError: no such inputs.
        ConfigError: onnx or onnxruntime is not installed.
        ArtifactError: ONNX has no operators for the network, or the result differs from torch; nothing is written.
    """
    chosen = tuple(predictor.contract.inputs) if inputs is None else tuple(inputs)
    graph = ScoreGraph(predictor, chosen).eval()
    specs = {m: predictor.contract.inputs[m] for m in graph.modalities}
    facts = {"contract": predictor.contract.to_json(), "bundle": predictor.artifact.digest, "inputs": "+".join(specs)}
    return _export(graph, specs, ("logits",), Path(out), facts, tolerance)


def export_tower_onnx(
    graph: TowerGraph, out: Path | str, *, facts: Mapping[str, Any] | None = None, tolerance: float = TOLERANCE
) -> OnnxFile:
    """Write an encoder as ONNX: signals as prepared (batch, ...) in, ``embedding`` and ``tokens`` out.

    Args:
        graph: encoder and pool.
        out: file; must not exist.
        facts: JSON-compatible, for the metadata beside the spec of the input.
        tolerance: see `TOLERANCE`.

    Raises:
        ConfigError, ArtifactError: as `export_onnx`.
    """
    spec = graph.encoder.inputs
    found = {"spec": spec.to_json(), **(facts or {})}
    return _export(graph.eval(), {spec.modality: spec}, ("embedding", "tokens"), Path(out), found, tolerance)


def example_inputs(specs: Mapping[str, InputSpec], subjects: int, seed: int = 0) -> dict[str, Tensor]:
    """Return random inputs of a graph that keep the rules of each modality, absent leads, views and values among them.

    Args:
        specs: by modality.
        subjects: at least 1; of several, the second lacks a lead, a view or a modality.
        seed: of the numbers.
    """
    random = torch.Generator().manual_seed(seed)
    signals = {m: _signal(spec, subjects, random) for m, spec in specs.items()}
    if len(specs) == 1:
        return signals
    masks = {m: torch.rand(subjects, generator=random) < 0.6 for m in specs}
    nobody = ~torch.stack(list(masks.values())).any(dim=0)
    masks[next(iter(specs))] |= nobody
    return {**signals, **{f"{m}{PRESENT}": mask for m, mask in masks.items()}}


def _signal(spec: InputSpec, subjects: int, random: torch.Generator) -> Tensor:
    x = torch.randn(subjects, *spec.shape, generator=random)
    if spec.modality == "ecg":
        x[1::2, 3] = 0.0
    if spec.modality == "cmr":
        views = [i for i, name in enumerate(spec.names) if name.split(".")[0] in optional_places(spec.names)]
        x[1::2, views] = ABSENT_VALUE
    if spec.modality != "tabular":
        return x
    observed = (torch.rand(x.shape[:2], generator=random) < 0.8).float()
    sizes = torch.tensor(spec.cardinalities)
    codes = (torch.rand(x.shape[:2], generator=random) * sizes).floor()
    return torch.stack([torch.where(sizes > 0, codes, x[..., 0]) * observed, observed], dim=2)


def _export(
    graph: ScoreGraph | TowerGraph, specs: Mapping[str, InputSpec], outputs: tuple[str, ...], out: Path,
    facts: Mapping[str, Any], tolerance: float,
) -> OnnxFile:  # fmt: skip
    onnx, runtime = packages()
    if os.path.lexists(out):
        raise ArtifactExistsError("there is something at that path already", where=out, hint="choose another path")
    model = traced(graph, specs, outputs)
    said = {"contract_version": "1", "notice": NOTICE, **facts, "opset": OPSET, "outputs": list(outputs)}
    difference = _difference(graph, specs, outputs, model.SerializeToString(), runtime)
    if not difference <= tolerance:
        raise ArtifactError(
            "the ONNX graph does not compute what torch does; nothing was written", where=out,
            expected=f"a difference of at most {tolerance:g}", got=f"{difference:g}",
        )  # fmt: skip
    said |= {"difference": difference, "tolerance": tolerance}
    onnx.helper.set_model_props(model, {"cardiobind": json.dumps(said, allow_nan=False)})
    onnx.checker.check_model(model, full_check=True)
    _write(out, model.SerializeToString(deterministic=True))
    shapes: dict[str, tuple[int | str, ...]] = {m: ("batch", *spec.shape) for m, spec in specs.items()}
    shapes |= {name: ("batch",) for name in graph.names if name.endswith(PRESENT)}
    return OnnxFile(out, shapes, outputs, OPSET, difference)


def packages() -> tuple[Any, Any]:
    """Return the modules onnx and onnxruntime.

    Raises:
        ConfigError: they are not installed.
    """
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise ConfigError("ONNX is not installed", where="onnx", got=error.name, hint=_EXTRA) from error
    return onnx, onnxruntime


def traced(graph: ScoreGraph | TowerGraph, specs: Mapping[str, InputSpec], outputs: Sequence[str]) -> Any:
    """Return the ONNX model of a graph of signals as prepared, the number of subjects left open.

    Raises:
        ArtifactError: ONNX has no operator for a part of it.
    """
    given = example_inputs(specs, 4)
    arguments = tuple(given[name] for name in graph.names)
    axes = {name: {0: "batch"} for name in (*graph.names, *outputs)}
    try:
        with (
            tempfile.TemporaryDirectory() as folder, torch.no_grad(), expressible(graph, lambda: graph(*arguments)),
            warnings.catch_warnings(),
        ):  # fmt: skip
            file = Path(folder) / "graph.onnx"
            warnings.simplefilter("ignore")  # of a tracer that is to take the branch it takes, see `example_inputs`
            torch.onnx.export(
                graph, arguments, str(file), dynamo=False, opset_version=OPSET, input_names=list(graph.names),
                output_names=list(outputs), dynamic_axes=axes,
                keep_initializers_as_inputs=True,  # else weights that are alike would be written once
            )  # fmt: skip
            model = packages()[0].load(str(file))
    except torch.onnx.errors.UnsupportedOperatorError as error:
        raise ArtifactError("ONNX has no operator for a part of the network", got=str(error).split("\n")[0]) from error
    signals = [value for value in model.graph.input if value.name in graph.names]
    del model.graph.input[:]
    model.graph.input.extend(signals)
    return model


def _difference(
    graph: ScoreGraph | TowerGraph, specs: Mapping[str, InputSpec], outputs: Sequence[str], model: bytes, runtime: Any
) -> float:
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    worst = 0.0
    for seed, subjects in enumerate(CHECKED_BATCHES, start=1):
        given = example_inputs(specs, subjects, seed)
        with torch.no_grad():
            wanted = graph(*[given[name] for name in graph.names])
        found = session.run(list(outputs), {name: x.numpy() for name, x in given.items()})
        for a, b in zip([wanted] if isinstance(wanted, Tensor) else wanted, found, strict=True):
            worst = max(worst, _relative(a.numpy(), b))
    return worst


def _relative(wanted: NDArray[Any], found: NDArray[Any]) -> float:
    if wanted.shape != found.shape:
        return float("inf")
    difference = float(np.abs(wanted - found).max()) / max(1.0, float(np.abs(wanted).max()))
    return difference if np.isfinite(difference) else float("inf")


def _write(out: Path, content: bytes) -> None:
    partial = out.with_name(f".{out.name}.partial-{os.getpid()}")
    try:
        partial.write_bytes(content)
        partial.rename(out)
    except OSError as error:
        raise ArtifactError("the file could not be written", where=out, got=error.strerror) from error
    finally:
        partial.unlink(missing_ok=True)
