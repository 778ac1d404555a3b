"""An index of the training subjects' images, and how well it tells the phenotypes of test subjects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors.torch import save_file

from cardiobind import artifact
from cardiobind.artifact import Artifact
from cardiobind.cohort import Cohort
from cardiobind.errors import ConfigError, InputError
from cardiobind.formats import masked
from cardiobind.formats.tables.table_file import read_table, table_columns
from cardiobind.pipeline.networks import load_state, load_weights_file
from cardiobind.pipeline.pretrain import ALIGNMENT
from cardiobind.pipeline.progress import Quiet, Reporter
from cardiobind.pipeline.search.assess import assess, half_widths
from cardiobind.pipeline.search.cohorts import subjects_of
from cardiobind.pipeline.search.embedders import TowerEmbedder, open_aligned
from cardiobind.pipeline.search.index import AMONG, CONTRACT, COVERAGE, FACTS, KIND, Index, names_of, open_index
from cardiobind.pipeline.search.telling import choose

ROOMS = ("inference", "models", "methods", "modalities", "pipeline/search")
NOTICE = "Holds data of participants: must not leave the platform that the cohort is kept on."
STAGE = "index"
KEYS = ("subject", "visit")
Shared = dict[str, tuple[NDArray[np.int64], NDArray[np.float32]]]


def build_index(
    aligned: Path | str,
    out: Path | str,
    *,
    phenotypes: Path | str | None = None,
    neighbours: int | None = None,
    half: bool = False,
    reporter: Reporter | None = None,
) -> Index:
    """Make an index of the training subjects' cines out of an alignment and the cohort that it was made from.

    Intervals come from the validation subjects, the evaluation in the index from the test subjects.

    Args:
        aligned: artefact of kind aligned, its parents beside it.
        out: folder of the index; must not exist.
        phenotypes: a table with the column subject, if wanted visit, and phenotypes by name, such as ``lvef_percent``;
            without visit they are of all visits. None for those that the cohort has as endpoints.
        neighbours: subjects that a phenotype is inferred from; None for the number that does best, by the phenotype and
            by what is searched with, when subjects of the index are left out.
        half: keep embeddings in float16.
        reporter: hears of the progress.

    Raises:
        ArtifactError, CorruptArtifactError: it is no alignment, its parents are not there, or something is at `out`.
        ConfigError: the alignment has no space that images share with others, or `neighbours` is not positive.
        InputError: nothing is known of anybody's heart, or different things of the same one.
    """
    if neighbours is not None and neighbours < 1:
        raise ConfigError("too few neighbours", where="--neighbours", expected=">= 1", got=neighbours)
    found = artifact.open_artifact(aligned, "aligned")
    embedder = open_aligned(found)
    if AMONG not in embedder.spaces or len(embedder.spaces) < 2:
        raise ConfigError(
            "the alignment has no space that images share", expected=AMONG, got=", ".join(embedder.spaces) or "none"
        )
    family = {one.kind: one for one in artifact.verify(found.path)}
    cohort = Cohort(family["cohort"])
    splits = _splits(family.get("division") or family["protocol"])
    known = _known(cohort, phenotypes)
    shown = reporter or Quiet()
    shown.start(STAGE)
    shared = _embed(embedder, cohort, shown)
    if half:
        shared = {n: (rows, z.astype(np.float16).astype(np.float32)) for n, (rows, z) in shared.items()}
    rows, embeddings = _of_split(shared[AMONG], splits, "train")
    facts = _facts(shared, splits, known, (rows, embeddings), neighbours)
    config = {"neighbours": neighbours, "half": half}
    with artifact.commit(Path(out), KIND, parents=[found], config=config, fingerprint=_key(config, found)) as folder:
        _write(folder, found, embedder, half, rows, embeddings, known.iloc[rows], facts)
    shown.finish(STAGE, cached=False)
    return open_index(out)


def _key(config: Mapping[str, Any], found: Artifact) -> str:
    return artifact.fingerprint(KIND, config, [found], artifact.code_digest(ROOMS))


def _splits(divided: Artifact) -> NDArray[np.str_]:
    return pd.read_parquet(divided.file("splits.parquet"))["split"].to_numpy(dtype=str)


def _known(cohort: Cohort, phenotypes: Path | str | None) -> pd.DataFrame:
    """Return the phenotypes of each sample of a cohort, NaN where unknown."""
    if phenotypes is None:
        names = names_of(cohort.tasks)
        frame = pd.DataFrame({name: cohort.labels(name) for name in names}, index=range(len(cohort)))
    else:
        frame = _from_table(cohort, Path(phenotypes))
    kept: pd.DataFrame = frame.loc[:, np.isfinite(frame.to_numpy(dtype=np.float64)).any(axis=0)]
    if kept.shape[1] == 0:
        raise InputError(
            "nothing is known of anybody's heart", where="--phenotypes", expected="lvef_percent, lv_mass_g ...",
            hint="give a table with the column subject and phenotypes by name",
        )  # fmt: skip
    numbers: pd.DataFrame = kept.astype(np.float64)
    return numbers


def _from_table(cohort: Cohort, path: Path) -> pd.DataFrame:
    columns = table_columns(path)
    if "subject" not in columns:
        raise InputError("the table has no column called subject", where=masked(path), expected="subject, lvef_percent")
    names = names_of(columns)
    keys = [key for key in KEYS if key in columns]
    table = read_table(path, [*keys, *names]).dropna(subset="subject")
    whose = table[keys].astype(str).apply(lambda cells: cells.str.strip())
    numbers = table[names].apply(pd.to_numeric, errors="coerce")
    known = pd.concat([whose, numbers], axis=1).drop_duplicates()
    if twice := int(known.duplicated(keys).sum()):
        raise InputError(
            "the table says different things of the same " + " and ".join(keys), where=masked(path), got=twice,
            expected="one row of each", hint="name the visits in a column called visit",
        )  # fmt: skip
    found: pd.DataFrame = cohort.samples[keys].astype(str).merge(known, on=keys, how="left")[names]
    return found


def _embed(embedder: TowerEmbedder, cohort: Cohort, shown: Reporter) -> Shared:
    rows: dict[str, list[int]] = {name: [] for name in embedder.spaces}
    vectors: dict[str, list[NDArray[np.float32]]] = {name: [] for name in embedder.spaces}
    for row, prepared in subjects_of(cohort, embedder.contract, np.arange(len(cohort))):
        for name, vector in embedder.shared(prepared).items():
            rows[name].append(row)
            vectors[name].append(vector)
        shown.advance(STAGE, row + 1, len(cohort))
    if not vectors[AMONG]:
        raise InputError("nobody in the cohort has images")
    return {name: (np.array(rows[name], dtype=np.int64), np.stack(vectors[name])) for name in rows if rows[name]}


def _of_split(
    held: tuple[NDArray[np.int64], NDArray[np.float32]], splits: NDArray[np.str_], split: str
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    here = splits[held[0]] == split
    return held[0][here], held[1][here]


def _facts(
    shared: Shared, splits: NDArray[np.str_], known: pd.DataFrame, among: tuple[NDArray[np.int64], NDArray[np.float32]],
    neighbours: int | None,
) -> dict[str, Any]:  # fmt: skip
    names, truth = list(known.columns), known.to_numpy()
    places, embeddings = among
    values = truth[places]
    widths: dict[str, Any] = {}
    assessed: dict[str, Any] = {}
    telling: dict[str, Any] = {}
    for name, held in shared.items():
        rows, queries = _of_split(held, splits, "train")
        how = choose(embeddings, values, places, queries, rows, neighbours)
        telling[name] = {phenotype: asdict(own) for phenotype, own in zip(names, how, strict=True)}
        rows, queries = _of_split(held, splits, "validation")
        widths[name] = half_widths(embeddings, values, queries, truth[rows], names, how)
        rows, queries = _of_split(held, splits, "test")
        assessed[name] = assess(embeddings, values, queries, truth[rows], names, how, widths[name])
    return {
        "notice": NOTICE, "neighbours": neighbours, "coverage": COVERAGE, "subjects": len(embeddings),
        "telling": telling, "half_widths": widths, "evaluation": assessed,
    }  # fmt: skip


def _write(
    folder: Path, found: Artifact, embedder: TowerEmbedder, half: bool, rows: NDArray[np.int64],
    embeddings: NDArray[np.float32], phenotypes: pd.DataFrame, facts: Mapping[str, Any],
) -> None:  # fmt: skip
    np.save(folder / "embeddings.npy", embeddings.astype(np.float16 if half else np.float32))
    phenotypes.assign(row=rows).to_parquet(folder / "phenotypes.parquet", index=False)
    (folder / CONTRACT).write_text(json.dumps(embedder.contract.to_json(), indent=1, allow_nan=False))
    (folder / FACTS).write_text(json.dumps(facts, indent=1, allow_nan=False))
    (folder / "model.json").write_text(json.dumps(found.json("model.json"), indent=1))
    save_file(load_state(found), folder / "weights.safetensors")
    save_file(load_weights_file(found.file(ALIGNMENT)), folder / ALIGNMENT)
