"""One subject in, one calibrated score out; the same arithmetic wherever it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from cardiobind.artifact import Artifact
from cardiobind.data.crops import spaced_crops
from cardiobind.inference.answers import answer
from cardiobind.inference.bundle import BundleContract, open_bundle
from cardiobind.inference.prepared import PreparedSubject, prepare_subject
from cardiobind.modalities.records import CineRecord, EcgRecord
from cardiobind.models import Fusion
from cardiobind.training import PrecisionName, choose_precision, multiplying

NOTICE = "Research use only: not a medical device, not for decisions about a patient."


@dataclass(frozen=True)
class Prediction:
    """The answer for one subject.

    Attributes:
        task: endpoint.
        title: the endpoint in words.
        inputs: modalities that were used, such as ``ecg+tabular``.
        logit: of the network; None where it has several.
        risk: probability, calibrated for a binary endpoint, within `horizon_years` for a time to event; None where the
            bundle could not be calibrated for these inputs.
        threshold: chosen on validation subjects; None where it could not be chosen.
        positive: whether the risk reaches the threshold; None without one.
        reason: why a value is None.
        quality: codes of what is wrong with a signal, by modality.
        missing: medical facts that were not given.
        ignored: medical facts that were given, but that the network does not use.
        bundle: digest of the bundle.
        statement: the answer in words, with its unit.
        value: of a regression, in `unit`; None where the bundle was not validated for these inputs.
        unit: of the value.
        horizon_years: of the risk of a time to event.
        notice: what the score is not for.
    """

    task: str
    title: str
    inputs: str
    logit: float | None
    risk: float | None
    threshold: float | None
    positive: bool | None
    reason: str | None
    quality: Mapping[str, tuple[str, ...]]
    missing: tuple[str, ...]
    ignored: tuple[str, ...]
    bundle: str
    statement: str = ""
    value: float | None = None
    unit: str | None = None
    horizon_years: float | None = None
    notice: str = NOTICE

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-compatible description."""
        return asdict(self)


class Predictor:
    """A bundle at work.

    Args:
        artifact: the bundle.
        contract: what it expects.
        fusion: the network, in evaluation mode.
        precision: as of a training; scores are those of the report to the bit in ``32-true`` alone.
    """

    def __init__(
        self, artifact: Artifact, contract: BundleContract, fusion: Fusion, *, precision: PrecisionName = "32-true"
    ) -> None:
        self.artifact, self.contract, self.fusion, self.precision = artifact, contract, fusion, precision

    def predict(
        self,
        *,
        ecg: Path | str | EcgRecord | None = None,
        cmr: Path | str | CineRecord | None = None,
        table: Path | str | Mapping[str, Any] | pd.DataFrame | None = None,
        subject: str | None = None,
        cmr_long_axis: Path | str | None = None,
    ) -> Prediction:
        """Return the calibrated score of one subject from any subset of the modalities that the bundle knows.

        Args:
            ecg: a file that `cardiobind.formats.read_ecg` reads, or a record.
            cmr: a zip or folder that `cardiobind.formats.read_cine` reads, or a record.
            table: a CSV or Parquet file, or medical facts by canonical name.
            subject: which row of a table that has several.
            cmr_long_axis: where the long-axis views are, if not in the archive or folder `cmr`; a bundle that knows
                none does not read them, and one that knows them takes them as absent where there are none.

        Raises:
            InputError: nothing was given, a file is not there, or a subject is named that no table has.
            RecordError: a signal cannot be read or used.
            DataContractError: a modality the bundle was not trained for, or facts that break its contract.
        """
        return self.score(
            prepare_subject(self.contract, ecg=ecg, cmr=cmr, table=table, subject=subject, cmr_long_axis=cmr_long_axis)
        )

    def score(self, prepared: PreparedSubject) -> Prediction:
        """Return the calibrated score of one subject whose data `prepare_subject` has made ready."""
        contract, signals = self.contract, prepared.signals
        present = {m: torch.full((1,), m in signals) for m in contract.inputs}
        logits = self.logits(signals, present)
        said, reason = answer(contract, logits, prepared.inputs)
        return Prediction(
            contract.task, contract.title, prepared.inputs, float(logits[0, 0]) if logits.shape[1] == 1 else None,
            said.risk, said.threshold, said.positive, reason, prepared.quality, prepared.missing, prepared.ignored,
            self.artifact.digest, said.statement, said.value, said.unit, said.horizon_years,
        )  # fmt: skip

    def logits(self, signals: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> NDArray[np.float64]:
        """Return the logits (B, outputs) of prepared signals: the mean over the crops that the network was chosen with.

        Args:
            signals: per modality the rows (P, ...) of the subjects that have it, as the cohort's batches hold them.
            present: per modality (B,) bool.
        """
        views = self._crops(signals)
        with torch.inference_mode(), multiplying(self.precision, torch.device("cpu")):
            logits = [self.fusion(view, present) for view in views]
            found: NDArray[np.float64] = torch.stack(logits).float().mean(dim=0).double().numpy()
        return found

    def _crops(self, signals: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
        crop_s, spec = self.contract.crop_s, self.contract.inputs.get("ecg")
        if crop_s is None or spec is None or "ecg" not in signals:
            return [dict(signals)]
        length = round(crop_s * float(spec.rate_hz or 0))
        return [{**signals, "ecg": crop} for crop in spaced_crops(signals["ecg"], length, self.contract.crops)]


def load(path: Path | str, *, precision: PrecisionName = "32-true") -> Predictor:
    """Open a bundle for prediction.

    Args:
        path: folder of the bundle.
        precision: ``auto`` or ``bf16-mixed`` is faster where the hardware multiplies well in bfloat16; only in
            ``32-true`` a score is that of the report to the bit.

    Raises:
        ConfigError: there is no such precision.
        ArtifactError, CorruptArtifactError: there is no bundle, or a file of it is not what was written.
        InputError: the weights do not fit the network of the contract.
    """
    choose_precision(precision, "cpu")
    return Predictor(*open_bundle(path), precision=precision)
