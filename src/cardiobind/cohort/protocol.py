"""The protocol of an experiment: who trains and who tests, which facts may be used, and how they become numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cardiobind import artifact
from cardiobind.artifact import Artifact
from cardiobind.cohort.audit.leakage import Finding, audit_leakage, declared_leaks, refuse_leaks
from cardiobind.cohort.audit.roles import list_roles
from cardiobind.cohort.splits import SPLITS, assign_splits, check_splits
from cardiobind.cohort.store import Cohort
from cardiobind.errors import ArtifactError, ConfigError, DataContractError, InputError
from cardiobind.modalities.features import FEATURE_BY_NAME, INPUT_FEATURES
from cardiobind.modalities.spec import InputSpec
from cardiobind.modalities.tabular.contract import TableContract
from cardiobind.registry import did_you_mean
from cardiobind.tasks import KINDS, Kind, kind_of

KIND = "protocol"
SCHEMA_VERSION = 1
SPLIT_RULES = ("hash", "official")


def make_protocol(
    cohort: Cohort,
    out: Path,
    *,
    task: str | None,
    features: Sequence[str] | None = None,
    split: str = "hash",
    seed: int = 0,
    fractions: Sequence[float] = (0.7, 0.1, 0.2),
    allow_leaks: Sequence[str] = (),
    aliases: Mapping[str, str] | None = None,
    config: Mapping[str, Any],
    fingerprint: str,
) -> Artifact:
    """Split a cohort, audit its features on the training rows and fit the table's contract on them alone.

    Args:
        cohort: the prepared cohort.
        out: folder of the protocol; it must not exist.
        task: endpoint, or None where nothing is predicted.
        features: columns of the table to use, in this order; empty for no table; None for every input feature that is
            observed in the training rows, but for those asked online on another day than the visit's.
        split: ``hash`` (keyed by subject) or ``official`` (folds of the data set).
        seed: key of the hash.
        fractions: shares of train, validation and test; unused by ``official``.
        allow_leaks: features that may be used although the audit suspects them.
        aliases: other names of a subject -> the name that decides its split.
        config: resolved config of the stage.
        fingerprint: digest of all that decides the content.

    Raises:
        ConfigError: an unknown split rule or feature.
        InputError: the cohort has no labels of the task, nobody has one, or a split is empty.
        SplitLeakageError: a subject would be in two splits.
        LabelLeakageError: a feature gives the label away.
        DataContractError: a feature asked for has no value in the training rows.
    """
    splits = _assign(cohort, split, seed, fractions, aliases)
    training = np.flatnonzero(splits == "train")
    with_row = cohort.rows_with(training, ["tabular"])
    table = cohort.table.iloc[with_row]
    chosen = _choose_features(table, features)
    refuse_leaks(declared_leaks(chosen, task), allow_leaks)
    _check_present(table, chosen)
    contract = TableContract.fit(table, chosen) if chosen else None
    labels, kind = _labels(cohort, task), KINDS.get(kind_of(task))
    days = None if cohort.days_after_visit is None else cohort.days_after_visit.iloc[with_row]
    findings = _find_leaks(table, chosen, task, None if labels is None else kind.audited(labels[with_row]), days)
    refuse_leaks(findings, allow_leaks)
    facts: dict[str, Any] = {"task": task, "split": split, "seed": seed, "fractions": list(fractions)}
    facts |= {"features": chosen, "counts": _counts(splits, labels, kind)}
    with artifact.commit(
        out, KIND, schema_version=SCHEMA_VERSION, parents=[cohort.artifact], config=config, fingerprint=fingerprint
    ) as folder:
        cohort.samples[["subject", "visit"]].assign(split=splits).to_parquet(folder / "splits.parquet", index=False)
        _write_json(folder / "protocol.json", facts)
        _write_json(folder / "table_contract.json", None if contract is None else contract.to_json())
        _write_json(folder / "audit.json", _audit(findings, allow_leaks))
        _write_json(folder / "roles.json", list_roles(table, chosen, task))
    return artifact.open_artifact(out, KIND)


@dataclass(frozen=True)
class Protocol:
    """An opened protocol together with its cohort.

    Attributes:
        artifact: the artefact.
        cohort: the cohort it was made from.
        task: endpoint, or None.
        contract: of the table, fitted on training rows; None where no table is used.
        findings: of the leakage audit; those left were allowed.
        splits: (n,) split of each sample.
    """

    artifact: Artifact
    cohort: Cohort
    task: str | None
    contract: TableContract | None
    findings: tuple[Finding, ...]
    splits: NDArray[np.str_]

    @classmethod
    def open(cls, path: Path | str, cohort: Cohort) -> Protocol:
        """Open a protocol of this cohort.

        Raises:
            ArtifactError: it was made from another cohort, or is no protocol.
            SplitLeakageError: a subject is in two splits.
        """
        opened = artifact.open_artifact(path, KIND)
        (parent,) = opened.manifest["parents"]
        if parent["digest"] != cohort.artifact.digest:
            raise ArtifactError(
                "the protocol was made from another cohort", where=path,
                expected=parent["digest"], got=cohort.artifact.digest,
            )  # fmt: skip
        contract = opened.json("table_contract.json")
        findings = tuple(Finding(**f) for f in opened.json("audit.json")["findings"])
        frame = pd.read_parquet(opened.file("splits.parquet"))
        check_splits(frame)
        fitted = None if contract is None else TableContract.from_json(contract)
        task = opened.json("protocol.json")["task"]
        return cls(opened, cohort, task, fitted, findings, frame["split"].to_numpy(dtype=str))

    def rows(self, split: str) -> NDArray[np.int64]:
        """Return the indices of all samples of a split, labelled or not.

        Raises:
            InputError: there is no such split.
        """
        if split not in SPLITS:
            raise InputError("there is no such split", expected=" | ".join(SPLITS), got=split)
        return np.flatnonzero(self.splits == split).astype(np.int64)

    @property
    def labels(self) -> NDArray[np.float64] | None:
        """Labels of each sample of the cohort, (n,) or (n, K), NaN where unknown; None without a task."""
        return None if self.task is None else self.cohort.targets(self.task)

    @property
    def specs(self) -> dict[str, InputSpec]:
        """Input of each modality's encoder."""
        tabular = {} if self.contract is None else {"tabular": self.contract.spec()}
        return {**self.cohort.specs, **tabular}


