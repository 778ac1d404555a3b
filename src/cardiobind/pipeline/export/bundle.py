"""A bundle out of the predictors of one arm, their protocol and their cohort."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cardiobind import artifact
from cardiobind.artifact import Artifact
from cardiobind.cohort import Cohort, Protocol
from cardiobind.errors import ArtifactError, ConfigError
from cardiobind.inference.answers import ANSWERS
from cardiobind.inference.bundle import BundleContract, commit_bundle, network_of, write_bundle
from cardiobind.inference.predictor import Predictor
from cardiobind.modalities.cmr.preparation import CmrPreparation
from cardiobind.modalities.ecg.preparation import EcgPreparation
from cardiobind.models import load_weights
from cardiobind.pipeline.export.card import bundle_card
from cardiobind.pipeline.export.measured import lead_table, likeness
from cardiobind.pipeline.export.seeds import joined_weights, same_but_seed
from cardiobind.pipeline.export.summary import summary
from cardiobind.pipeline.export.validation import Validation
from cardiobind.tasks import TASKS, Task

BUNDLE_ROOMS = (
    "inference", "evaluation/calibration", "evaluation/logistic", "evaluation/threshold", "pipeline/export",
    "pipeline/networks",
)  # fmt: skip
FUSION_OPTIONS = (
    "fusion", "hidden", "dropout", "modality_dropout", "fusion_width", "fusion_depth", "fusion_heads",
)  # fmt: skip

Place = Path | str


def export_predictor(predictor: Place | Sequence[Place], out: Place) -> Artifact:
    """Make a bundle out of a predictor, its protocol and its cohort, all of which are verified first.

    Args:
        predictor: artefact of kind predictor made by a network arm; or several that differ in their seed alone, whose
            mean logit is the score of the bundle.
        out: folder of the bundle; must not exist.

    Raises:
        ArtifactError: it is no predictor, it holds no network, or several are not of one arm.
        ConfigError: a bundle does not know what to say of this kind of endpoint.
    """
    places = [predictor] if isinstance(predictor, Path | str) else list(predictor)
    family = {found.kind: found for place in places for found in artifact.verify(place)}
    ancestors = artifact.verify(places[0])
    found = [_network(place) for place in places]
    same_but_seed(found)
    key = artifact.fingerprint("bundle", {}, found, artifact.code_digest(BUNDLE_ROOMS))
    cohort = Cohort(family["cohort"])
    protocol = Protocol.open(family["protocol"].path, cohort)
    contract = _contract(found, cohort, protocol)
    weights = joined_weights(contract, found)
    network = network_of(contract)
    load_weights(network, weights)
    at_work = Predictor(found[0], contract, network.eval())
    contract = replace(contract, leads=lead_table(at_work, cohort, protocol, trained=_drops_leads(ancestors)))
    known = likeness(Predictor(found[0], contract, network), cohort, protocol)
    write_bundle(commit_bundle(Path(out), found, key), contract, weights, known, bundle_card(contract, known))
    return artifact.open_artifact(out, "bundle")


def check_exported(task: Task) -> None:
    """Check that a bundle knows what to say of an endpoint.

    Raises:
        ConfigError: it does not.
    """
    if task.kind not in ANSWERS:
        raise ConfigError(
            "no bundle can be made of this kind of endpoint", where="export", got=f"{task.name}, {task.kind}",
            expected=" | ".join(ANSWERS), hint="leave export out",
        )  # fmt: skip


def _network(place: Place) -> Artifact:
    found = artifact.open_artifact(place, "predictor")
    if "model.json" not in found.manifest["files"]:
        raise ArtifactError(
            "only a network can be exported", where=found.path, hint="choose one of kind network or semi_supervised"
        )
    return found


def _contract(found: Sequence[Artifact], cohort: Cohort, protocol: Protocol) -> BundleContract:
    model = found[0].json("model.json")
    arm_options, modalities = model["arm"]["options"], list(model["encoders"])
    prepared = cohort.artifact.config
    task = TASKS.get(str(protocol.task))
    check_exported(task)
    validation = Validation.of(found, task.kind, model.get("objective", {}))
    return BundleContract(
        task=task.name,
        title=task.title,
        inputs={m: protocol.specs[m] for m in modalities},
        encoders=model["encoders"],
        pool=model["pool"],
        fusion={k: arm_options[k] for k in FUSION_OPTIONS if k in arm_options},
        ecg=EcgPreparation(**prepared["ecg"]) if "ecg" in modalities else None,
        cmr=CmrPreparation(**prepared["cmr"]) if "cmr" in modalities else None,
        table=protocol.contract if "tabular" in modalities else None,
        crop_s=arm_options.get("crop_s"),
        crops=model["crops"],
        calibration=validation.calibrations(),
        summary=summary(found, cohort, protocol),
        kind=task.kind,
        unit=task.unit,
        objective=model.get("objective", {}),
        members=len(found),
        certainty=validation.certainties(),
        risks=validation.risks(),
    )


def _drops_leads(ancestors: Sequence[Artifact]) -> bool:
    """Return whether any training of the encoder of ECGs left leads out."""
    options: list[Mapping[str, Any]] = []
    for one in ancestors:
        options.append(one.config.get("arm", {}).get("options", {}))
        options.append(one.config.get("stage", {}).get("method", {}).get("options", {}))
    return any(float(own.get("lead_dropout", 0.0)) > 0 for own in options)
