"""Gathering where a list plays the other process; two real ones are in tests/methods/test_methods_processes.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from cardiobind.objectives import gather


class Played:
    """torch.distributed as the second of two processes sees it; `other` are the rows that the first one hands in."""

    def __init__(self, *other: Tensor) -> None:
        self.said: list[Tensor] = []
        for rows in other:
            self.said += [torch.tensor([len(rows)]), rows]

    def is_available(self) -> bool:
        return True

    def is_initialized(self) -> bool:
        return True

    def get_world_size(self) -> int:
        return 2

    def get_rank(self) -> int:
        return 1

    def all_gather(self, parts: list[Tensor], own: Tensor) -> None:
        first = self.said.pop(0)
        parts[0].zero_()[: len(first)] = first.to(parts[0].dtype)
        parts[1].copy_(own)

    def broadcast(self, value: Tensor, src: int) -> None:
        assert src == 0
        value.copy_(self.said[1])


@pytest.fixture
def first(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    return lambda *rows: monkeypatch.setattr(gather, "dist", Played(*rows))


def test_rows_come_in_the_order_of_ranks_and_the_own_ones_get_twice_the_gradient(first: Callable[..., None]) -> None:
    others, own = torch.randn(5, 3), torch.randn(2, 3, requires_grad=True)
    first(others)
    joint = gather.gather_rows(own)
    torch.testing.assert_close(joint, torch.cat([others, own]))
    (joint * torch.arange(21.0).reshape(7, 3)).sum().backward()
    torch.testing.assert_close(own.grad, 2 * torch.arange(15.0, 21.0).reshape(2, 3))


def test_half_precision_is_widened_and_masks_stay_masks(first: Callable[..., None]) -> None:
    first(torch.ones(1, 2))
    assert gather.gather_rows(torch.ones(2, 2, dtype=torch.bfloat16)).dtype == torch.float32
    first(torch.tensor([1, 0], dtype=torch.uint8))
    assert gather.gather_rows(torch.tensor([True])).tolist() == [True, False, True]


def test_a_modality_that_this_process_lacks_comes_from_the_other_and_one_that_both_lack_from_none(
    first: Callable[..., None],
) -> None:
    mask, none = torch.ones(2, dtype=torch.uint8), torch.zeros(2, dtype=torch.uint8)
    rows = torch.randn(2, 4)
    first(mask, none, mask, rows, torch.zeros(0, 4), rows)
    present = {"ecg": torch.tensor([True]), "cmr": torch.tensor([False]), "tabular": torch.tensor([False])}
    own = torch.randn(1, 4)
    z, masks = gather.gather_embeddings({"ecg": own}, present, 4)
    assert set(z) == set(masks) == {"ecg", "tabular"}
    torch.testing.assert_close(z["ecg"], torch.cat([rows, own]))
    torch.testing.assert_close(z["tabular"], rows)
    assert masks["tabular"].tolist() == [True, True, False]


def test_a_shared_value_is_that_of_the_first(first: Callable[..., None]) -> None:
    first(torch.tensor([3, 1, 2]))
    assert gather.same_everywhere(torch.zeros(3, dtype=torch.long)).tolist() == [3, 1, 2]


def test_a_process_that_trains_by_itself_gathers_nothing(first: Callable[..., None]) -> None:
    first()
    rows: Any = torch.randn(2, 2)
    with gather.gathering(joint=False):
        assert gather.gather_rows(rows) is rows
        assert gather.process_count() == 1
    assert gather.process_count() == 2
