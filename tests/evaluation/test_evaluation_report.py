"""The report: one file, no network, no identifier, and every number says where it is from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cardiobind import artifact
from cardiobind.artifact import Artifact
from cardiobind.cohort.summary import summarise
from cardiobind.evaluation import evaluate
from cardiobind.evaluation.report import Reconstruction, Report, render, write_report
from evaluation_fakes import make_predictions
from unpainted import unpainted

VOID = {"meta", "img", "br", "hr", "input", "link"}


class Outline(HTMLParser):
    """Collects tags and attributes, and complains about tags that are not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def parse(html: str) -> Outline:
    outline = Outline()
    outline.feed(html)
    outline.close()
    assert outline.open == []
    return outline


def make_artifact(folder: Path, kind: str) -> Artifact:
    with artifact.commit(folder / kind, kind) as inside:
        (inside / "facts.json").write_text(json.dumps(kind))
    return artifact.open_artifact(folder / kind)


def make_summary(n: int = 60) -> dict[str, object]:
    rng = np.random.default_rng(0)
    keys = pd.DataFrame({"subject": [f"SIM-{i:06d}" for i in range(n)], "visit": "2"})
    samples = keys.assign(ecg=np.arange(n) % 3 - 1, cmr=np.arange(n) % 2 - 1, tabular=0)
    table = keys.assign(
        age_years=rng.normal(60, 8, n), sex=np.where(rng.random(n) < 0.5, "female", "male"), diabetes=np.nan
    )
    labels = keys.assign(task="mi", label=np.r_[[np.nan], rng.integers(0, 2, n - 1)], reason="unknown_date")
    index = keys.assign(modality="ecg", quality="flat_lead", confidence=np.nan)
    quarantine = pd.DataFrame(
        {"subject": ["SIM-000001"], "visit": "2", "modality": "ecg", "reason": "truncated", "detail": "SIM-000001.xml"}
    )
    issues = [
        {"column": "sbp_mmhg", "reason": "out_of_range", "count": 2},
        {"column": "weight_kg", "reason": "from_baseline_visit", "count": 7},
        {"column": "pack_years", "reason": "absent_column", "count": 1},
        {"column": "", "reason": "unparsed_date", "count": 3},
    ]
    return summarise(samples, table, labels, index, quarantine, issues)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("artifacts")
    rng = np.random.default_rng(0)
    predictions = make_predictions(fractions=(0.1, 1.0))
    oracle = [{"task": "mi", "inputs": "ecg", "metrics": {"auroc": 0.95, "auprc": {"value": 0.8}}}]
    metrics = evaluate(predictions, resamples=20, comparisons=[("aligned", "scratch")], oracle=oracle)
    labels = (np.arange(40) % 4 == 0).astype(float)
    return Report(
        title="Infarction <simulated>",
        metrics=json.loads(json.dumps(metrics)),
        description="What & why.",
        label_definition="ICD-10 I21 at any time.",
        cohort=json.loads(json.dumps(make_summary(), allow_nan=False)),
        counts={"ecg": {"read": 61, "kept": 60, "quarantined": 1}, "cmr": {"read": 5, "kept": 5, "quarantined": 0}},
        protocol={
            "features": ["age_years"],
            "counts": {"train": {"samples": 40, "labelled": 39, "positive": 9}, "test": {"samples": 20}},
        },
        audit={"findings": [{"feature": "statin", "reason": "declared", "detail": "follows mi"}], "allowed": []},
        predictions=predictions,
        histories={
            "pretrain-ecg": pd.DataFrame({"step": [1, 2], "train_loss": [2.0, 1.0]}),
            "never started": pd.DataFrame(),
        },
        reconstruction=Reconstruction(
            rng.normal(size=(12, 200)), rng.normal(size=(12, 200)), 100.0, rng.random((12, 8)) < 0.5
        ),
        embeddings={"ecg": rng.normal(size=(40, 4)), "cmr": rng.normal(size=(40, 4))},
        embedding_labels={"ecg": labels, "cmr": labels},
        retrieval=[{"pair": "ecg → cmr", "subjects": 64, "recall@1": 0.25}, {"pair": "cmr → ecg", "subjects": 64}],
        artifacts={kind: make_artifact(folder, kind) for kind in ("cohort", "protocol", "evaluation", "aligned")},
        sources={"reconstruction": "pretrain-ecg 0123456789ab, reconstruction.npz"},
        config='name = "demo"\nlevel = "<1>"',
    )


@pytest.fixture(scope="module")
def html(full: Report) -> str:
    return render(full)


@pytest.fixture
def words_only() -> Iterator[None]:
    with unpainted():
        yield


