"""Experiments: strict, complete, suggested where mistyped, with a digest that key order does not change."""

from __future__ import annotations

import copy
import json
import random
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from cardiobind import config
from cardiobind.config import Experiment, digest, files, load_experiment, parse_experiment, resolved
from cardiobind.errors import ConfigError

MINIMAL = """
name = "small"
title = "A small experiment"
label_fractions = [0.5, 1.0]

[source]
kind = "ukb"

[ecg.encoder]
kind = "vit"
options = { width = 64, patch = [12, 25] }

[tabular]
features = ["age_years"]
encoder = { kind = "tabular_mlp" }

[protocol]
task = "mi"

[finetune]
epochs = 2

[[arms]]
name = "scratch"

[[arms]]
name = "floor"
kind = "random_kernels"

[evaluation]
inputs = ["ecg+tabular", "ecg"]
comparisons = [["scratch", "floor"]]
"""
SHIPPED = sorted((Path(config.__file__).parents[1] / "experiments").glob("*.toml"))


@pytest.fixture
def tree() -> dict[str, Any]:
    return tomllib.loads(MINIMAL)


def edit(tree: dict[str, Any], *words: str) -> Experiment:
    return parse_experiment(tree, words)


def test_a_minimal_experiment_is_completed(tree: dict[str, Any]) -> None:
    experiment = parse_experiment(tree)
    assert experiment.modalities == ("ecg", "tabular")
    assert experiment.protocol.fractions == (0.7, 0.1, 0.2)
    assert experiment.ecg is not None
    assert experiment.ecg.rate_hz == 500
    assert experiment.ecg.encoder.options == {"width": 64, "patch": (12, 25)}
    assert resolved(experiment)["finetune"]["learning_rate"] == 1e-3
    assert tree == tomllib.loads(MINIMAL)


def test_there_are_shipped_experiments() -> None:
    assert {path.stem for path in SHIPPED} >= {"demo", "ptbxl_mi"}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_experiments_load_and_survive_a_round_trip(path: Path) -> None:
    experiment = load_experiment(path)
    again = parse_experiment(json.loads(json.dumps(resolved(experiment))))
    assert again == experiment
    assert digest(again) == digest(experiment)


