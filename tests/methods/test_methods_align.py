"""Alignment: joint and all pairs, with and without gaps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cardiobind.errors import ConfigError, TrainingError
from cardiobind.methods import AlignAllPairs, AlignJoint, embed, embedding_spread, learn, predict
from cardiobind.methods.predict import restrict
from cardiobind.training import TrainingSettings
from cardiobind.training.engine import concatenate


def slow_clip(a, b, temperature):
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    s = a @ b.T / temperature
    rows = [-s[i, i] + np.log(np.exp(s[i]).sum()) for i in range(len(s))]
    columns = [-s[i, i] + np.log(np.exp(s[:, i]).sum()) for i in range(len(s))]
    return (np.mean(rows) + np.mean(columns)) / 2


def test_joint_is_clip_of_image_and_the_others_side_by_side(method, cohort):
    m = method("align_joint", corruption=0.0, augment_probability=0.0).eval()
    batch = cohort(size=10, gaps=False).batch(range(10))
    with torch.no_grad():
        e = {name: m.towers[name](batch.signals[name]) for name in m.modalities}
        image, others = m.image_head(e["cmr"]), m.head(torch.cat([e["ecg"], e["tabular"]], 1))
    expected = slow_clip(image.double().numpy(), others.double().numpy(), 0.1)
    assert m.training_step(batch).loss.item() == pytest.approx(expected, rel=1e-4)


def test_joint_leaves_out_who_lacks_a_modality(method, cohort):
    m = method("align_joint").eval()
    data = cohort(size=24)
    complete = np.flatnonzero(m.usable(data.present))
    assert 2 < len(complete) < 24
    some, all_ = m.training_step(data.batch(complete)).loss, m.training_step(data.batch(range(24))).loss
    assert some.item() == pytest.approx(all_.item(), rel=1e-4)


def test_all_pairs_uses_everyone_who_has_two(method, cohort):
    m = method("align_all_pairs").eval()
    data = cohort(size=24)
    batch = data.batch(range(24))
    step = m.training_step(batch)
    parts = []
    for a, b in (("ecg", "cmr"), ("ecg", "tabular"), ("cmr", "tabular")):
        both = batch.present[a] & batch.present[b]
        pair = restrict(batch, (a, b), both)
        with torch.no_grad():
            z = [m.heads[n](m.towers[n](m.views.fixed(n, pair.signals[n])[0])).double().numpy() for n in (a, b)]
        parts.append(slow_clip(*z, 0.1))
        assert step.logs[f"loss_{a}~{b}"].item() == pytest.approx(parts[-1], rel=1e-4)
    assert step.loss.item() == pytest.approx(np.mean(parts), rel=1e-4)


def test_a_batch_without_one_modality_or_with_one_only_does_no_harm(method, cohort):
    m = method("align_all_pairs")
    batch = cohort(size=12, gaps=False).batch(range(12))
    none = torch.zeros(12, dtype=torch.bool)
    signals = dict(batch.signals) | {"cmr": batch.signals["cmr"][:0]}
    lacking = type(batch)(batch.rows, signals, dict(batch.present) | {"cmr": none}, None)
    m.training_step(lacking).loss.backward()
    assert m.heads["ecg"][0].weight.grad.abs().sum() > 0
    signals["ecg"] = batch.signals["ecg"][:0]
    alone = type(batch)(batch.rows, signals, {"cmr": none, "ecg": none, "tabular": ~none}, None)
    step = m.training_step(alone)
    assert step.loss.item() == 0.0
    step.loss.backward()
    outputs = m.eval().evaluate_batch(alone)
    assert np.isnan(m.summarise(concatenate([outputs]))["loss"])


def test_recall_is_reported_in_both_directions_over_the_whole_set(method, cohort):
    m = method("align_all_pairs").eval()
    data = cohort(size=24, gaps=False)
    with torch.no_grad():
        outputs = concatenate([m.evaluate_batch(data.batch(range(i, i + 8))) for i in (0, 8, 16)])
    values = m.summarise(outputs)
    a, b = (outputs[n] / np.linalg.norm(outputs[n], axis=1, keepdims=True) for n in ("ecg", "cmr"))
    s = a @ b.T
    for k in (1, 5, 10):
        forward = np.mean([(s[i] >= s[i, i]).sum() <= k for i in range(24)])
        backward = np.mean([(s[:, i] >= s[i, i]).sum() <= k for i in range(24)])
        assert values[f"recall_at_{k}_ecg_to_cmr"] == pytest.approx(forward)
        assert values[f"recall_at_{k}_cmr_to_ecg"] == pytest.approx(backward)


@pytest.mark.slow
def test_alignment_learns_what_the_modalities_share(method, cohort, tmp_path):
    m = method("align_all_pairs", augment_probability=0.0, corruption=0.0)
    data = cohort(size=64)
    settings = TrainingSettings(steps=60, batch_size=32, learning_rate=3e-3, accelerator="cpu", round_steps=20)
    history = learn(m, data, data, settings, seed=0, work=tmp_path, title="align")
    assert history.best_value < history.rows[0]["validation_loss"] - 0.1
    assert history.rows[-1]["validation_recall_at_10_ecg_to_tabular"] > 0.3


@pytest.mark.parametrize("name", ["align_joint", "align_all_pairs"])
def test_validation_does_not_depend_on_the_batches(method, cohort, name):
    m = method(name).eval()
    data = cohort(size=24)
    with torch.no_grad():
        whole = m.summarise(concatenate([m.evaluate_batch(data.batch(range(24)))]))
        parts = m.summarise(concatenate([m.evaluate_batch(data.batch(range(i, i + 6))) for i in (0, 6, 12, 18)]))
    assert parts == pytest.approx(whole, rel=1e-4)


def test_spread_shows_collapse():
    torch.manual_seed(0)
    z = torch.randn(500, 32)
    assert embedding_spread(z).item() == pytest.approx(1.0, abs=0.05)
    collapsed = torch.ones(500, 32) + 1e-4 * z
    assert embedding_spread(collapsed).item() < 1e-3


def test_collapse_is_seen_in_the_logs(method, cohort):
    m = method("align_all_pairs").eval()
    for head in m.heads.values():
        torch.nn.init.zeros_(head[2].weight)
        torch.nn.init.ones_(head[2].bias)
    data = cohort(size=12, gaps=False)
    logs = m.training_step(data.batch(range(12))).logs
    assert all(logs[f"spread_{name}"] < 1e-3 for name in m.modalities)


def test_evaluation_shows_fixed_views_and_training_random_ones(method, cohort):
    m = method("align_joint", crop_s=1.0)
    batch = cohort(size=6, gaps=False).batch(range(6))
    with torch.no_grad():
        assert not torch.equal(m.embed(batch)[1], m.embed(batch)[1])
        m.eval()
        assert torch.equal(m.embed(batch)[1], m.embed(batch)[1])


def test_too_few_towers_are_refused(towers):
    with pytest.raises(ConfigError, match="image"):
        AlignJoint(towers(("ecg", "tabular")))
    with pytest.raises(ConfigError, match="two"):
        AlignAllPairs(towers(("ecg",)))


@pytest.mark.parametrize("name", ["align_joint", "align_all_pairs", "align_gram"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_an_embedding_that_is_not_finite_is_no_absent_one(method, cohort, name, bad):
    aligned = method(name).eval()
    batch = cohort(8).batch(range(8))
    with torch.no_grad():
        next(p for n, p in aligned.named_parameters() if "head" in n).fill_(bad)
    with pytest.raises(TrainingError, match="not finite"):
        aligned.evaluate_batch(batch)


def test_neither_scores_nor_embeddings_may_be_nan_but_for_who_has_nothing(method, cohort):
    subjects = cohort(8)
    finetuned = method("finetune")
    embed(dict(finetuned.fusion.towers.items()), subjects)
    with torch.no_grad():
        next(finetuned.fusion.parameters()).fill_(float("nan"))
    with pytest.raises(TrainingError, match="logits are not finite"):
        predict(finetuned, subjects)
    with pytest.raises(TrainingError, match="embeddings of ecg are not finite"):
        embed(dict(finetuned.fusion.towers.items()), subjects)


@pytest.mark.parametrize("name", ["align_all_pairs", "align_sigmoid", "align_gram"])
def test_the_shared_space_is_what_pairs_are_compared_in(method, cohort, name):
    m = method(name).eval()
    batch = cohort(size=12).batch(range(12))
    with torch.no_grad():
        found, told = m.shared_space(m.features(batch), batch.present), m.embed(batch)
    assert tuple(found) == m.spaces == m.modalities
    for modality, z in found.items():
        here = batch.present[modality]
        assert torch.isnan(z[~here]).all()
        expected = told[modality].double().numpy()
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        assert z[here].numpy() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("gaps", [False, True])
def test_the_shared_space_of_joint_is_the_image_and_the_others(method, cohort, gaps):
    m = method("align_joint", gaps=gaps).eval()
    batch = cohort(size=24).batch(range(24))
    with torch.no_grad():
        found = m.shared_space(m.features(batch), batch.present)
        image, others = (z / z.norm(dim=1, keepdim=True) for z in m.embed(batch))
    assert tuple(found) == m.spaces == ("cmr", "ecg+tabular")
    either = (
        batch.present["ecg"] | batch.present["tabular"] if gaps else batch.present["ecg"] & batch.present["tabular"]
    )
    assert torch.equal(found["cmr"].isfinite().all(1), batch.present["cmr"])
    assert torch.equal(found["ecg+tabular"].isfinite().all(1), either)
    part = batch.present["cmr"] & either
    assert found["cmr"][part].numpy() == pytest.approx(image.numpy(), abs=1e-5)
    assert found["ecg+tabular"][part].numpy() == pytest.approx(others.numpy(), abs=1e-5)
