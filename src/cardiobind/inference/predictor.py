"""One subject in, one calibrated score out; the same arithmetic wherever it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from cardiobind.artifact import Artifact
from cardiobind.data.crops import spaced_crops
from cardiobind.errors import ConfigError
from cardiobind.inference.answers import Answer, answer
from cardiobind.inference.bundle import BundleContract, likeness_of, open_bundle
from cardiobind.inference.members import Heard, Members, hear, mean_logits, members_of
from cardiobind.inference.prediction import OnDoubt, Prediction, Verdict
from cardiobind.inference.prepared import PreparedSubject, prepare_subject
from cardiobind.inference.trust.leads import present_leads
from cardiobind.inference.trust.likeness import Familiar
from cardiobind.inference.trust.verdicts import doubt, verdict
from cardiobind.modalities.records import LEADS, CineRecord, EcgRecord
from cardiobind.models import Fusion
from cardiobind.training import PrecisionName, choose_precision, multiplying


class Predictor:
    """A bundle at work.

    Args:
        artifact: the bundle.
        contract: what it expects.
        fusion: the network, in evaluation mode; of several members their mean.
        precision: as of a training; scores are those of the report to the bit in ``32-true`` alone.
        on_doubt: what is said of signals that cannot be relied on: ``abstain`` nothing but why, ``tell`` the risk too.
        likeness: what the training subjects look like, by modality; without it nothing is said of that.

    Attributes:
        members: the networks whose mean the score is.
    """

    def __init__(
        self, artifact: Artifact, contract: BundleContract, fusion: Fusion | Members, *,
        precision: PrecisionName = "32-true", on_doubt: OnDoubt = "abstain",
        likeness: Mapping[str, Familiar] | None = None,
    ) -> None:  # fmt: skip
        self.artifact, self.contract, self.fusion, self.precision = artifact, contract, fusion, precision
        self.on_doubt: OnDoubt = on_doubt
        self.likeness = dict(likeness or {})
        self.members = members_of(fusion)

    def predict(
        self,
        *,
        ecg: Path | str | EcgRecord | None = None,
        cmr: Path | str | CineRecord | None = None,
        table: Path | str | Mapping[str, Any] | pd.DataFrame | None = None,
        subject: str | None = None,
        cmr_long_axis: Path | str | None = None,
        ignore_unknown: bool = False,
    ) -> Prediction:
        """Return the calibrated score of one subject from any subset of the modalities that the bundle knows.

        Args:
            ecg: a file that `cardiobind.formats.read_ecg` reads, or a record.
            cmr: a zip or folder that `cardiobind.formats.read_cine` reads, or a record.
            table: a CSV or Parquet file, or medical facts by canonical name.
            subject: which row of a table that has several.
            cmr_long_axis: where the long-axis views are, if not in the archive or folder `cmr`; a bundle that knows
                none does not read them, and one that knows them takes them as absent where there are none.
            ignore_unknown: go on without columns of the table that are no medical fact.

        Raises:
            InputError: nothing was given, a file is not there, or a subject is named that no table has.
            RecordError: a signal cannot be read or used.
            DataContractError: a modality the bundle was not trained for, or facts that break its contract.
        """
        return self.score(
            prepare_subject(
                self.contract, ecg=ecg, cmr=cmr, table=table, subject=subject, cmr_long_axis=cmr_long_axis,
                ignore_unknown=ignore_unknown,
            )
        )  # fmt: skip

    def score(self, prepared: PreparedSubject) -> Prediction:
        """Return the calibrated score of one subject whose data `prepare_subject` has made ready."""
        contract, heard = self.contract, self._heard(prepared)
        logits = mean_logits(heard.logits).double().numpy()
        said, reason = answer(contract, logits, heard.logits[:, 0].double().numpy(), prepared.inputs)
        verdicts = self._verdicts(prepared, heard)
        found = Prediction(
            contract.task, contract.title, prepared.inputs, float(logits[0, 0]) if logits.shape[1] == 1 else None,
            said.risk, said.threshold, said.positive, reason, prepared.quality, prepared.missing, prepared.ignored,
            self.artifact.digest, said.statement, said.value, said.unit, said.horizon_years, said.interval.ends,
            said.interval.of, verdicts, cohort_percentile=self._percentile(prepared.inputs, said),
        )  # fmt: skip
        why = doubt(verdicts)
        return found if why is None or self.on_doubt == "tell" else found.withheld(why)

    def _verdicts(self, prepared: PreparedSubject, heard: Heard) -> dict[str, Verdict]:
        return {m: self._verdict(m, prepared, heard) for m in prepared.signals}

    def _verdict(self, modality: str, prepared: PreparedSubject, heard: Heard) -> Verdict:
        values = {"signs": prepared.signs[modality]} if modality in prepared.signs else {}
        few, cost = False, ""
        if modality == "ecg" and len(leads := present_leads(prepared.signals["ecg"][0].numpy())) < len(LEADS):
            known = self.contract.leads
            few, cost = known is not None and not known.trained, "" if known is None else known.says(leads)
            values = {"signs_of_few_leads": values["signs"]} if values else {}
        else:
            values["embedding"] = heard.held[modality][0].double().numpy()
            if modality == "ecg" and prepared.texture is not None:
                values["texture"] = prepared.texture
        familiar = self.likeness.get(modality)
        distance = None if familiar is None else familiar.distance(values)
        return verdict(modality, prepared.quality.get(modality, ()), distance, few_leads=few, cost=cost)

    def _percentile(self, inputs: str, said: Answer) -> float | None:
        score, known = said.risk if said.value is None else said.value, self.contract.risks.get(inputs)
        return None if score is None or known is None else known.percentile(score)

    def score_many(self, prepared: Sequence[PreparedSubject]) -> list[Prediction]:
        """Return what `score` says of each subject, to the bit, whoever else is asked for and in whatever order.

        Subjects go through the network one by one: the rounding of a batch depends on its size.
        """
        return [self.score(one) for one in prepared]

    def embed(self, prepared: PreparedSubject) -> dict[str, NDArray[np.float32]]:
        """Return the embedding (D,) of each modality given, the first member's: the mean over the crops.

        It is what the tower returns, before any normalisation of the classifier.
        """
        towers, found = self.fusion.towers, {}
        views = self._crops(prepared.signals)
        with torch.inference_mode(), multiplying(self.precision, torch.device("cpu")):
            for name in prepared.signals:
                shown = views if name == "ecg" else views[:1]
                rows = torch.stack([towers[name](view[name])[0] for view in shown])
                found[name] = rows.float().mean(dim=0).numpy()
        return found

    def _heard(self, prepared: PreparedSubject) -> Heard:
        present = {m: torch.full((1,), m in prepared.signals) for m in self.contract.inputs}
        return self.hear(prepared.signals, present)

    def hear(self, signals: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Heard:
        """Return the logits of each member and the first one's embeddings, each the mean over the crops.

        Args:
            signals: as `logits`.
            present: likewise.
        """
        return self._mean_over_crops(self.fusion, signals, present)

    def _mean_over_crops(
        self, network: Fusion | Members, signals: Mapping[str, Tensor], present: Mapping[str, Tensor]
    ) -> Heard:  # fmt: skip
        with torch.inference_mode(), multiplying(self.precision, torch.device("cpu")):
            views = [hear(network, view, present) for view in self._crops(signals)]
            logits = torch.stack([view.logits for view in views]).float().mean(dim=0)
            held = {m: torch.stack([view.held[m] for view in views]).float().mean(dim=0) for m in views[0].held}
        return Heard(logits, held)

    def held(self, modality: str, signals: Tensor) -> Tensor:
        """Return what the first member's classifier sees (P, d) of the signals (P, ...) of one modality."""
        present = {m: torch.full((len(signals),), m == modality) for m in self.contract.inputs}
        return self._mean_over_crops(self.members[0], {modality: signals}, present).held[modality]

    def logits(self, signals: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> NDArray[np.float64]:
        """Return the logits (B, outputs) of prepared signals: the mean over the crops that the network was chosen with.

        Args:
            signals: per modality the rows (P, ...) of the subjects that have it, as the cohort's batches hold them.
            present: per modality (B,) bool.
        """
        found: NDArray[np.float64] = mean_logits(self.hear(signals, present).logits).double().numpy()
        return found

    def _crops(self, signals: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
        crop_s, spec = self.contract.crop_s, self.contract.inputs.get("ecg")
        if crop_s is None or spec is None or "ecg" not in signals:
            return [dict(signals)]
        length = round(crop_s * float(spec.rate_hz or 0))
        return [{**signals, "ecg": crop} for crop in spaced_crops(signals["ecg"], length, self.contract.crops)]


def load(
    path: Path | str, *, precision: PrecisionName = "32-true", on_doubt: OnDoubt = "abstain"
) -> Predictor:  # fmt: skip
    """Open a bundle for prediction.

    Args:
        path: folder of the bundle.
        precision: ``auto`` or ``bf16-mixed`` is faster where the hardware multiplies well in bfloat16; only in
            ``32-true`` a score is that of the report to the bit.
        on_doubt: what is said of signals that cannot be relied on: ``abstain`` nothing but why, ``tell`` the risk too.

    Raises:
        ConfigError: there is no such precision, or no such word for doubt.
        ArtifactError, CorruptArtifactError: there is no bundle, or a file of it is not what was written.
        InputError: the weights do not fit the network of the contract.
    """
    choose_precision(precision, "cpu")
    if on_doubt not in get_args(OnDoubt):
        raise ConfigError(
            "unknown word for doubt", where="on_doubt", expected=" | ".join(get_args(OnDoubt)), got=on_doubt
        )
    found, contract, network = open_bundle(path)
    return Predictor(
        found, contract, network, precision=precision, on_doubt=on_doubt, likeness=likeness_of(found)
    )  # fmt: skip