def _labels(cohort: Cohort, task: str | None) -> NDArray[np.float64] | None:
    if task is None:
        return None
    labels, kind = cohort.targets(task), KINDS.get(kind_of(task))
    if kind.why_none is not None and not kind.known(labels).any():
        raise InputError("nobody has a label of this task", where=f"protocol.task = {task!r}", hint=kind.why_none)
    return labels


def _assign(
    cohort: Cohort, split: str, seed: int, fractions: Sequence[float], aliases: Mapping[str, str] | None
) -> NDArray[np.str_]:
    if split not in SPLIT_RULES:
        raise ConfigError("unknown split rule", expected=" | ".join(SPLIT_RULES), got=split)
    fold = cohort.fold if split == "official" else None
    splits = assign_splits(
        cohort.samples["subject"].tolist(), seed=seed, fractions=fractions, fold=fold, aliases=aliases
    )
    wanted = [s for s, share in zip(SPLITS, fractions, strict=True) if share > 0] if fold is None else ["train"]
    empty = [s for s in wanted if not (splits == s).any()]
    if empty:
        raise InputError(f"no subject falls into: {', '.join(empty)}", hint="the cohort is too small for these shares")
    return splits


def _choose_features(training: pd.DataFrame, features: Sequence[str] | None) -> list[str]:
    if features is None:
        asked_at_visits = [f for f in INPUT_FEATURES if FEATURE_BY_NAME[f].ukb_date_field is None]
        return [f for f in asked_at_visits if f in training.columns and training[f].notna().any()]
    for name in features:
        if name not in FEATURE_BY_NAME:
            raise ConfigError("unknown feature", got=name, hint=did_you_mean(name, tuple(FEATURE_BY_NAME)))
    return list(features)


def _check_present(table: pd.DataFrame, chosen: Sequence[str]) -> None:
    empty = [name for name in chosen if name not in table.columns or not table[name].notna().any()]
    if len(empty) > 1:
        raise DataContractError(
            f"{len(empty)} of {len(chosen)} features have no value in the training rows", where="tabular.features",
            expected="at least one observed value each", got=", ".join(empty),
            hint='leave them out, or use features = "all_inputs" for those that the table holds',
        )  # fmt: skip


def _find_leaks(
    table: pd.DataFrame, chosen: Sequence[str], task: str | None, labels: Sequence[NDArray[np.float64]] | None,
    days: pd.DataFrame | None,
) -> list[Finding]:  # fmt: skip
    """Return what gives any of the labels away, each finding once, in the order of the features."""
    audited = [None] if labels is None else labels
    found = [finding for own in audited for finding in audit_leakage(table, chosen, task, own, days)]
    return sorted(dict.fromkeys(found), key=lambda finding: chosen.index(finding.feature))


def _counts(splits: NDArray[np.str_], labels: NDArray[np.float64] | None, kind: Kind) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for name in SPLITS:
        here = splits == name
        counts[name] = {"samples": int(here.sum())}
        if labels is not None:
            known = labels[here & kind.known(labels)]
            counts[name] |= {"labelled": len(known)}
            if kind.marks is not None:
                counts[name] |= {"positive": int((kind.marks(known) > 0.5).sum())}
    return counts


def _audit(findings: Sequence[Finding], allow: Sequence[str]) -> dict[str, Any]:
    return {"findings": [asdict(f) for f in findings], "allowed": list(allow)}


def _write_json(file: Path, value: object) -> None:
    file.write_text(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")
