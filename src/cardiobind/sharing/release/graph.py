"""ONNX files: the graph is the one that cardiobind makes of the contract in it; only the weights are another's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cardiobind.artifact import Artifact
from cardiobind.errors import CardiobindError
from cardiobind.inference.bundle import BundleContract, network_of
from cardiobind.inference.predictor import Predictor
from cardiobind.modalities.spec import InputSpec
from cardiobind.models import build_encoder, build_pool
from cardiobind.sharing.graphs import ScoreGraph, TowerGraph
from cardiobind.sharing.onnx_file import packages, traced
from cardiobind.sharing.release.arrays import like_participants
from cardiobind.sharing.release.documents import parse
from cardiobind.sharing.release.findings import Finding, Findings
from cardiobind.sharing.release.rules import Context
from cardiobind.sharing.release.schema import ONNX_FACTS

KEY = "cardiobind"


def check_onnx(where: str, path: Path, context: Context) -> Findings:
    """Yield what an ONNX file holds beside the graph and weights of the network that its metadata describe.

    Raises:
        ConfigError: onnx is not installed.
    """
    onnx, _ = packages()
    content = path.read_bytes()
    try:
        model = onnx.load_from_string(content)
    except Exception:  # bytes that are no protocol buffer may raise anything  # noqa: BLE001
        yield Finding(where, "not an ONNX file")
        return
    if model.SerializeToString(deterministic=True) != content or _unknown(model):
        yield Finding(where, "bytes beside the model")
    facts = _facts(model)
    if facts is None:
        yield Finding(where, f"metadata other than one entry of the name {KEY}")
        return
    found = list(ONNX_FACTS(f"{where}, metadata", facts, context))
    yield from found
    if not found:
        yield from _same(where, model, facts)
    for array in model.graph.initializer:
        values = onnx.numpy_helper.to_array(array)
        if values.dtype.kind == "f" and like_participants(values):
            yield Finding(where, "a weight like a participant's number")


def _same(where: str, model: Any, facts: Mapping[str, Any]) -> Findings:
    try:
        graph = _network(facts)
        reference = traced(graph, *_faces(graph, facts))
    except (CardiobindError, KeyError, TypeError, ValueError):
        yield Finding(where, "its metadata describe no network that can be built")
        return
    if model.producer_version != reference.producer_version:
        yield Finding(where, f"made by torch {model.producer_version}: check it with that version")
        return
    names = {array.name: _shape(array) for array in reference.graph.initializer}
    for array in model.graph.initializer:
        if names.get(array.name) != _shape(array):
            yield Finding(where, "an array that the network of the contract does not have")
    if _skeleton(model) != _skeleton(reference):
        yield Finding(where, "another graph than that of the contract")


def _network(facts: Mapping[str, Any]) -> ScoreGraph | TowerGraph:
    """Return the network with weights all of which differ, so that none are written as one."""
    if "contract" in facts:
        contract = BundleContract.from_json(facts["contract"])
        predictor = Predictor(Artifact(Path(), {"digest": ""}), contract, network_of(contract))
        graph: ScoreGraph | TowerGraph = ScoreGraph(predictor, facts["inputs"].split("+"))
    else:
        spec = InputSpec.from_json(facts["spec"])
        encoder = build_encoder(facts["encoder"]["kind"], spec, **_tuples(facts["encoder"]["options"]))
        graph = TowerGraph(encoder, build_pool(facts["pool"], spec.modality, encoder.width))
    for value in graph.state_dict().values():
        if value.is_floating_point():
            nn.init.uniform_(value, 0.1, 0.2)
    return graph.eval()


def _faces(graph: ScoreGraph | TowerGraph, facts: Mapping[str, Any]) -> tuple[dict[str, InputSpec], list[str]]:
    specs = facts["contract"]["inputs"] if "contract" in facts else {facts["spec"]["modality"]: facts["spec"]}
    return {m: InputSpec.from_json(spec) for m, spec in specs.items() if m in graph.names}, list(facts["outputs"])


def _tuples(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}


def _facts(model: Any) -> dict[str, Any] | None:
    if [entry.key for entry in model.metadata_props] != [KEY]:
        return None
    try:
        facts = parse(model.metadata_props[0].value)
    except (ValueError, RecursionError):
        return None
    return facts if isinstance(facts, dict) else None


def _shape(array: Any) -> tuple[int, tuple[int, ...]]:
    return array.data_type, tuple(array.dims)


def _skeleton(model: Any) -> bytes:
    """Return the model without the values of its weights, its arrays in order of their names."""
    bare = type(model)()
    bare.CopyFrom(model)
    del bare.metadata_props[:]
    for node in bare.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t") and _is_weight(attribute.t):
                attribute.t.raw_data = b""
    arrays = sorted(bare.graph.initializer, key=lambda array: str(array.name))
    for array in arrays:
        if _is_weight(array):
            array.raw_data = b""
    kept = [type(array).FromString(array.SerializeToString()) for array in arrays]
    del bare.graph.initializer[:]
    bare.graph.initializer.extend(kept)
    return bytes(bare.SerializeToString(deterministic=True))


def _is_weight(array: Any) -> bool:
    return array.data_type == 1 and torch.Size(array.dims).numel() * 4 == len(array.raw_data)


def _unknown(message: Any) -> bool:
    """Tell whether a message or one in it has fields that ONNX does not know."""
    from google.protobuf.unknown_fields import UnknownFieldSet

    if len(UnknownFieldSet(message)):
        return True
    inner = [value for field, value in message.ListFields() if field.message_type is not None]
    return any(_unknown(one) for value in inner for one in (value if hasattr(value, "__len__") else [value]))
