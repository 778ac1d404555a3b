"""What turns one subject's prepared data into embeddings: a bundle, aligned encoders, or one encoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cardiobind import artifact
from cardiobind.artifact import Artifact
from cardiobind.config.parts import Component
from cardiobind.errors import ArtifactError
from cardiobind.inference import BundleContract, Predictor, PreparedSubject, load
from cardiobind.methods import METHODS
from cardiobind.methods.align.base import Align
from cardiobind.methods.views import Views
from cardiobind.modalities.cmr.preparation import CmrPreparation
from cardiobind.modalities.ecg.preparation import EcgPreparation
from cardiobind.modalities.spec import InputSpec
from cardiobind.modalities.tabular.contract import TableContract
from cardiobind.models import Tower, build_encoder, build_pool, load_weights
from cardiobind.pipeline.components import options
from cardiobind.pipeline.networks import load_state, load_weights_file
from cardiobind.pipeline.pretrain import ALIGNMENT

POOLED = "pooled"
SHARED = "shared"
Vectors = dict[str, NDArray[np.float32]]


class Embedder(Protocol):
    """Networks at rest, and the contract of what they are fed."""

    @property
    def contract(self) -> BundleContract:
        """How raw data are prepared."""

    @property
    def artifact(self) -> Artifact:
        """The networks."""

    @property
    def widths(self) -> Mapping[str, int]:
        """Length of each embedding, by the name of its column."""

    def embed(self, prepared: PreparedSubject) -> Vectors:
        """Return the embeddings of one subject by column; of what is absent there is none."""


class BundleEmbedder:
    """The towers of a bundle: what its classifier is built on.

    Args:
        predictor: the bundle.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor, self.contract, self.artifact = predictor, predictor.contract, predictor.artifact
        towers = predictor.fusion.towers
        self.widths = {_column(m, POOLED): int(towers[m].width) for m in self.contract.inputs}  # type: ignore[arg-type]

    def embed(self, prepared: PreparedSubject) -> Vectors:
        """Return what `Predictor.embed` does."""
        return {_column(m, POOLED): z for m, z in self.predictor.embed(prepared).items()}


