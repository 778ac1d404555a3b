"""The bundle: a trained network with the data contract it was trained under, its calibration and its thresholds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from cardiobind import artifact
from cardiobind.artifact import Artifact
from cardiobind.errors import ArtifactError, CorruptArtifactError
from cardiobind.inference.hub import is_hub, open_hub
from cardiobind.inference.members import Members
from cardiobind.inference.trust.cohort import Histogram
from cardiobind.inference.trust.intervals import Certainty
from cardiobind.inference.trust.leads import LeadTable
from cardiobind.inference.trust.likeness import Familiar, load_likeness, save_likeness
from cardiobind.modalities.cmr.preparation import CmrPreparation
from cardiobind.modalities.ecg.preparation import EcgPreparation
from cardiobind.modalities.spec import InputSpec
from cardiobind.modalities.tabular.contract import TableContract
from cardiobind.models import Fusion, Tower, build_encoder, build_fusion, build_pool, load_weights
from cardiobind.objectives import ENDPOINTS

KIND = "bundle"
SCHEMA_VERSION = 3
"""2: members, certainty, risks, leads, cohort, and the files `likeness.safetensors` and `model_card.md`; a bundle of
version 1 has none of them. 3: likeness of an ECG's texture, clipped values; a bundle of version 2 has other checks."""

LIKENESS = "likeness.safetensors"
CARD = "model_card.md"


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
        members: networks whose mean logit the score is, of the same architecture and trained with different seeds.
        certainty: by input set, what the intervals follow from.
        risks: by input set, the validation subjects' risks or values.
        leads: what leads that are missing cost; None where it is not known.
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
    members: int = 1
    certainty: Mapping[str, Certainty] = field(default_factory=dict)
    risks: Mapping[str, Histogram] = field(default_factory=dict)
    leads: LeadTable | None = None

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
            "members": self.members,
            "certainty": {inputs: asdict(c) for inputs, c in self.certainty.items()},
            "risks": {inputs: asdict(h) for inputs, h in self.risks.items()},
            "leads": None if self.leads is None else asdict(self.leads),
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
            members=value.get("members", 1),
            certainty={inputs: Certainty.from_json(c) for inputs, c in value.get("certainty", {}).items()},
            risks={inputs: Histogram.from_json(h) for inputs, h in value.get("risks", {}).items()},
            leads=None if value.get("leads") is None else LeadTable.from_json(value["leads"]),
        )


def network_of(contract: BundleContract) -> Fusion | Members:
    """Return the network a contract describes, with random weights."""
    if contract.members == 1:
        return member_of(contract)
    return Members([member_of(contract) for _ in range(contract.members)])


def member_of(contract: BundleContract) -> Fusion:
    """Return one member of the network a contract describes, with random weights."""
    towers = {}
    for modality, spec in contract.inputs.items():
        chosen = contract.encoders[modality]
        encoder = build_encoder(chosen["kind"], spec, **chosen["options"])
        towers[modality] = Tower(encoder, build_pool(contract.pool, modality, encoder.width))
    outputs = ENDPOINTS.get(contract.kind).from_json(contract.objective).outputs
    return build_fusion(towers, outputs=outputs, **contract.fusion)


def write_bundle(
    folder: AbstractContextManager[Path], contract: BundleContract, weights: Mapping[str, Tensor],
    likeness: Mapping[str, Familiar] | None = None, card: str = "",
) -> None:  # fmt: skip
    """Write a bundle into the folder of an artefact about to be committed.

    Args:
        folder: as `commit_bundle` gives it.
        contract: what the bundle expects.
        weights: state of `network_of`.
        likeness: what the training subjects look like, by modality.
        card: the model card, in Markdown.
    """
    with folder as path:
        (path / "contract.json").write_text(json.dumps(contract.to_json(), indent=1, allow_nan=False))
        save_file(dict(weights), path / "weights.safetensors")
        if likeness:
            save_likeness(path / LIKENESS, likeness)
        if card:
            (path / CARD).write_text(card)


def open_bundle(path: Path | str) -> tuple[Artifact, BundleContract, Fusion | Members]:
    """Open a bundle, checked file by file.

    Args:
        path: folder of the bundle, or of `cardiobind export --hub`.

    Returns:
        The artefact, what it expects, and the network in evaluation mode.

    Raises:
        ArtifactError, CorruptArtifactError: as `cardiobind.artifact.open_artifact`; also for a newer kind of bundle.
        InputError: the weights do not fit the network of the contract.
    """
    found = open_hub(path) if is_hub(path) else artifact.open_artifact(path, KIND)
    version = int(found.manifest["schema_version"])
    if version > SCHEMA_VERSION:
        raise ArtifactError(
            "bundle of a newer version", where=found.path, expected=f"at most {SCHEMA_VERSION}", got=version,
            hint="update cardiobind, or export the predictor again with this version",
        )  # fmt: skip
    contract = BundleContract.from_json(found.json("contract.json"))
    network = network_of(contract)
    load_weights(network, _weights(found))
    network.eval()
    return found, contract, network


def _weights(bundle: Artifact) -> dict[str, Tensor]:
    try:
        return load_file(bundle.file("weights.safetensors"))
    except SafetensorError as error:
        raise CorruptArtifactError(
            "the weights of the bundle cannot be read", where=bundle.path / "weights.safetensors",
            expected="safetensors", got=str(error), hint="export the predictor again",
        ) from None  # fmt: skip


def likeness_of(bundle: Artifact) -> dict[str, Familiar]:
    """Return what the training subjects of a bundle look like, by modality; nothing for a bundle that does not say."""
    return load_likeness(bundle.file(LIKENESS)) if LIKENESS in bundle.manifest["files"] else {}


def card_of(bundle: Artifact) -> str | None:
    """Return the model card of a bundle, in Markdown; None where it has none."""
    return bundle.file(CARD).read_text() if CARD in bundle.manifest["files"] else None


def commit_bundle(path: Path, parents: Sequence[Artifact], fingerprint: str) -> AbstractContextManager[Path]:
    """Give the folder that becomes the bundle."""
    return artifact.commit(path, KIND, schema_version=SCHEMA_VERSION, parents=parents, fingerprint=fingerprint)