def test_it_parses_and_has_one_title_and_headed_sections(html: str) -> None:
    outline = parse(html)
    assert html.startswith("<!DOCTYPE html>")
    assert outline.all("html") == [{"lang": "en"}]
    assert len(outline.all("h1")) == len(outline.all("title")) == len(outline.all("main")) == 1
    identifiers = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    assert {s["aria-labelledby"] for s in outline.all("section")} <= set(identifiers)
    inside = [str(a["href"]) for a in outline.all("a") if "download" not in a]
    assert set(inside) == {f"#{s['id']}" for s in outline.all("section")}
    assert len(outline.all("section")) == 16


def test_it_needs_no_network(html: str) -> None:
    outline = parse(html)
    assert not outline.all("script")
    assert not outline.all("link")
    for _, attributes in outline.tags:
        assert not {"srcset", "action", "onload", "onclick"} & set(attributes)
        if "src" in attributes:
            assert str(attributes["src"]).startswith(("data:image/svg+xml;base64,", "data:image/png;base64,"))
    without_data = re.sub(r"data:(image|text)/[^\"]+", "", html)
    for word in ("http:", "https:", "//", "@import", "url("):
        assert word not in without_data


def test_pictures_have_words_and_tables_have_headers(html: str) -> None:
    outline = parse(html)
    assert all(len(str(image["alt"])) > 20 for image in outline.all("img"))
    assert len(outline.all("caption")) == len(outline.all("table")) == len(outline.all("thead"))
    assert all(header.get("scope") in ("col", "row") for header in outline.all("th"))


def test_no_subject_is_in_it(html: str, full: Report) -> None:
    assert "SIM-" not in html
    assert full.predictions is not None
    assert not any(subject in html for subject in full.predictions["subject"].unique())


def test_text_is_escaped(html: str) -> None:
    assert "Infarction &lt;simulated&gt;" in html
    assert "What &amp; why." in html
    assert "&lt;1&gt;" in html


def test_every_part_names_its_artefact(html: str, full: Report) -> None:
    for name, found in full.artifacts.items():
        assert f"{name} {found.digest[:12]}" in html
        assert found.digest in html
    for section in ("results", "curves", "cohort", "quarantine", "labels", "audit", "reconstruction", "retrieval"):
        part = html.split(f'<section id="{section}"')[1].split("</section>")[0]
        assert re.search(r'class="source">From [\w-]+ [0-9a-f]{12}', part), section
    assert "The artefact of these numbers was not given to this report." in html


def test_what_people_look_for_is_there(html: str) -> None:
    for text in (
        "Research use only", "Paired differences", "95 % interval", "Patterns of availability", "ecg + cmr + tabular",
        "truncated", "female", "statin", "ICD-10 I21", "recall@1", "Spread over training seeds", "Missing", "0.950",
        "unknown_date: 1",
    ):  # fmt: skip
        assert text in html


def section(html: str, name: str) -> str:
    return html.split(f'<section id="{name}"')[1].split("</section>")[0]


def test_values_of_the_table_are_told_apart(html: str) -> None:
    part = section(html, "quarantine")
    tables = {table.split("<caption>")[1].split("</caption>")[0]: table for table in part.split("<table")[1:]}
    (missing,) = (text for name, text in tables.items() if name.startswith("Implausible"))
    (taken,) = (text for name, text in tables.items() if "baseline visit" in name)
    (other,) = (text for name, text in tables.items() if name.startswith("Other remarks"))
    assert "sbp_mmhg" in missing.split("</table>")[0]
    assert not any(word in missing.split("</table>")[0] for word in ("weight_kg", "pack_years", "unparsed_date"))
    assert "weight_kg" in taken
    assert "unparsed_date" in other
    assert "Of the core facts the table has no column of: pack_years." in part


@pytest.mark.usefixtures("words_only")
def test_the_audit_names_what_it_did_not_look_at(full: Report) -> None:
    html = render(replace(full, audit={"findings": [], "allowed": []}))
    part = section(html, "audit")
    assert "Nothing suspicious was found in the inputs used." in part
    assert "not inputs and so not checked: sex." in part
    assert "not checked" not in section(render(replace(full, protocol=None)), "audit")


@pytest.mark.usefixtures("words_only")
def test_the_roles_of_the_columns_are_shown_and_escaped(full: Report) -> None:
    facts = {"observed_share": 0.5, "declared": False}
    roles = [
        {"column": "age_years", "role": "input", "used": True, **facts},
        {"column": "<sex>", "role": "input", "used": False, **facts},
        {"column": "statin", "role": "leak", "used": False, **facts, "declared": True},
        {"column": "lvef_percent", "role": "label", "used": False, **facts, "declared": True},
        {"column": "lv_mass_g", "role": "label", "used": False, **facts, "observed_share": 0.0},
    ]
    part = section(render(replace(full, roles=roles)), "audit")
    (table,) = (text for text in part.split("<table")[1:] if "Roles of the columns" in text)
    assert table.count("<tr>") == 5, "header, used input, unused input, label, leak"
    assert "&lt;sex&gt;" in table
    assert "leaks this endpoint" in table
    assert "never an input" in table
    assert "lv_mass_g" not in table, "observed in no row"
    assert "Roles of the columns" not in section(render(full), "audit")


