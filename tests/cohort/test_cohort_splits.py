"""Splits: keyed, stable, whole subjects, nested labels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiobind.cohort.splits import SPLITS, SubjectOverlapError, assign_splits, check_splits, label_subset
from cardiobind.errors import InputError, SplitLeakageError

names = st.lists(st.text("abcdef0123456789", min_size=1, max_size=6), min_size=1, max_size=40, unique=True)


@settings(max_examples=40)
@given(names, names, st.integers(0, 5))
def test_adding_subjects_moves_nobody(first: list[str], more: list[str], seed: int) -> None:
    before = dict(zip(first, assign_splits(first, seed=seed), strict=True))
    everyone = [*more, *first]
    after = dict(zip(everyone, assign_splits(everyone, seed=seed), strict=True))
    assert all(after[s] == split for s, split in before.items())


def test_shares_come_out_and_seeds_differ() -> None:
    subjects = [f"s{i}" for i in range(4000)]
    splits = assign_splits(subjects, seed=0, fractions=(0.5, 0.2, 0.3))
    assert np.allclose([(splits == s).mean() for s in SPLITS], (0.5, 0.2, 0.3), atol=0.03)
    assert (splits != assign_splits(subjects, seed=1, fractions=(0.5, 0.2, 0.3))).mean() > 0.4


def test_a_share_of_zero_stays_empty() -> None:
    splits = assign_splits([f"s{i}" for i in range(500)], seed=0, fractions=(0.8, 0.2, 0.0))
    assert set(splits) == {"train", "validation"}


def test_visits_and_aliases_follow_their_subject() -> None:
    subjects = ["a", "b", "a", "also-a", "once-a"] * 3
    splits = assign_splits(subjects, seed=3, aliases={"also-a": "once-a", "once-a": "a"})
    assert len({s for n, s in zip(subjects, splits, strict=True) if n != "b"}) == 1


def test_aliases_in_a_circle_are_refused() -> None:
    with pytest.raises(InputError, match="circle"):
        assign_splits(["a"], seed=0, aliases={"a": "b", "b": "a"})


@pytest.mark.parametrize("fractions", [(0.5, 0.5), (0.5, 0.6, -0.1), (0.5, 0.5, 0.5)])
def test_impossible_fractions_are_refused(fractions: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="impossible split"):
        assign_splits(["a"], seed=0, fractions=fractions)


def test_official_folds() -> None:
    subjects = [f"s{i}" for i in range(10)]
    splits = assign_splits(subjects, seed=0, fold=np.arange(1, 11))
    assert splits.tolist() == ["train"] * 8 + ["validation", "test"]


@pytest.mark.parametrize("fold", [[1, 11], [1, np.nan], [1]])
def test_official_folds_must_be_there(fold: list[float]) -> None:
    with pytest.raises(InputError, match="official"):
        assign_splits(["a", "b"], seed=0, fold=fold)


def test_a_subject_torn_by_official_folds_is_leakage() -> None:
    with pytest.raises(SplitLeakageError):
        assign_splits(["a", "a"], seed=0, fold=[1, 10])
    with pytest.raises(SplitLeakageError):
        assign_splits(["a", "b"], seed=0, fold=[1, 10], aliases={"b": "a"})


@pytest.mark.parametrize("aliases", [None, {"other-name": "secret-subject"}])
def test_leakage_is_found_and_the_message_names_nobody(aliases: dict[str, str] | None) -> None:
    second = "other-name" if aliases else "secret-subject"
    frame = pd.DataFrame({"subject": ["secret-subject", second, "b"], "split": ["train", "test", "test"]})
    with pytest.raises(SubjectOverlapError) as caught:
        check_splits(frame, aliases)
    assert caught.value.details == ("secret-subject",)
    assert "secret" not in str(caught.value)


def test_clean_splits_pass() -> None:
    check_splits(pd.DataFrame({"subject": ["a", "a", "b"], "split": ["train", "train", "test"]}))


@settings(max_examples=30)
@given(st.integers(0, 10), st.floats(0.01, 1), st.floats(0.01, 1))
def test_label_subsets_are_nested_stratified_and_whole(seed: int, one: float, two: float) -> None:
    small, large = sorted((one, two))
    subjects = [f"s{i // 2}" for i in range(200)]
    labels = np.array([float(i // 2 % 5 == 0) if i % 7 else np.nan for i in range(200)])
    few, many = (label_subset(subjects, labels, f, seed) for f in (small, large))
    assert not (few & ~many).any()
    for mask, fraction in ((few, small), (many, large)):
        assert not mask[np.isnan(labels)].any()
        chosen = {s for s, m in zip(subjects, mask, strict=True) if m}
        assert all(m for s, m, y in zip(subjects, mask, labels, strict=True) if s in chosen and np.isfinite(y))
        for positive, total in ((True, 20), (False, 80)):
            count = len({s for s, y, m in zip(subjects, labels, mask, strict=True) if m and (y > 0.5) == positive})
            assert count == max(2, int(np.ceil(fraction * total - 1e-9)))


def test_adding_subjects_keeps_the_order_of_labels() -> None:
    subjects, labels = [f"s{i}" for i in range(50)], [float(i % 2) for i in range(50)]
    all_of_them = label_subset(subjects, labels, 1.0, 0)
    assert all_of_them.all()


@pytest.mark.parametrize("fraction", [0.0, 1.5, -1.0, float("nan")])
def test_bad_fractions_are_refused(fraction: float) -> None:
    with pytest.raises(InputError, match="out of range"):
        label_subset(["a", "b"], [0, 1], fraction, 0)


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 0, 0, 1]])
def test_strata_of_a_number_may_be_one_or_hold_one_subject(labels: list[float]) -> None:
    options = {"least_classes": 1, "least_subjects": 1}
    found = label_subset(["a", "b", "c", "d"], labels, 0.1, 0, **options)
    assert found.sum() == 2 + max(labels)
    with pytest.raises(InputError, match="too few"):
        label_subset(["a", "b"], [0, np.nan], 0.5, 0, **options)


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 0, 0, 1], [np.nan] * 4])
def test_too_few_of_a_class_is_refused(labels: list[float]) -> None:
    with pytest.raises(InputError, match="too few"):
        label_subset(["a", "b", "c", "d"], labels, 0.5, 0)
