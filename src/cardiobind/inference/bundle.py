"""The bundle: a trained network with the data contract it was trained under, its calibration and its thresholds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from cardiobind import artifact
from cardiobind.artifact import Artifact
from cardiobind.inference.hub import is_hub, open_hub
from cardiobind.modalities.cmr.preparation import CmrPreparation
from cardiobind.modalities.ecg.preparation import EcgPreparation
from cardiobind.modalities.spec import InputSpec
from cardiobind.modalities.tabular.contract import TableContract
from cardiobind.models import Fusion, Tower, build_encoder, build_fusion, build_pool, load_weights
from cardiobind.objectives import ENDPOINTS

KIND = "bundle"


@dataclass(frozen=True)
class Calibration:
    """How a score of one input set becomes a risk and a decision, both fitted on validation subjects.

    Attributes:
        slope, intercept: risk = sigmoid(intercept + slope x logit); None where it could not be fitted.
        threshold: on the risk, above which the answer is positive; None where it could not be chosen.
        reason: why a value is None.
    """

    slope: float | None
    intercept: float | None
    threshold: float | None
    reason: str | None = None


@dataclass(frozen=True)
class BundleContract:
    """What a bundle expects and promises.

    Attributes:
        task: endpoint.
        title: the endpoint in words.
        inputs: spec of each modality the network knows.
        encoders: kind and options of each encoder.
        pool: as of `cardiobind.models.build_pool`.
        fusion: keyword arguments of `cardiobind.models.build_fusion`.
        ecg, cmr: preparation of raw records; None for a modality it does not know.
        table: contract of the table, or None.
        crop_s: length of the ECG crops, or None for the whole record.
        crops: how many crops are averaged.
        calibration: by input set such as ``ecg+tabular``, all those that validation subjects were scored on.
        summary: training cohort in numbers, no participant.
        kind: of the endpoint; ``binary`` in bundles that do not say.
        unit: of the value that a regression gives.
        objective: what turns logits into predictions, see `cardiobind.objectives.EndpointObjective.to_json`.
    """

    task: str
    title: str
    inputs: Mapping[str, InputSpec]
    encoders: Mapping[str, Mapping[str, Any]]
    pool: str | Mapping[str, str | Mapping[str, Any]]
    fusion: Mapping[str, Any]
    ecg: EcgPreparation | None
    cmr: CmrPreparation | None
    table: TableContract | None
    crop_s: float | None
    crops: int
    calibration: Mapping[str, Calibration]
    summary: Mapping[str, Any]
    kind: str = "binary"
    unit: str = ""
    objective: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-compatible description that `from_json` reads back."""
        return {
            "task": self.task,
            "title": self.title,
            "inputs": {m: spec.to_json() for m, spec in self.inputs.items()},
            "encoders": {m: dict(e) for m, e in self.encoders.items()},
            "pool": self.pool,
            "fusion": dict(self.fusion),
            "ecg": None if self.ecg is None else asdict(self.ecg),
            "cmr": None if self.cmr is None else asdict(self.cmr),
            "table": None if self.table is None else self.table.to_json(),
            "crop_s": self.crop_s,
            "crops": self.crops,
            "calibration": {inputs: asdict(c) for inputs, c in self.calibration.items()},
            "summary": dict(self.summary),
            "kind": self.kind,
            "unit": self.unit,
            "objective": dict(self.objective),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> BundleContract:
        """Return the contract that `to_json` described."""
        return cls(
            task=value["task"],
            title=value["title"],
            inputs={m: InputSpec.from_json(spec) for m, spec in value["inputs"].items()},
            encoders=value["encoders"],
            pool=value["pool"],
            fusion=value["fusion"],
            ecg=None if value["ecg"] is None else EcgPreparation(**value["ecg"]),
            cmr=None if value["cmr"] is None else CmrPreparation(**value["cmr"]),
            table=None if value["table"] is None else TableContract.from_json(value["table"]),
            crop_s=value["crop_s"],
            crops=value["crops"],
            calibration={inputs: Calibration(**c) for inputs, c in value["calibration"].items()},
            summary=value["summary"],
            kind=value.get("kind", "binary"),
            unit=value.get("unit", ""),
            objective=value.get("objective", {}),
        )


def network_of(contract: BundleContract) -> Fusion:
    """Return the network a contract describes, with random weights."""
    towers = {}
    for modality, spec in contract.inputs.items():
        chosen = contract.encoders[modality]
        encoder = build_encoder(chosen["kind"], spec, **chosen["options"])
        towers[modality] = Tower(encoder, build_pool(contract.pool, modality, encoder.width))
    outputs = ENDPOINTS.get(contract.kind).from_json(contract.objective).outputs
    return build_fusion(towers, outputs=outputs, **contract.fusion)


def write_bundle(folder: AbstractContextManager[Path], contract: BundleContract, weights: Mapping[str, Tensor]) -> None:
    """Write a bundle into the folder of an artefact about to be committed.

    Args:
        folder: as `cardiobind.artifact.commit` gives it.
        contract: what the bundle expects.
        weights: state of the `Fusion`.
    """
    with folder as path:
        (path / "contract.json").write_text(json.dumps(contract.to_json(), indent=1, allow_nan=False))
        save_file(dict(weights), path / "weights.safetensors")


def open_bundle(path: Path | str) -> tuple[Artifact, BundleContract, Fusion]:
    """Open a bundle, checked file by file.

    Args:
        path: folder of the bundle, or of `cardiobind export --hub`.

    Returns:
        The artefact, what it expects, and the network in evaluation mode.

    Raises:
        ArtifactError, CorruptArtifactError: as `cardiobind.artifact.open_artifact`.
        InputError: the weights do not fit the network of the contract.
    """
    found = open_hub(path) if is_hub(path) else artifact.open_artifact(path, KIND)
    contract = BundleContract.from_json(found.json("contract.json"))
    fusion = network_of(contract)
    load_weights(fusion, load_file(found.file("weights.safetensors")))
    fusion.eval()
    return found, contract, fusion


def commit_bundle(path: Path, parents: Sequence[Artifact], fingerprint: str) -> AbstractContextManager[Path]:
    """Give the folder that becomes the bundle."""
    return artifact.commit(path, KIND, parents=parents, fingerprint=fingerprint)