@pytest.mark.usefixtures("words_only")
def test_only_the_metrics_that_decide_are_compared(full: Report) -> None:
    part = section(render(full), "comparisons")
    shown = {row.split("</td>")[3].split(">")[-1] for row in part.split("<tr>")[2:]}
    assert shown == {"AUROC", "AUPRC", "Balanced accuracy"}
    assert "metrics.json" in part
    assert {entry["metric"] for entry in full.metrics["comparisons"]} > {"brier"}


@pytest.mark.usefixtures("words_only")
@pytest.mark.parametrize(
    ("p", "resamples", "text"),
    [
        (2 / 1001, 1000, "&lt; 0.002"),
        (4 / 1001, 1000, "0.004"),
        (2 / 10001, 10000, "&lt; 0.0002"),
        (4 / 10001, 10000, "&lt; 0.001"),
        (1.0, 1, "1.000"),
        (None, 1000, "–"),
    ],
)
def test_p_is_not_said_to_be_smaller_than_it_can_be(full: Report, p: float | None, resamples: int, text: str) -> None:
    entry = full.metrics["comparisons"][0] | {"p": p}
    html = render(Report("One", {**full.metrics, "resamples": resamples, "comparisons": [entry]}))
    assert f'<td class="number">{text}</td>' in section(html, "comparisons")


@pytest.mark.usefixtures("words_only")
@pytest.mark.parametrize(("inputs", "said"), [(("ecg", "ecg+tabular"), True), (("ecg",), False)])
def test_rows_of_different_inputs_are_not_compared(inputs: tuple[str, ...], said: bool) -> None:
    metrics = evaluate(make_predictions(seeds=1, test=40, inputs=inputs), resamples=5)
    assert ("Rows with different inputs have different test subjects" in render(Report("Two", metrics))) is said


@pytest.mark.usefixtures("words_only")
@pytest.mark.parametrize(("last", "said"), [(4.0, True), (4.6, True), (3.9, False), (float("nan"), False)])
def test_a_stage_that_learnt_nothing_is_said_to(last: float, said: bool) -> None:
    metrics = evaluate(make_predictions(seeds=1, test=40, arms={"one": 1.0}), resamples=5)
    history = pd.DataFrame({"step": [1, 2], "train_loss": [5.0, 4.0], "validation_loss": [np.nan, last]})
    report = Report("One", metrics, histories={"scarf": history}, chance={"scarf": 4.02})
    assert ("Little was learnt here" in section(render(report), "losses")) is said


def test_short_names_are_told(html: str) -> None:
    for words in ("mi: Myocardial infarction, any time", "ecg: 12-lead ECG", "AUPRC: area under precision over recall"):
        assert words in html
    assert '<p class="lead">Myocardial infarction, any time: ' in html


def test_no_nan_is_printed(html: str) -> None:
    words = re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL)
    assert not re.search(r"\b(nan|None|inf)\b", words)


def test_a_title_and_metrics_are_enough() -> None:
    metrics = evaluate(make_predictions(seeds=1, arms={"ecg only": 1.0}), resamples=10)
    html = render(Report("ECG only", metrics))
    outline = parse(html)
    assert [s["id"] for s in outline.all("section")] == ["results", "calibration", "card", "checklist"]
    assert "the spread over seeds is not known" in html


def test_nothing_evaluated_is_said() -> None:
    empty = {"threshold_from": "validation", "resamples": 1, "cells": [], "comparisons": [], "oracle": []}
    html = render(Report("Pre-training", empty))
    parse(html)
    assert "No model was evaluated." in html


@pytest.mark.usefixtures("words_only")
def test_undefined_numbers_are_explained() -> None:
    metrics = evaluate(make_predictions(validation=10), resamples=10, comparisons=[("aligned", "scratch")])
    html = render(Report("Few labels", metrics, predictions=make_predictions(validation=10)))
    assert "at least 3 of each are needed" in html
    assert 'id="curves"' in html


def test_an_older_report_is_replaced_at_once(tmp_path: Path) -> None:
    metrics = evaluate(make_predictions(seeds=1, test=40), resamples=5)
    path = tmp_path / "deep" / "report.html"
    for title in ("First", "Second"):
        assert write_report(path, Report(title, metrics)) == path
    assert "Second" in path.read_text(encoding="utf-8")
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
