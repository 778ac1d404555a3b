"""Promise P7: a subject's score is the same to the bit alone and beside others, in any order and number."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bundles import bundle, subjects

from cardiobind.inference.members import Members, hear, mean_logits

ARCHITECTURES = [
    ({"ecg": "vit"}, "late"),
    ({"ecg": "lead_vit"}, "late"),
    ({"ecg": "xresnet1d"}, "late"),
    ({"ecg": "s4"}, "late"),
    ({"cmr": "resnet"}, "late"),
    ({"tabular": "tabular_mlp"}, "late"),
    ({"tabular": "tabular_transformer"}, "late"),
    ({"ecg": "vit", "cmr": "resnet", "tabular": "tabular_transformer"}, "late"),
    ({"ecg": "vit", "cmr": "resnet", "tabular": "tabular_mlp"}, "dropout"),
    ({"ecg": "vit", "cmr": "resnet", "tabular": "tabular_mlp"}, "token"),
]


@pytest.mark.parametrize(("kinds", "fusion"), ARCHITECTURES)
def test_a_score_does_not_depend_on_who_is_beside(kinds: dict[str, str], fusion: str) -> None:
    predictor, everyone = bundle(kinds, fusion), subjects(list(kinds), 9)
    alone = [predictor.score(one) for one in everyone]
    assert len({one.logit for one in alone}) == len(alone)
    chance = np.random.default_rng(0)
    for _ in range(4):
        chosen = chance.integers(9, size=chance.integers(1, 13))
        assert predictor.score_many([everyone[i] for i in chosen]) == [alone[i] for i in chosen]


def test_nobody_is_scored_where_nobody_is_asked_for() -> None:
    assert bundle({"tabular": "tabular_mlp"}).score_many([]) == []


@pytest.mark.parametrize("fusion", ["late", "dropout", "token"])
def test_what_is_heard_is_what_the_network_says(fusion: str) -> None:
    kinds = {"ecg": "vit", "tabular": "tabular_mlp"}
    predictor = bundle(kinds, fusion, crop_s=None)
    for one in subjects(list(kinds), 4):
        present = {m: torch.tensor([m in one.signals]) for m in kinds}
        with torch.inference_mode():
            heard = hear(predictor.fusion, one.signals, present)
            assert torch.equal(heard.logits[0], predictor.fusion(one.signals, present))
        assert set(heard.held) == set(one.signals)
        assert all(rows.ndim == 2 and len(rows) == 1 for rows in heard.held.values())


def test_several_members_say_the_mean_of_their_logits() -> None:
    kinds = {"ecg": "vit", "tabular": "tabular_mlp"}
    members = [bundle(kinds).fusion for _ in range(3)]
    for seed, member in enumerate(members):
        torch.manual_seed(seed)
        torch.nn.init.normal_(member.head[-1].weight)
    both, (one, *_) = Members(members).eval(), subjects(list(kinds), 1)
    present = {m: torch.tensor([True]) for m in kinds}
    with torch.inference_mode():
        each = torch.stack([member(one.signals, present) for member in members])
        assert len(set(each.flatten().tolist())) == 3
        assert torch.equal(both(one.signals, present), mean_logits(each))
        assert torch.equal(hear(both, one.signals, present).logits, each)
    torch.testing.assert_close(mean_logits(each), each.sum(dim=0) / 3)


def test_an_embedding_is_that_of_the_tower_over_the_crops() -> None:
    kinds = {"ecg": "vit", "tabular": "tabular_mlp"}
    predictor, (one, *_) = bundle(kinds), subjects(list(kinds), 1)
    found = predictor.embed(one)
    towers = predictor.fusion.towers
    assert {m: e.shape for m, e in found.items()} == {m: (towers[m].width,) for m in kinds}
    with torch.inference_mode():
        first, last = (towers["ecg"](one.signals["ecg"][..., part])[0] for part in (slice(0, 200), slice(200, 400)))
    torch.testing.assert_close(torch.from_numpy(found["ecg"]), (first + last) / 2)
