"""One subject in, one calibrated score out; the same arithmetic wherever it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from cardiobind.artifact import Artifact
from cardiobind.data.crops import spaced_crops
from cardiobind.data.dataset import scale_cmr
from cardiobind.errors import DataContractError, InputError
from cardiobind.formats import masked, read_cine, read_ecg, read_long_axis
from cardiobind.formats.location import split_location
from cardiobind.inference.answers import answer
from cardiobind.inference.bundle import BundleContract, open_bundle
from cardiobind.inference.facts import read_facts
from cardiobind.modalities.cmr.preparation import prepare_cmr
from cardiobind.modalities.ecg.preparation import ecg_quality, normalise_by_lead_group, prepare_ecg
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
        given = {"ecg": ecg, "cmr": cmr, "tabular": table}
        given = {m: value for m, value in given.items() if value is not None}
        self._check_given(given, subject)
        signals: dict[str, Tensor] = {}
        quality: dict[str, tuple[str, ...]] = {}
        missing: tuple[str, ...] = ()
        ignored: tuple[str, ...] = ()
        if ecg is not None:
            signals["ecg"], quality["ecg"] = self._ecg(ecg)
        if cmr is not None:
            signals["cmr"], quality["cmr"] = self._cmr(cmr, cmr_long_axis)
        if table is not None:
            signals["tabular"], missing, ignored = self._table(table, subject)
        return self._answer(signals, quality, missing, ignored)

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

    def _answer(
        self, signals: Mapping[str, Tensor], quality: Mapping[str, tuple[str, ...]], missing: tuple[str, ...],
        ignored: tuple[str, ...],
    ) -> Prediction:  # fmt: skip
        contract = self.contract
        inputs = "+".join(sorted(signals))
        present = {m: torch.full((1,), m in signals) for m in contract.inputs}
        logits = self.logits(signals, present)
        said, reason = answer(contract, logits, inputs)
        return Prediction(
            contract.task, contract.title, inputs, float(logits[0, 0]) if logits.shape[1] == 1 else None, said.risk,
            said.threshold, said.positive, reason, quality, missing, ignored, self.artifact.digest, said.statement,
            said.value, said.unit, said.horizon_years,
        )  # fmt: skip

    def _check_given(self, given: Mapping[str, Any], subject: str | None) -> None:
        known = " | ".join(self.contract.inputs)
        if not given:
            raise InputError("nothing to predict from", expected=known, hint="give at least one of them")
        for modality in given:
            if modality not in self.contract.inputs:
                raise DataContractError("the bundle was not trained for this modality", expected=known, got=modality)
        if subject is not None and "tabular" not in given:
            raise InputError("a subject without a table", where="subject", hint="give the table, or no subject")

    def _ecg(self, ecg: Path | str | EcgRecord) -> tuple[Tensor, tuple[str, ...]]:
        settings = self.contract.ecg
        if settings is None:
            raise DataContractError("the bundle holds no preparation of ECGs", where="contract.json")
        record = ecg if isinstance(ecg, EcgRecord) else read_ecg(_there("ecg", ecg))
        prepared = normalise_by_lead_group(prepare_ecg(record, settings)[None])
        return torch.from_numpy(prepared), ecg_quality(record, settings)

    def _cmr(self, cmr: Path | str | CineRecord, long_axis: Path | str | None) -> tuple[Tensor, tuple[str, ...]]:
        settings = self.contract.cmr
        if settings is None:
            raise DataContractError("the bundle holds no preparation of cines", where="contract.json")
        record = cmr if isinstance(cmr, CineRecord) else read_cine(_there("cmr", cmr))
        place = long_axis if long_axis is not None or isinstance(cmr, CineRecord) else cmr
        if place is not None and settings.long_axis:
            views, faults = read_long_axis(_there("cmr_long_axis", place), settings.long_axis)
            record = replace(record, long_axis=views, long_axis_faults=faults)
        prepared = prepare_cmr(record, settings)
        doubt = ("uncertain_heart_crop",) if prepared.confidence < 0.5 else ()
        return torch.from_numpy(scale_cmr(prepared.frames[None])), (*prepared.quality, *doubt)

    def _table(
        self, table: Path | str | Mapping[str, Any] | pd.DataFrame, subject: str | None
    ) -> tuple[Tensor, tuple[str, ...], tuple[str, ...]]:
        if self.contract.table is None:
            raise DataContractError("the bundle holds no contract of the table", where="contract.json")
        facts, ignored = read_facts(table, self.contract.inputs["tabular"].names, subject)
        encoded = self.contract.table.encode(facts)
        missing = tuple(str(name) for name in facts.columns[facts.isna().iloc[0]])
        return torch.from_numpy(encoded), missing, ignored


def _there(role: str, location: Path | str) -> Path:
    archive, path = split_location(str(location))
    if not any(Path(place).exists() for place in ((archive,) if archive else (path, f"{path}.hea"))):
        raise InputError("no such file", where=f"{role}, {masked(path)}")
    return Path(location)


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
