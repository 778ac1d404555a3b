"""TRIPOD+AI checklist and model card: complete, honest about what a person must write, naming where answers stand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cardiobind.evaluation import evaluate
from cardiobind.evaluation.report import Report, write_papers
from cardiobind.evaluation.report.standards import facts
from cardiobind.evaluation.report.standards.checklist import answers, checklist, checklist_table
from cardiobind.evaluation.report.standards.items import ITEMS
from cardiobind.evaluation.report.standards.model_card import card_markdown, main_model, model_card
from evaluation_fakes import make_predictions

PARTS = {3: "abc", 5: "ab", 6: "abc", 8: "abc", 9: "abc", 12: "abcdefg", 18: "abcdef", 20: "abc", 23: "ab", 27: "abc"}
ALWAYS_A_PERSON = {
    "2",
    "3a",
    "3b",
    "3c",
    "5b",
    "6a",
    "6c",
    "8b",
    "8c",
    "9c",
    "17",
    "18a",
    "18b",
    "18c",
    "18d",
    "19",
    "25",
}
SETTINGS: dict[str, Any] = {
    "digest": "0123456789abcdef", "source": {"kind": "ukb"}, "seeds": [0, 1], "export": "aligned",
    "ecg": {"rate_hz": 100, "duration_s": 10.0, "clip_sd": 4.0, "encoder": {"kind": "vit"}},
    "tabular": {"features": "paper_33", "encoder": {"kind": "tabular_mlp"}},
    "arms": [{"name": "aligned", "kind": "network"}, {"name": "scratch", "kind": "network"}],
}  # fmt: skip


@pytest.fixture(scope="module")
def outside() -> Report:
    """Predictions made elsewhere: nothing but numbers is known."""
    metrics = evaluate(make_predictions(test=60), resamples=5, comparisons=[("aligned", "scratch")])
    return Report("Two models", metrics)


@pytest.fixture(scope="module")
def run(outside: Report) -> Report:
    counts = {"train": {"samples": 40, "labelled": 39, "positive": 9}, "test": {"samples": 20}}
    return replace(
        outside,
        settings=SETTINGS,
        cohort={"subjects": 60, "samples": 61},
        counts={"ecg": {"read": 61, "kept": 60, "quarantined": 1}},
        protocol={"split": "hash", "features": ["age_years"], "counts": counts},
        audit={"findings": []},
        label_definition="ICD-10 I21 at any time.",
        training_labels={("aligned", 0.1): 4, ("scratch", 0.1): 5},
        made={"code version": "0.1.0"},
    )


def test_all_27_items_with_their_52_parts_are_there_in_order() -> None:
    expected = [f"{n}{part}" for n in range(1, 28) for part in (PARTS.get(n) or [""])]
    assert [item.number for item in ITEMS] == expected
    assert len(ITEMS) == 52
    assert all(item.applies in ("D", "E", "D;E") and len(item.asks) > 20 for item in ITEMS)


def test_what_only_a_person_knows_is_open(run: Report) -> None:
    states = {a.item.number: a.state for a in answers(run)}
    assert {number for number, state in states.items() if state == "open"} >= ALWAYS_A_PERSON
    assert states["12a"] == states["21"] == states["23a"] == "filled"
    assert states["10"] == "partly"


def test_the_run_fills_what_it_knows(run: Report) -> None:
    said = {a.item.number: a.text for a in answers(run)}
    assert "60 subjects" in said["5a"]
    assert said["8a"].startswith("ICD-10 I21 at any time.")
    assert "61 read, 60 kept, 1 left out" in said["20a"]
    assert "39 labelled" in said["12a"]
    assert "4 to 5 labels" in said["21"]
    assert "AUROC" in said["12e"]


def test_nothing_is_claimed_of_models_made_elsewhere(outside: Report) -> None:
    states = {a.item.number: a.state for a in answers(outside)}
    for number in ("5a", "7", "9a", "11", "12a", "12b", "12c", "13", "16", "20b", "22", "27a"):
        assert states[number] == "open", number
    assert states["12e"] == states["12f"] == states["15"] == states["24"] == "filled"
    assert states["20a"] == states["21"] == "partly"
    assert not any("one source" in a.text for a in answers(outside))
    assert "one source" not in card_markdown(outside)


def test_no_threshold_nor_recalibration_is_claimed_where_nothing_was_settled() -> None:
    frame = make_predictions(test=60, seeds=1)
    bare = Report("Test rows alone", evaluate(frame[frame["split"] == "test"], resamples=5))
    found = {a.item.number: a for a in answers(bare)}
    for number in ("12f", "15", "24"):
        assert found[number].state == "open", number
    assert "Balanced accuracy," not in found["12e"].text
    assert "decision curves" not in found["12e"].text
    assert "AUROC" in found["12e"].text
    limits = found["26"].text
    assert "Validation settled neither threshold nor recalibration" in limits
    assert "validation subjects" not in limits
    assert "trained with" not in limits
    assert "Threshold: highest" not in card_markdown(bare)


def test_gaps_are_told_of_the_kinds_of_arms_that_there_are(run: Report) -> None:
    def missing(*kinds: str) -> str:
        settings = {**SETTINGS, "arms": [{"name": kind, "kind": kind} for kind in kinds]}
        return next(a.text for a in answers(replace(run, settings=settings)) if a.item.number == "11")

    assert "median" not in missing("network")
    assert "impute nothing" in missing("network")
    assert "median" in missing("risk_score", "network")
    assert "impute" not in missing("risk_score")
    assert missing("network", "of_a_plug_in") == ""


def test_every_kind_of_arm_says_how_it_handles_gaps(run: Report) -> None:
    from cardiobind.pipeline.arms import ARMS

    for kind in ARMS.names():
        assert facts.gaps(replace(run, settings={"arms": [{"kind": kind}]})), kind


def test_an_official_split_may_be_of_another_hospital(run: Report) -> None:
    own = replace(run, protocol={**(run.protocol or {}), "split": "official"})
    found = {a.item.number: a for a in answers(own)}
    assert found["16"].state == "open"
    assert "no other hospital" not in found["26"].text
    assert "no other hospital" in next(a.text for a in answers(run) if a.item.number == "26")


def test_open_items_are_seen(run: Report) -> None:
    html = checklist(run)
    still = [a for a in answers(run) if a.state == "open"]
    assert html.count('<tr class="open">') == len(still)
    assert html.count(">OPEN</td>") == len(still)
    rows = checklist_table(run).rows
    assert all(row[6] == "A person has to write this." for row in rows if row[5] == "OPEN")


def test_simulated_data_and_few_events_are_said(run: Report) -> None:
    oracle = [{"task": "mi", "inputs": "ecg", "metrics": {"auroc": 0.9}}]
    simulated = replace(run, metrics={**run.metrics, "oracle": oracle})
    limits = next(a.text for a in answers(simulated) if a.item.number == "26")
    assert "simulated" in limits
    assert "12 test subjects" in limits
    assert "simulated" not in next(a.text for a in answers(run) if a.item.number == "26")


def test_the_card_is_about_the_exported_model_and_has_every_section(run: Report, outside: Report) -> None:
    assert main_model(run) == "aligned"
    assert main_model(replace(run, settings={**SETTINGS, "export": "scratch"})) == "scratch"
    assert main_model(outside) == "aligned"
    titles = [section.title for section in model_card(run)]
    assert titles == [
        "Model details", "Intended use", "Factors", "Metrics", "Evaluation data", "Training data",
        "Quantitative analyses", "Ethical considerations", "Caveats and recommendations",
    ]  # fmt: skip
    text = card_markdown(run)
    assert "vit" in text
    assert "**OPEN:**" in text
    assert "predictions alone" in card_markdown(outside)


def test_the_files_for_a_paper_name_nobody(run: Report, tmp_path: Path) -> None:
    written = write_papers(tmp_path, run)
    assert {"model_card.md", "tripod_ai.md", "results_binary.tex", "differences.csv"} <= {path.name for path in written}
    assert not any("SIM-" in path.read_text() for path in written)
