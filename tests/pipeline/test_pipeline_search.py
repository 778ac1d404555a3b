"""Embeddings by the weights that the alignment ended with, and a search that is a plain search."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from small_bundle import small_bundle, write_ecg
from typer.testing import CliRunner

from cardiobind import inference
from cardiobind.artifact import commit, open_artifact
from cardiobind.cli import app
from cardiobind.cohort import Cohort
from cardiobind.errors import ArtifactError, CardiobindError, ConfigError, DataContractError, InputError
from cardiobind.inference import PreparedSubject, prepare_subject
from cardiobind.modalities.ecg import EcgPreparation
from cardiobind.pipeline.search import (
    Index,
    build_index,
    embed_many,
    nearest,
    neighbours_for,
    open_embedder,
    open_index,
)
from cardiobind.pipeline.search.assess import assess, conformal
from cardiobind.pipeline.search.build import _known
from cardiobind.pipeline.search.cohorts import subjects_of
from cardiobind.pipeline.search.telling import Telling, choose, infer
from walking import EID, Walk

SHORTER = EcgPreparation(rate_hz=100, duration_s=6.0)


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_a_phenotype_is_the_mean_of_the_nearest_who_have_it() -> None:
    chance = np.random.default_rng(0)
    embeddings, queries = unit(chance.normal(size=(40, 6))), unit(chance.normal(size=(7, 6)))
    values = chance.normal(size=(40, 3))
    values[chance.random(values.shape) < 0.3] = np.nan
    values[:, 2] = np.nan
    means, spreads = infer(embeddings, values, queries, [Telling(5)] * 3)
    for i, query in enumerate(queries):
        order = sorted(range(40), key=lambda j: -float(embeddings[j] @ query))
        for column in (0, 1):
            own = [values[j, column] for j in order if np.isfinite(values[j, column])][:5]
            assert means[i, column] == pytest.approx(np.mean(own))
            assert spreads[i, column] == pytest.approx(np.std(own))
    assert np.isnan(means[:, 2]).all()
    mean = np.tile(np.nanmean(values[:, :2], axis=0), (7, 1))
    everybody, _ = infer(embeddings, values, queries, [Telling(1000)] * 3)
    assert everybody[:, :2] == pytest.approx(mean)
    half, spread = infer(embeddings, values, queries, [Telling(5, 0.5), Telling(5, 0.0), Telling(5)])
    assert half[:, 0] == pytest.approx((means[:, 0] + mean[:, 0]) / 2)
    assert half[:, 1] == pytest.approx(mean[:, 1])
    assert spread[:, :2] == pytest.approx(spreads[:, :2])


def slow_error(z: np.ndarray, v: np.ndarray, q: np.ndarray, own: list[int], how: Telling) -> float:
    """Return the mean squared error of subjects who are left out one by one, by plain loops."""
    errors = []
    for query, place in zip(q, own, strict=True):
        if np.isfinite(v[place]):
            others = [j for j in range(len(z)) if j != place and np.isfinite(v[j])]
            near = sorted(others, key=lambda j: -float(z[j] @ query))[: how.neighbours]
            mean = np.mean([v[j] for j in others])
            errors.append((mean + how.weight * (np.mean([v[j] for j in near]) - mean) - v[place]) ** 2)
    return float(np.mean(errors))


def test_how_a_phenotype_is_told_is_what_serves_those_left_out() -> None:
    chance = np.random.default_rng(4)
    z = unit(chance.normal(size=(60, 4)))
    values = np.stack([3 * z[:, 0] + chance.normal(0, 0.3, 60), chance.normal(size=60)], 1)
    values[::7, 0] = np.nan
    rows, q = np.arange(100, 160), unit(z[10:50] + chance.normal(0, 0.2, (40, 4)))
    whose = np.arange(110, 150)
    how = choose(z, values, rows, q, whose)
    own = list(range(10, 50))
    for column, chosen in enumerate(how):
        reached = slow_error(z, values[:, column], q, own, chosen)
        for k in (5, 10, 25, 50):
            for weight in (0.0, 0.25, 0.5, 0.75, 1.0):
                assert reached <= slow_error(z, values[:, column], q, own, Telling(k, weight)) + 1e-9
    assert how[0].weight > 0.8
    strangers = choose(z, values, rows, np.concatenate([q, q]), np.concatenate([whose, whose + 1000]))
    assert strangers == how
    assert [one.neighbours for one in choose(z, values, rows, q, whose, 7)] == [7, 7]


def test_too_few_to_leave_out_tell_the_mean() -> None:
    z = unit(np.random.default_rng(5).normal(size=(30, 4)))
    values = np.stack([z[:, 0].astype(float), np.full(30, np.nan)], 1)
    assert choose(z, values, np.arange(30), z[:19], np.arange(19)) == [Telling(25, 0.0)] * 2
    assert choose(z, values, np.arange(30), z[:25], np.arange(25), 3)[0].weight > 0


def test_neighbours_that_know_nothing_cost_next_to_nothing() -> None:
    """The mean is never beaten by much: the worst of 40 embeddings of pure noise."""
    chance, worst = np.random.default_rng(6), 0.0
    for _ in range(40):
        z, values = unit(chance.normal(size=(200, 16))), chance.normal(size=(200, 1))
        q, truth = unit(chance.normal(size=(500, 16))), chance.normal(size=500)
        told = infer(z, values, q, choose(z, values, np.arange(200), z, np.arange(200)))[0][:, 0]
        worst = max(worst, float(((told - truth) ** 2).mean() / ((values.mean() - truth) ** 2).mean()))
    assert worst < 1.1


def test_conformal_distances_cover_what_they_promise() -> None:
    assert conformal(np.arange(1.0, 20.0)) == 18.0
    assert conformal(np.arange(1.0, 10.0)) == 9.0
    assert conformal(np.arange(1.0, 9.0)) is None
    chance = np.random.default_rng(1)
    inside = []
    for _ in range(400):
        width = conformal(np.abs(chance.standard_t(3, 49)))
        assert width is not None
        inside.append((np.abs(chance.standard_t(3, 50)) <= width).mean())
    assert np.mean(inside) == pytest.approx(0.9, abs=0.01)


def test_the_evaluation_knows_truth_from_noise() -> None:
    chance = np.random.default_rng(2)
    angle = chance.uniform(0, np.pi, 400)
    embeddings = np.stack([np.cos(angle), np.sin(angle)], 1).astype(np.float32)
    values = np.stack([60 + 5 * angle, chance.normal(60, 8, 400)], 1)
    index, tested = (embeddings[:300], values[:300]), (embeddings[300:], values[300:])
    found = assess(*index, *tested, ["known", "noise"], [Telling(10)] * 2, {"known": 1.0, "noise": None})
    assert found["known"]["r2"] > 0.99
    assert found["known"]["mae_gain_interval"][0] > 0
    assert found["known"]["interval_coverage"] == 1.0
    assert found["noise"]["r2"] < 0
    assert found["noise"]["mae_gain_interval"][0] < 0
    assert found["noise"]["interval_coverage"] is None


def test_a_bundle_embeds_as_its_predictor_does(tmp_path: Path) -> None:
    bundle = small_bundle(tmp_path / "bundle")
    files = {name: write_ecg(tmp_path / name, number) for number, name in enumerate("ab")}
    files["b"].write_bytes(files["b"].read_bytes()[:4000])
    rows = [f"{name},{file},{age}" for (name, file), age in zip(files.items(), (60, 50), strict=True)]
    (tmp_path / "list.csv").write_text("\n".join(["subject,ecg,age_years", *rows, "c,,55", "d,,"]))
    told = embed_many(bundle, tmp_path / "out.parquet", subjects=tmp_path / "list.csv", workers=0)
    assert (told.read, told.scored, sorted(told.set_aside)) == (4, 2, ["nothing_given", "truncated"])
    frame = pd.read_parquet(tmp_path / "out.parquet").set_index("subject")
    predictor = inference.load(bundle)
    prepared = prepare_subject(predictor.contract, ecg=files["a"], table={"age_years": 60})
    alone = predictor.embed(prepared)
    assert np.array_equal(frame["ecg_pooled"]["a"], alone["ecg"])
    assert np.array_equal(frame["tabular_pooled"]["a"], alone["tabular"])
    assert frame["ecg_pooled"]["c"] is None
    assert frame["tabular_pooled"]["c"] is not None
    schema = pq.read_schema(tmp_path / "out.parquet")
    assert str(schema.field("ecg_pooled").type) == "fixed_size_list<element: float>[32]"
    assert json.loads(schema.metadata[b"cardiobind"])["encoder"] == predictor.artifact.digest


def test_columns_that_are_no_fact_are_refused_or_ignored(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("subject,age_years,ward\na,60,7\n")
    given: dict[str, Any] = {"subjects": tmp_path / "list.csv", "workers": 0}
    bundle = small_bundle(tmp_path / "bundle")
    with pytest.raises(InputError, match="--ignore-unknown"):
        embed_many(bundle, tmp_path / "out.parquet", **given)
    told = embed_many(bundle, tmp_path / "out.parquet", **given, ignore_unknown=True)
    assert (told.scored, told.left_out) == (1, 1)
    with pytest.raises(ConfigError, match="--ignore-unknown are of raw files"):
        embed_many(bundle, tmp_path / "again.parquet", cohort=tmp_path, ignore_unknown=True)


def test_what_embeds_nothing_is_refused(tmp_path: Path) -> None:
    with commit(tmp_path / "odd", "report") as folder:
        (folder / "x").write_text("x")
    with pytest.raises(ArtifactError, match="nothing that embeds"):
        open_embedder(tmp_path / "odd")
    with commit(tmp_path / "old", "aligned") as folder:
        (folder / "model.json").write_text("{}")
    with pytest.raises(ArtifactError, match="older code"):
        open_embedder(tmp_path / "old")
    with pytest.raises(ConfigError, match="Parquet"):
        embed_many(tmp_path / "old", tmp_path / "out.csv", folder=tmp_path)


def phenotypes_of(folder: Path, text: str) -> list[float]:
    (folder / "phenotypes.csv").write_text(text)
    samples = pd.DataFrame({"subject": ["9000001", "9000001", "9000002"], "visit": ["2", "3", "2"]})
    cohort: Any = SimpleNamespace(samples=samples)
    found: list[float] = _known(cohort, folder / "phenotypes.csv")["lvef_percent"].tolist()
    return found


def test_phenotypes_are_those_of_the_visit(tmp_path: Path) -> None:
    by_visit = "subject,visit,lvef_percent\n9000002,2,30\n9000001,3,55\n9000001,2,60\n"
    assert phenotypes_of(tmp_path, by_visit) == [60.0, 55.0, 30.0]
    alike = "subject,lvef_percent\n9000001,60\n9000001,60\n9000002,30\n,1\n,2\n"
    assert phenotypes_of(tmp_path, alike) == [60.0, 60.0, 30.0]
    for text in ("subject,lvef_percent\n9000001,60\n9000001,55\n",
                 "subject,visit,lvef_percent\n9000001,2,60\n9000001,2,55\n"):  # fmt: skip
        with pytest.raises(InputError, match="different things of the same") as caught:
            phenotypes_of(tmp_path, text)
        assert "9000001" not in str(caught.value)


def test_signals_not_to_be_relied_on_are_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings = unit(np.random.default_rng(3).normal(size=(8, 4)))
    shared = {"ecg": embeddings[0], "cmr": embeddings[1], "ecg+tabular": embeddings[2]}
    embedder: Any = SimpleNamespace(spaces=tuple(shared), shared=lambda prepared: shared, contract=None)
    known = pd.DataFrame({"lvef_percent": np.arange(50.0, 58.0)})
    facts = {"neighbours": 3, "half_widths": {"ecg": {"lvef_percent": 9.0}}}
    made: Any = Index(SimpleNamespace(path="x"), embedder, embeddings, np.arange(8), known, facts)  # type: ignore[arg-type]
    monkeypatch.setattr("cardiobind.pipeline.search.open_index", lambda path: made)
    monkeypatch.setattr("cardiobind.cli.search.check_artifact", lambda *_: None)
    for codes, by, certain in (
        (("limb_leads_inconsistent",), "ecg", False), (("wrong_rate",), "ecg+tabular", False),
        (("wrong_rate",), "cmr", True), (("flat_lead",), "ecg", True),
    ):  # fmt: skip
        prepared = PreparedSubject({}, {"ecg": codes})
        monkeypatch.setattr(inference, "prepare_subject", lambda contract, prepared=prepared, **given: prepared)
        asked = CliRunner().invoke(app, ["search", "--index", "x", "--ecg", "a.xml", "--by", by])
        told = json.loads(asked.output)
        assert told["quality"] == {"ecg": list(codes)}
        assert (told["abstained"] is None) == bool(told["phenotypes"]) == bool(told["nearest"]) == certain
        assert certain or "not to be relied on" in told["abstained"]


def test_samples_without_a_modality_are_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    opened = open_embedder(small_bundle(tmp_path / "bundle"))
    prepared = prepare_subject(opened.contract, table={"age_years": 60})
    monkeypatch.setattr("cardiobind.pipeline.search.embed.subjects_of", lambda *_: iter([(1, prepared), (3, prepared)]))

    class Few:
        samples = pd.DataFrame({"subject": list("abcde"), "visit": ["2"] * 5})
        open = classmethod(lambda cls, path: cls())

        def __len__(self) -> int:
            return len(self.samples)

    monkeypatch.setattr("cardiobind.pipeline.search.embed.Cohort", Few)
    told = embed_many(opened, tmp_path / "out.parquet", cohort=tmp_path)
    assert (told.read, told.scored, told.set_aside) == (5, 2, {"nothing_given": 3})
    frame = pd.read_parquet(tmp_path / "out.parquet")
    assert frame["subject"].tolist() == list("abcde")
    assert (
        frame["tabular_pooled"].notna().tolist() == frame["set_aside"].isna().tolist() == [n in "bd" for n in "abcde"]
    )
    with pytest.raises(ConfigError, match="a cohort or raw files"):
        embed_many(opened, tmp_path / "again.parquet", cohort=tmp_path, inputs=["tabular"])


@pytest.fixture(scope="module")
def aligned(walked: Walk) -> Path:
    (found,) = walked.artifacts("aligned")
    return found.path


@pytest.fixture(scope="module")
def cohort(walked: Walk) -> Cohort:
    (found,) = walked.artifacts("cohort")
    return Cohort(found)


@pytest.fixture(scope="module")
def index(walked: Walk, aligned: Path, tmp_path_factory: pytest.TempPathFactory) -> Index:
    truth = walked.raw / "truth" / "hearts.parquet"
    return build_index(aligned, tmp_path_factory.mktemp("index") / "index", phenotypes=truth, neighbours=5)


def splits(walked: Walk) -> np.ndarray:
    (division,) = walked.artifacts("division")
    return pd.read_parquet(division.file("splits.parquet"))["split"].to_numpy()


@pytest.mark.e2e
def test_the_shared_space_is_that_of_the_round_the_weights_are_from(
    walked: Walk, aligned: Path, cohort: Cohort
) -> None:
    found = open_artifact(aligned)
    history = pd.read_csv(found.file("history.csv")).set_index("round")
    best = history.loc[found.json("model.json")["selection"]["best_round"]]
    embedder: Any = open_embedder(aligned)
    rows = np.flatnonzero(splits(walked) == "validation")
    held = [embedder.shared(prepared) for _, prepared in subjects_of(cohort, embedder.contract, rows)]
    both = [one for one in held if {"ecg", "cmr"} <= set(one)]
    ecg, cmr = (np.stack([one[name] for one in both]) for name in ("ecg", "cmr"))
    assert np.linalg.norm(ecg, axis=1) == pytest.approx(np.ones(len(ecg)), abs=1e-5)
    distance = float(((ecg - cmr) ** 2).sum(axis=1).mean())
    assert distance == pytest.approx(best["validation_distance_ecg~cmr"], rel=1e-3)


@pytest.mark.e2e
@pytest.mark.slow
def test_raw_files_and_the_cohort_have_the_same_embeddings(
    walked: Walk, aligned: Path, cohort: Cohort, tmp_path: Path
) -> None:
    told = embed_many(aligned, tmp_path / "cohort.parquet", cohort=cohort.artifact.path)
    frame = pd.read_parquet(tmp_path / "cohort.parquet").set_index("subject")
    assert told.read == len(frame) == len(cohort)
    samples = cohort.samples
    row = int(np.flatnonzero(cohort.has("ecg") & cohort.has("cmr") & cohort.has("tabular"))[0])
    subject = str(samples["subject"][row])
    bulk = walked.raw / "bulk"
    embedder: Any = open_embedder(aligned)
    prepared = prepare_subject(
        embedder.contract, ecg=bulk / f"{subject}_20205_2_0.xml", cmr=bulk / f"{subject}_20209_2_0.zip",
        table=walked.raw / "table.csv", subject=subject,
    )  # fmt: skip
    alone = embedder.embed(prepared)
    assert set(alone) == {f"{m}_{what}" for m in ("ecg", "cmr", "tabular") for what in ("pooled", "shared")}
    for name, vector in alone.items():
        assert np.array_equal(frame[name][subject], vector), name
    lacking = str(samples["subject"][int(np.flatnonzero(~cohort.has("cmr"))[0])])
    assert frame["cmr_shared"][lacking] is None


@pytest.mark.e2e
def test_an_index_finds_its_own_and_names_nobody(walked: Walk, index: Index, cohort: Cohort) -> None:
    truth = pd.read_parquet(walked.raw / "truth" / "hearts.parquet").set_index("subject")
    assert set(splits(walked)[index.rows]) == {"train"}
    place = 3
    subject = str(cohort.samples["subject"][int(index.rows[place])])
    prepared = prepare_subject(index.contract, cmr=walked.raw / "bulk" / f"{subject}_20209_2_0.zip")
    first, second = index.neighbours(prepared, 2)
    assert first["similarity"] == pytest.approx(1.0, abs=1e-5)
    assert first["similarity"] >= second["similarity"]
    told = {one["name"]: one for one in first["phenotypes"]}
    assert told["lvef_percent"]["value"] == pytest.approx(truth["lvef_percent"][subject])
    assert told["lvef_percent"]["unit"] == "%"
    for file in index.artifact.path.rglob("*"):
        if file.is_file():
            assert not EID.search(file.read_bytes()), file.name
    assert list(pd.read_parquet(index.artifact.path / "phenotypes.parquet").columns[-1:]) == ["row"]


@pytest.mark.e2e
def test_phenotypes_are_told_with_an_interval_and_evaluated(walked: Walk, index: Index, cohort: Cohort) -> None:
    row = int(np.flatnonzero((splits(walked) == "test") & cohort.has("ecg"))[0])
    subject = str(cohort.samples["subject"][row])
    prepared = prepare_subject(index.contract, ecg=walked.raw / "bulk" / f"{subject}_20205_2_0.xml")
    (lvef,) = [one for one in index.inferred(prepared) if one["name"] == "lvef_percent"]
    query = index.query(prepared)[1]
    order = np.argsort(-(index.embeddings @ query), kind="stable")[:5]
    known = index.phenotypes["lvef_percent"].to_numpy()
    shift = lvef["weight"] * (known[order].mean() - known.mean())
    assert (lvef["value"], lvef["neighbours"]) == pytest.approx((known.mean() + shift, 5))
    assert 0 <= lvef["weight"] <= 1
    width = index.facts["half_widths"]["ecg"]["lvef_percent"]
    assert (lvef["low"], lvef["high"]) == pytest.approx((lvef["value"] - width, lvef["value"] + width))
    assert lvef["by"] == "ecg"
    measured = index.facts["evaluation"]["ecg"]["lvef_percent"]
    tested = int((cohort.has("ecg") & (splits(walked) == "test")).sum())
    assert measured["subjects"] == tested
    assert [n["similarity"] for n in nearest(index, 3 * query, 4)] == pytest.approx(
        np.sort(index.embeddings @ query)[::-1][:4]
    )


@pytest.mark.e2e
def test_a_bundle_of_the_same_experiment_can_be_searched_with(walked: Walk, index: Index, tmp_path: Path) -> None:
    predictor = inference.load(walked.bundle)
    found = neighbours_for(index, predictor.contract, 3)
    ecg = next((walked.raw / "bulk").glob("*_20205_2_0.xml"))
    prepared = prepare_subject(predictor.contract, ecg=ecg)
    assert found(prepared) == index.neighbours(prepare_subject(index.contract, ecg=ecg), 3)
    json.dumps(found(prepared), allow_nan=False)
    with pytest.raises(DataContractError, match="prepared otherwise"):
        neighbours_for(index, inference.load(small_bundle(tmp_path / "other", SHORTER)).contract)


@pytest.mark.e2e
@pytest.mark.slow
def test_the_verbs_of_an_index(walked: Walk, aligned: Path, tmp_path: Path) -> None:
    truth = walked.raw / "truth" / "hearts.parquet"
    words = ["index", str(aligned), str(tmp_path / "index"), "--phenotypes", str(truth), "--half"]
    made = CliRunner().invoke(app, words)
    assert made.exit_code == 0, made.output
    assert "must not leave the platform" in made.output
    assert np.load(tmp_path / "index" / "embeddings.npy").dtype == np.float16
    ecg = next((walked.raw / "bulk").glob("*_20205_2_0.xml"))
    asked = CliRunner().invoke(app, ["search", "--index", str(tmp_path / "index"), "--ecg", str(ecg), "--nearest", "2"])
    assert asked.exit_code == 0, asked.output
    answer = json.loads(asked.output)
    assert len(answer["nearest"]) == 2
    assert not EID.search(asked.output.encode())
    for embedding, k in ((np.zeros(128), 1), (np.ones(3), 1), (np.ones(128), 0)):
        with pytest.raises(InputError):
            nearest(open_index(tmp_path / "index"), embedding, k)


@pytest.mark.e2e
def test_an_index_of_nothing_is_refused(walked: Walk, aligned: Path, tmp_path: Path) -> None:
    with pytest.raises(CardiobindError, match="nothing is known of anybody's heart"):
        build_index(aligned, tmp_path / "index")
    (tmp_path / "t.csv").write_text("name,lvef_percent\na,1\n")
    with pytest.raises(CardiobindError, match="no column called subject"):
        build_index(aligned, tmp_path / "index", phenotypes=tmp_path / "t.csv")
    with pytest.raises(ConfigError, match="too few neighbours"):
        build_index(aligned, tmp_path / "index", neighbours=0)