def test_models_are_frozen(tree: dict[str, Any]) -> None:
    experiment = parse_experiment(tree)
    with pytest.raises(ValueError, match="frozen"):
        experiment.seed = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("word", "read"),
    [
        ("seed=7", lambda e: e.seed == 7),
        ("ecg.rate_hz=100", lambda e: e.ecg.rate_hz == 100),
        ("finetune.learning_rate=1e-4", lambda e: e.finetune.learning_rate == 1e-4),
        ("title=Another title", lambda e: e.title == "Another title"),
        ('title="3"', lambda e: e.title == "3"),
        ("seeds=[1, 2]", lambda e: e.seeds == (1, 2)),
        ("label_fractions.1=0.75", lambda e: e.label_fractions == (0.5, 0.75)),
        ("arms.1.start=scratch", lambda e: e.arms[1].start == "scratch"),
        ("ecg.encoder.options.heads=2", lambda e: e.ecg.encoder.options["heads"] == 2),
        ("ecg.pretrain.method.kind=masked ecg.pretrain.training.steps=5", lambda e: e.ecg.pretrain.training.steps == 5),
        ("data_root=/a/b=c", lambda e: e.data_root == "/a/b=c"),
        ("tabular.features=all_inputs", lambda e: e.tabular.features == "all_inputs"),
    ],
)  # fmt: skip
def test_overrides(tree: dict[str, Any], word: str, read: Any) -> None:
    words = word.split(" ") if word.startswith("ecg.pretrain") else [word]
    assert read(edit(tree, *words))


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("ecg.rat_hz=100", "did you mean 'rate_hz'"),
        ("finetune.lr=1", "fields there: batch_size"),
        ("sed=1", "did you mean 'seed'"),
        ("arms.0.strat=scratch", "did you mean 'start'"),
        ("ecg.encoder.kin=a", "did you mean 'kind'"),
        ("seed=1.5", "integer"),
        ("seed=true", "integer"),
        ("seed=one", "integer"),
        ("finetune.learning_rate=0", "greater than 0"),
        ("finetune.learning_rate=inf", "finite"),
        ("finetune.learning_rate=nan", "finite"),
        ("finetune.steps=5", "exactly one of epochs and steps"),
        ("finetune.batch_size=0", "greater than or equal to 1"),
        ("protocol.split=random", "'hash' or 'official'"),
        ("protocol=mi", "valid dictionary|object"),
        ("arms.1.name=scratch", "two arms have one name"),
        ("arms.1.name=Scratch!", "arms 'scratch' and 'Scratch!' would share the folder name 'scratch'"),
        ("variants={'A b'={},a-b={}}", "variants 'A b' and 'a-b' would share the folder name 'a-b'"),
        ("arms.0.start=aligned", r"no \[align\]"),
        ("arms=[]", "at least 1"),
        ("export=best", "no arm is called 'best'"),
        ('evaluation.inputs=["cmr"]', "name 'cmr'"),
        ('evaluation.inputs=["tabular+ecg"]', "alphabetical order: 'ecg.tabular'"),
        ("ecg.encoder.options.patch.x=1", "no such entry|of a type"),
        ("label_fractions=[0.0]", "lie in"),
        ("evaluation.resamples=10", "greater than or equal to 100"),
        ("seed", "KEY=VALUE"),
        ("=1", "KEY=VALUE"),
        ("name.deeper=1", "is a value, not a section"),
        ("label_fractions.0.deeper=1", "is a value, not a section"),
        ("label_fractions.5=1", "no such entry"),
        ("label_fractions.x=1", "no such entry"),
        ("arms.7.name=x", "no such entry"),
        ("name=2020-01-01", "of a type that no option has"),
        ("..=1", "KEY=VALUE|Extra inputs"),
    ],
)
def test_mistakes_are_explained(tree: dict[str, Any], word: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        edit(tree, word)


def test_an_error_names_each_place(tree: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "experiment.toml"
    path.write_text(MINIMAL.replace('task = "mi"', "task = 3\nspilt = 1"))
    with pytest.raises(ConfigError, match=r"protocol\.spilt: [\s\S]*protocol\.task: [\s\S]*experiment\.toml"):
        load_experiment(path)


def test_long_values_are_cut(tree: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        edit(tree, f"seed={'x' * 500}")
    assert len(str(caught.value)) < 400


def test_what_is_no_experiment_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no experiment file there"):
        load_experiment(tmp_path / "absent.toml")
    for content in (b"name = ", b"\xff\xfe", b'name = "a"\nname = "b"'):
        (tmp_path / "bad.toml").write_bytes(content)
        with pytest.raises(ConfigError, match="not valid TOML"):
            load_experiment(tmp_path / "bad.toml")


def shuffled(value: Any, shuffle: random.Random) -> Any:
    if not isinstance(value, dict):
        return value
    keys = list(value)
    shuffle.shuffle(keys)
    return {key: shuffled(value[key], shuffle) for key in keys}


@given(st.randoms(use_true_random=False))
@settings(max_examples=20)
def test_the_digest_does_not_depend_on_key_order(shuffle: random.Random) -> None:
    tree = tomllib.loads(MINIMAL)
    assert digest(parse_experiment(shuffled(tree, shuffle))) == digest(parse_experiment(tree))


def test_the_digest_depends_on_values(tree: dict[str, Any]) -> None:
    assert digest(edit(tree, "seed=1")) != digest(parse_experiment(tree))
    assert digest(edit(tree, "ecg.rate_hz=500")) == digest(parse_experiment(tree))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if isinstance(value, dict) else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return found + [place for key, child in items for place in places(child, (*path, key))]


@pytest.mark.parametrize("place", [p for p in places(tomllib.loads(MINIMAL)) if "options" not in p], ids=str)
def test_an_unknown_key_anywhere_is_refused(tree: dict[str, Any], place: tuple[Any, ...]) -> None:
    node = tree
    for part in place:
        node = node[part]
    node["unheard_of"] = 1
    with pytest.raises(ConfigError, match="unheard_of"):
        parse_experiment(tree)


WORDS = st.text("aeglmnrst_.=0123456789[]{}\"' -", max_size=30)
KEYS = st.sampled_from(
    ["seed", "ecg", "ecg.rate_hz", "ecg.encoder.options", "arms", "arms.0", "label_fractions.0", "protocol.task"]
)


@given(st.one_of(WORDS, st.builds("{}={}".format, KEYS, WORDS), st.builds("{}.{}=1".format, KEYS, WORDS)))
@settings(max_examples=150, deadline=None)
def test_any_override_gives_an_experiment_or_a_config_error(word: str) -> None:
    try:
        experiment = parse_experiment(tomllib.loads(MINIMAL), [word])
    except ConfigError:
        return
    assert len(digest(experiment)) == 64


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_value_anywhere_gives_an_experiment_or_a_config_error(data: st.DataObject) -> None:
    tree = copy.deepcopy(tomllib.loads(MINIMAL))
    node: Any = tree
    for part in data.draw(st.sampled_from(places(tree))):
        node = node[part]
    node[data.draw(st.sampled_from(sorted(node)))] = data.draw(JSON)
    try:
        parse_experiment(tree)
    except ConfigError:
        return


def test_every_model_is_strict_and_documented() -> None:
    models = [
        m for m in vars(config).values() if isinstance(m, type) and issubclass(m, BaseModel) and m is not BaseModel
    ]
    assert len(models) >= 10
    for model in models:
        assert model.model_config.get("extra") == "forbid"
        assert model.model_config.get("frozen")
        assert model.model_config.get("strict")
        assert model.__name__.startswith("_") or model.__doc__


def test_an_error_names_several_problems_and_the_misspelt_name_first() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_experiment({"nam": "x", "title": "t", "seed": "a"})
    text = str(caught.value)
    assert text.index("nam: ") < text.index("name: ") < text.index("seed: ")
    assert "3 more" in text
    assert "did you mean 'name'" in text


def test_an_experiment_may_extend_another(tmp_path: Path) -> None:
    (tmp_path / "below.toml").write_text(MINIMAL)
    (tmp_path / "over.toml").write_text('extends = "below"\nseeds = [4, 5]\n[ecg.encoder]\noptions = { width = 32 }\n')
    below, over = load_experiment(tmp_path / "below.toml"), load_experiment(tmp_path / "over.toml")
    assert over.seeds == (4, 5)
    assert over.ecg is not None
    assert below.ecg is not None
    assert over.ecg.encoder.kind == below.ecg.encoder.kind
    assert over.ecg.encoder.options == {**below.ecg.encoder.options, "width": 32}
    assert over.model_copy(update={"seeds": below.seeds, "ecg": below.ecg}) == below


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('extends = "circle"', "extends itself"),
        ('extends = "nowhere"', "no such experiment to extend"),
        ("extends = 3", "one other"),
    ],
)
def test_what_cannot_be_extended_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "circle.toml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_experiment(tmp_path / "circle.toml")


def test_an_experiment_anywhere_may_extend_one_that_comes_with_the_package(tmp_path: Path) -> None:
    (tmp_path / "table.toml").write_text('extends = "table"\nname = "mine"\nseeds = [7]\n')
    mine, shipped = load_experiment(tmp_path / "table.toml"), load_experiment(files.SHIPPED / "table.toml")
    assert mine.seeds == (7,)
    assert mine.arms == shipped.arms


def test_options_of_another_kind_are_not_inherited(tmp_path: Path) -> None:
    (tmp_path / "below.toml").write_text(MINIMAL)
    (tmp_path / "over.toml").write_text('extends = "below"\n[ecg.encoder]\nkind = "xresnet1d"\n')
    over = load_experiment(tmp_path / "over.toml")
    assert over.ecg is not None
    assert (over.ecg.encoder.kind, over.ecg.encoder.options) == ("xresnet1d", {})