class TowerEmbedder:
    """Pre-trained or aligned encoders: their pooled output and, of an alignment, the space that its loss compares in.

    Args:
        artifact: of the networks.
        contract: of what they are fed.
        towers: by modality.
        alignment: method around the same towers; None where there is no shared space.
        crop_s: length of the central ECG crop that is looked at, None for the whole.
    """

    def __init__(
        self, artifact: Artifact, contract: BundleContract, towers: Mapping[str, Tower], alignment: Align | None,
        crop_s: float | None,
    ) -> None:  # fmt: skip
        self.artifact, self.contract, self.towers, self.alignment = artifact, contract, dict(towers), alignment
        self.views = Views.of(contract.inputs, crop_s=crop_s, probability=0.0, corruption=0.0)
        self.widths = {_column(m, POOLED): tower.width for m, tower in towers.items()}
        if alignment is not None:
            self.widths |= {_column(name, SHARED): int(alignment.projection) for name in alignment.spaces}  # type: ignore[arg-type]
        for module in (*self.towers.values(), *([] if alignment is None else [alignment])):
            module.eval()

    @property
    def spaces(self) -> tuple[str, ...]:
        """What has a place in the shared space: modalities, or groups of them such as ``ecg+tabular``."""
        return () if self.alignment is None else self.alignment.spaces

    @torch.inference_mode()
    def embed(self, prepared: PreparedSubject) -> Vectors:
        """Return the embeddings of one subject, whoever else is asked for."""
        features = self._features(prepared)
        found = {_column(m, POOLED): z for m, z in features.items()}
        return _vectors(found | {_column(name, SHARED): z for name, z in self._shared(features).items()})

    @torch.inference_mode()
    def shared(self, prepared: PreparedSubject) -> Vectors:
        """Return the embeddings (d,) of length 1 in the shared space, by name in `spaces`."""
        return _vectors(self._shared(self._features(prepared)))

    def _features(self, prepared: PreparedSubject) -> dict[str, Tensor]:
        signals = {m: x for m, x in prepared.signals.items() if m in self.towers}
        return {m: self.towers[m](self.views.fixed(m, x)[0]) for m, x in signals.items()}

    def _shared(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if self.alignment is None:
            return {}
        present = {m: torch.full((1,), m in features) for m in self.towers}
        told = self.alignment.shared_space(features, present)
        return {name: z for name, z in told.items() if bool(z.isfinite().all())}


def open_embedder(path: Path | str) -> Embedder:
    """Open what embeds: a bundle, an artefact of kind aligned or encoder with its parents, or an index.

    Raises:
        ArtifactError, CorruptArtifactError: there is none, it or a parent is damaged, or it is of another kind or of
            older code.
    """
    found = artifact.open_artifact(path)
    if found.kind not in OPENERS:
        raise ArtifactError("nothing that embeds", where=found.path, expected=" | ".join(OPENERS), got=found.kind)
    return OPENERS[found.kind](found)


def open_aligned(found: Artifact, contract: BundleContract | None = None) -> TowerEmbedder:
    """Return the aligned encoders of an artefact.

    Args:
        found: of kind aligned, or another that holds the same files.
        contract: of what they are fed; None to ask the parents.

    Raises:
        ArtifactError: it was made by code that kept no projections, or a parent is not there.
    """
    if ALIGNMENT not in found.manifest["files"]:
        raise ArtifactError(
            "the alignment was made by older code, which did not keep its projections", where=found.path,
            expected=ALIGNMENT, hint="run `cardiobind align` again",
        )  # fmt: skip
    model = found.json("model.json")
    method = Component(**model["stage"]["method"])
    known = contract or contract_of(found, model["encoders"], model["pool"])
    towers = {m: _tower(known, m) for m in model["encoders"]}
    aligner = METHODS.get(method.kind)(towers, **options(method))
    for name, tower in towers.items():
        load_weights(tower, load_state(found, name))
    if not isinstance(aligner, Align):
        return TowerEmbedder(found, known, towers, None, known.crop_s)
    rest = load_weights_file(found.file(ALIGNMENT))
    load_weights(aligner, rest | {f"towers.{name}": value for name, value in load_state(found).items()})
    return TowerEmbedder(found, known, towers, aligner, known.crop_s)


def contract_of(found: Artifact, encoders: Mapping[str, Any], pool: Any) -> BundleContract:
    """Return how raw data are prepared for the networks of an artefact, as its cohort and division say."""
    family = {one.kind: one for one in artifact.verify(found.path)}
    prepared, divided = family["cohort"], family.get("division") or family["protocol"]
    specs = {m: InputSpec.from_json(spec) for m, spec in prepared.json("specs.json").items()}
    fitted = divided.json("table_contract.json")
    table = None if fitted is None else TableContract.from_json(fitted)
    inputs = specs | ({} if table is None else {"tabular": table.spec()})
    return BundleContract(
        task="", title="", inputs={m: inputs[m] for m in encoders}, encoders=encoders, pool=pool, fusion={},
        ecg=EcgPreparation(**prepared.config["ecg"]) if "ecg" in encoders else None,
        cmr=CmrPreparation(**prepared.config["cmr"]) if "cmr" in encoders else None,
        table=table if "tabular" in encoders else None, calibration={}, summary={}, crops=1,
        crop_s=found.json("model.json")["stage"]["method"]["options"].get("crop_s"),
    )  # fmt: skip


def _open_encoder(found: Artifact) -> TowerEmbedder:
    model = found.json("model.json")
    modality = model["modality"]
    contract = contract_of(found, {modality: model["encoder"]}, "mean")
    tower = _tower(contract, modality)
    load_weights(tower.encoder, load_state(found))
    return TowerEmbedder(found, contract, {modality: tower}, None, contract.crop_s)


def _open_index(found: Artifact) -> TowerEmbedder:
    return open_aligned(found, BundleContract.from_json(found.json("contract.json")))


OPENERS: Mapping[str, Callable[[Artifact], Embedder]] = {
    "bundle": lambda found: BundleEmbedder(load(found.path)),
    "aligned": open_aligned,
    "encoder": _open_encoder,
    "index": _open_index,
}


def only(prepared: PreparedSubject, modalities: tuple[str, ...]) -> PreparedSubject:
    """Return a subject with some of the modalities."""
    return replace(prepared, signals={m: x for m, x in prepared.signals.items() if m in modalities})


def _tower(contract: BundleContract, modality: str) -> Tower:
    chosen = contract.encoders[modality]
    encoder = build_encoder(chosen["kind"], contract.inputs[modality], **chosen["options"])
    return Tower(encoder, build_pool(contract.pool, modality, encoder.width))


def _column(name: str, what: str) -> str:
    return f"{name.replace('+', '_')}_{what}"


def _vectors(found: Mapping[str, Tensor]) -> Vectors:
    return {name: z[0].float().numpy() for name, z in found.items()}
