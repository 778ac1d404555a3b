"""Raw files of one subject, made ready for the network of a bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from cardiobind.data.dataset import scale_cmr
from cardiobind.errors import DataContractError, InputError
from cardiobind.formats import masked, read_cine, read_ecg, read_long_axis
from cardiobind.formats.location import split_location
from cardiobind.inference.bundle import BundleContract
from cardiobind.inference.facts import read_facts
from cardiobind.inference.trust.combinations import IMPOSSIBLE, contradictions
from cardiobind.inference.trust.signs import cmr_signs, ecg_signs, table_signs
from cardiobind.inference.trust.texture import ecg_texture
from cardiobind.modalities.cmr.preparation import CmrPreparation, PreparedCine, prepare_cmr
from cardiobind.modalities.ecg.preparation import ecg_quality, normalise_by_lead_group, prepare_ecg
from cardiobind.modalities.records import CineRecord, EcgRecord
from cardiobind.modalities.tabular.cleaning import is_missing

Table = Path | str | Mapping[str, Any] | pd.DataFrame


@dataclass(frozen=True)
class PreparedSubject:
    """What a bundle's network sees of one subject, and what was noticed on the way.

    Attributes:
        signals: per modality given a tensor (1, ...) as the batches of the cohort hold it.
        quality: codes of what is wrong with a signal, by modality.
        missing: medical facts that were not given.
        ignored: medical facts that were given, but that the network does not use.
        signs: per modality the simple numbers by which it is compared with those trained on; may be left out.
        texture: those of how the ECG is drawn; None without one.
        ecg, cmr, cine: what was read and how the cine was prepared, for drawing; no part of what is scored.
    """

    signals: Mapping[str, Tensor]
    quality: Mapping[str, tuple[str, ...]]
    missing: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    signs: Mapping[str, NDArray[np.float64]] = field(default_factory=dict, compare=False)
    texture: NDArray[np.float64] | None = field(default=None, compare=False)
    ecg: EcgRecord | None = field(default=None, compare=False, repr=False)
    cmr: CineRecord | None = field(default=None, compare=False, repr=False)
    cine: PreparedCine | None = field(default=None, compare=False, repr=False)

    @property
    def inputs(self) -> str:
        """The modalities given, such as ``ecg+tabular``."""
        return "+".join(sorted(self.signals))


def prepare_subject(
    contract: BundleContract,
    *,
    ecg: Path | str | EcgRecord | None = None,
    cmr: Path | str | CineRecord | None = None,
    table: Table | None = None,
    subject: str | None = None,
    cmr_long_axis: Path | str | None = None,
    ignore_unknown: bool = False,
) -> PreparedSubject:
    """Return one subject's data as the network of a bundle takes them.

    Arguments and errors are those of `Predictor.predict`.
    """
    given = {"ecg": ecg, "cmr": cmr, "tabular": table}
    _check_given(contract, [m for m, value in given.items() if value is not None], subject)
    found = PreparedSubject({}, {})
    if ecg is not None:
        found = _together(found, _ecg(contract, ecg))
    if cmr is not None:
        found = _together(found, _cmr(contract, cmr, cmr_long_axis))
    if table is not None:
        found = _together(found, _table(contract, table, subject, ignore_unknown))
    return found


def _together(one: PreparedSubject, other: PreparedSubject) -> PreparedSubject:
    return PreparedSubject(
        {**one.signals, **other.signals}, {**one.quality, **other.quality}, one.missing + other.missing,
        one.ignored + other.ignored, {**one.signs, **other.signs},
        other.texture if one.texture is None else one.texture, one.ecg or other.ecg, one.cmr or other.cmr,
        one.cine or other.cine,
    )  # fmt: skip


def _check_given(contract: BundleContract, given: Sequence[str], subject: str | None) -> None:
    known = " | ".join(contract.inputs)
    if not given:
        raise InputError("nothing to predict from", expected=known, hint="give at least one of them")
    for modality in given:
        if modality not in contract.inputs:
            raise DataContractError("the bundle was not trained for this modality", expected=known, got=modality)
    if subject is not None and "tabular" not in given:
        raise InputError("a subject without a table", where="subject", hint="give the table, or no subject")


def _ecg(contract: BundleContract, ecg: Path | str | EcgRecord) -> PreparedSubject:
    settings = contract.ecg
    if settings is None:
        raise DataContractError("the bundle holds no preparation of ECGs", where="contract.json")
    record = ecg if isinstance(ecg, EcgRecord) else read_ecg(_there("ecg", ecg))
    counts = prepare_ecg(record, settings)
    signal = torch.from_numpy(normalise_by_lead_group(counts[None]))
    return PreparedSubject(
        {"ecg": signal}, {"ecg": ecg_quality(record, settings)}, signs={"ecg": ecg_signs(counts, settings.rate_hz)},
        texture=ecg_texture(counts, settings.rate_hz), ecg=record,
    )  # fmt: skip


def _cmr(contract: BundleContract, cmr: Path | str | CineRecord, long_axis: Path | str | None) -> PreparedSubject:
    settings, record = _cmr_settings(contract), read_cmr(contract, cmr, long_axis)
    prepared = prepare_cmr(record, settings)
    doubt = ("uncertain_heart_crop",) if prepared.confidence < 0.5 else ()
    signal = torch.from_numpy(scale_cmr(prepared.frames[None]))
    quality = {"cmr": (*prepared.quality, *doubt)}
    return PreparedSubject(
        {"cmr": signal}, quality, signs={"cmr": cmr_signs(prepared.frames)}, cmr=record, cine=prepared
    )


def read_cmr(contract: BundleContract, cmr: Path | str | CineRecord, long_axis: Path | str | None) -> CineRecord:
    """Return a cine as it was recorded, with the long-axis views that a bundle knows.

    Args:
        contract: of the bundle.
        cmr: a zip or folder, or a record.
        long_axis: where the long-axis views are, if not in `cmr`.

    Raises:
        DataContractError: the bundle holds no preparation of cines.
        InputError: a file is not there.
        RecordError: the cine cannot be read.
    """
    settings = _cmr_settings(contract)
    record = cmr if isinstance(cmr, CineRecord) else read_cine(_there("cmr", cmr))
    place = long_axis if long_axis is not None or isinstance(cmr, CineRecord) else cmr
    if place is None or not settings.long_axis:
        return record
    views, faults = read_long_axis(_there("cmr_long_axis", place), settings.long_axis)
    return replace(record, long_axis=views, long_axis_faults=faults)


def _cmr_settings(contract: BundleContract) -> CmrPreparation:
    if contract.cmr is None:
        raise DataContractError("the bundle holds no preparation of cines", where="contract.json")
    return contract.cmr


def _table(contract: BundleContract, table: Table, subject: str | None, ignore_unknown: bool) -> PreparedSubject:
    if contract.table is None:
        raise DataContractError("the bundle holds no contract of the table", where="contract.json")
    facts, ignored = read_facts(
        table, contract.inputs["tabular"].names, subject, ignore_unknown=ignore_unknown
    )  # fmt: skip
    encoded = contract.table.encode_row(facts)
    missing = tuple(name for name, value in facts.items() if is_missing(value))
    signs = {"tabular": table_signs(encoded, contract.inputs["tabular"].cardinalities)[0]}
    quality = {"tabular": (IMPOSSIBLE,)} if contradictions(facts) else {}
    return PreparedSubject({"tabular": torch.from_numpy(encoded)}, quality, missing, ignored, signs)


def _there(role: str, location: Path | str) -> Path:
    archive, path = split_location(str(location))
    if not any(Path(place).exists() for place in ((archive,) if archive else (path, f"{path}.hea"))):
        raise InputError("no such file", where=f"{role}, {masked(path)}")
    return Path(location)
