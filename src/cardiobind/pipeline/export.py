"""A predictor with everything it needs to meet raw files elsewhere: the bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cardiobind import artifact
from cardiobind.artifact import Artifact
from cardiobind.cohort import Cohort, Protocol
from cardiobind.errors import ArtifactError, ConfigError
from cardiobind.evaluation.calibration import fit_platt
from cardiobind.evaluation.threshold import choose_threshold
from cardiobind.inference.answers import ANSWERS
from cardiobind.inference.bundle import BundleContract, Calibration, commit_bundle, write_bundle
from cardiobind.modalities.cmr.preparation import CmrPreparation
from cardiobind.modalities.ecg.preparation import EcgPreparation
from cardiobind.pipeline.networks import load_state
from cardiobind.tasks import TASKS, Task

BUNDLE_ROOMS = (
    "inference", "evaluation/calibration", "evaluation/logistic", "evaluation/threshold", "pipeline/export",
    "pipeline/networks",
)  # fmt: skip
FUSION_OPTIONS = (
    "fusion", "hidden", "dropout", "modality_dropout", "fusion_width", "fusion_depth", "fusion_heads",
)  # fmt: skip


def export_predictor(predictor: Path | str, out: Path | str) -> Artifact:
    """Make a bundle out of a predictor, its protocol and its cohort, all of which are verified first.

    Args:
        predictor: artefact of kind predictor made by a network arm.
        out: folder of the bundle; must not exist.

    Raises:
        ArtifactError: it is no predictor, or it holds no network.
        ConfigError: a bundle does not know what to say of this kind of endpoint.
    """
    family = {found.kind: found for found in artifact.verify(predictor)}
    found = artifact.open_artifact(predictor, "predictor")
    if "model.json" not in found.manifest["files"]:
        raise ArtifactError(
            "only a network can be exported", where=found.path, hint="choose one of kind network or semi_supervised"
        )
    key = artifact.fingerprint("bundle", {}, [found], artifact.code_digest(BUNDLE_ROOMS))
    cohort = Cohort(family["cohort"])
    protocol = Protocol.open(family["protocol"].path, cohort)
    contract = _contract(found, cohort, protocol)
    write_bundle(commit_bundle(Path(out), [found], key), contract, load_state(found))
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


def _contract(predictor: Artifact, cohort: Cohort, protocol: Protocol) -> BundleContract:
    model = predictor.json("model.json")
    arm_options, modalities = model["arm"]["options"], list(model["encoders"])
    prepared = cohort.artifact.config
    task = TASKS.get(str(protocol.task))
    check_exported(task)
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
        calibration=_calibrations(pd.read_parquet(predictor.file("predictions.parquet")), task.kind),
        summary=_summary(predictor, protocol, model),
        kind=task.kind,
        unit=task.unit,
        objective=model.get("objective", {}),
    )


def _calibrations(predictions: pd.DataFrame, kind: str) -> dict[str, Calibration]:
    validation = predictions[predictions["split"] == "validation"]
    groups = validation.groupby("inputs", sort=False)
    return {str(inputs): _CALIBRATIONS.get(kind, _nothing)(rows) for inputs, rows in groups}


def _calibrate(rows: pd.DataFrame) -> Calibration:
    labels, scores = rows["label"].to_numpy(dtype=np.float64), rows["score"].to_numpy(dtype=np.float64)
    platt = fit_platt(labels, scores)
    if platt.slope is None:
        return Calibration(None, None, None, platt.reason)
    threshold = choose_threshold(labels, platt.apply(scores))
    return Calibration(platt.slope, platt.intercept, threshold.value, threshold.reason)


def _nothing(rows: pd.DataFrame) -> Calibration:
    """Return that there is nothing to fit: a value, or a risk by a baseline hazard that was settled before."""
    return Calibration(None, None, None)


_CALIBRATIONS = {"binary": _calibrate}


def _summary(predictor: Artifact, protocol: Protocol, model: Mapping[str, Any]) -> dict[str, Any]:
    counts: Sequence[Any] = protocol.artifact.json("protocol.json")["counts"]
    return {"splits": counts, "training_labels": model["training_labels"], "arm": model["arm"]["name"]}
