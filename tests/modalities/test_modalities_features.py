"""Roles, codes and named sets of features."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import pytest

from cardiobind.errors import ConfigError
from cardiobind.modalities.features import CORE_FEATURES, FEATURE_BY_NAME, FEATURES, INPUT_FEATURES
from cardiobind.modalities.features.cmr import CMR_FEATURES
from cardiobind.modalities.features.presets import CATEGORICAL_50, CONTINUOUS_68, PRESETS, preset

DOCS = Path(__file__).parents[2] / "docs"


def test_names_are_unique_and_every_number_has_a_range() -> None:
    assert len(FEATURE_BY_NAME) == len(FEATURES)
    for feature in FEATURES:
        assert feature.role in ("input", "leak", "label")
        assert (feature.role == "leak") <= bool(feature.leaks)
        if feature.kind == "number":
            assert math.isfinite(feature.low)
            assert feature.low < feature.high
        else:
            assert feature.ukb_codes
            assert len(feature.categories) == (len(feature.ukb_codes) if feature.kind == "category" else 0)


def test_no_code_is_both_an_answer_and_none() -> None:
    for feature in FEATURES:
        stands_for = {code for code, _ in feature.ukb_stands_for}
        assert not set(feature.ukb_missing) & ({*feature.ukb_codes} | stands_for), feature.name
        if feature.kind == "number":
            real = [code for code in (*feature.ukb_missing, *stands_for) if feature.low <= code <= feature.high]
            assert not real, feature.name


def test_the_core_is_what_it_was() -> None:
    assert len(CORE_FEATURES) == 38
    assert FEATURES[:38] == CORE_FEATURES
    assert sum(feature.role == "input" for feature in CORE_FEATURES) == 33


def test_the_sets_hold_what_their_names_say() -> None:
    assert (len(set(CONTINUOUS_68)), len(set(CATEGORICAL_50))) == (68, 50)
    assert {name: len(set(names)) for name, names in PRESETS.items()} == {
        "paper_33": 33, "best_of_both_worlds_118": 118, "best_of_both_worlds_leak_free": 94, "minimal": 8,
    }  # fmt: skip
    for names in PRESETS.values():
        assert set(names) <= set(FEATURE_BY_NAME)


def test_the_leak_free_set_holds_no_leak_no_phenotype_and_nothing_asked_later() -> None:
    chosen = set(preset("best_of_both_worlds_leak_free"))
    assert chosen <= set(INPUT_FEATURES)
    assert not chosen & {feature.name for feature in CMR_FEATURES}
    for name in (
        "heart_attack_by_doctor", "angina_by_doctor", "cardiac_operation", "statin", "bp_medication", "pacemaker",
        "stroke_by_doctor", "six_units_frequency", "lvef_percent", "inline_cardiac_output_l_min",
    ):  # fmt: skip
        assert name in PRESETS["best_of_both_worlds_118"]
        assert name not in chosen


def test_an_unknown_set_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="paper_33"):
        preset("paper33")


def test_the_page_of_features_is_the_code() -> None:
    spec = importlib.util.spec_from_file_location("write_features", DOCS / "write_features.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (DOCS / "explanation" / "features.md").read_text(encoding="utf-8") == module.page()
