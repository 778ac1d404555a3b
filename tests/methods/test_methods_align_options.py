"""What all ways of alignment can be told: temperature, weights, chunks, false negatives, gaps, phenotypes; collapse."""

from __future__ import annotations

import logging
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from cardiobind.config import parse_experiment
from cardiobind.errors import ConfigError, InputError
from cardiobind.methods import METHODS, AlignAllPairs, AlignJoint, AlignSymile, learn
from cardiobind.methods.align import cached
from cardiobind.objectives import gram, info_nce, pairwise_sigmoid, symile
from cardiobind.training import TrainingSettings
from cardiobind.training.engine import concatenate

MANY = ("align_gram", "align_sigmoid", "align_symile")


def embeddings(m, batch):
    with torch.no_grad():
        found = m.embed(batch)
    complete = torch.stack([batch.present[n] for n in m.modalities]).all(0)
    return found, [found[n][complete[batch.present[n]]] for n in m.modalities]


def test_the_methods_take_their_losses_from_the_objectives(method, cohort):
    batch = cohort(size=16, gaps=False).batch(range(16))
    m = method("align_gram").eval()
    assert m.training_step(batch).loss.item() == pytest.approx(gram(embeddings(m, batch)[1]).item(), rel=1e-5)
    m = method("align_sigmoid").eval()
    a, b, c = embeddings(m, batch)[1]
    expected = sum(pairwise_sigmoid(x, y).item() for x, y in ((a, b), (a, c), (b, c))) / 3
    assert m.training_step(batch).loss.item() == pytest.approx(expected, rel=1e-5)
    m = method("align_symile").train()
    m.views = replace(m.views, ecg=None, cmr=None, corruption=0.0)
    m.towers.eval()
    z = embeddings(m, batch)[1]
    torch.manual_seed(7)
    orders = torch.stack([torch.randperm(16) for _ in z])
    torch.manual_seed(7)
    assert m.training_step(batch).loss.item() == pytest.approx(symile(z, orders=orders).item(), rel=1e-5)


@pytest.mark.parametrize("name", MANY)
def test_subjects_with_two_modalities_take_part(method, cohort, name):
    m = method(name).eval()
    batch = cohort(size=24).batch(range(24))
    step = m.training_step(batch)
    assert {"loss_ecg~tabular", "loss_cmr~tabular"} <= set(step.logs)
    assert ("loss_ecg~cmr~tabular" in step.logs) == (name != "align_sigmoid")


@pytest.mark.parametrize("name", MANY)
def test_validation_does_not_depend_on_the_batches(method, cohort, name):
    m = method(name).eval()
    data = cohort(size=24)
    with torch.no_grad():
        whole = m.summarise(concatenate([m.evaluate_batch(data.batch(range(24)))]))
        parts = m.summarise(concatenate([m.evaluate_batch(data.batch(range(i, i + 6))) for i in (0, 6, 12, 18)]))
    assert parts == pytest.approx(whole, rel=1e-3, abs=1e-5)


def test_a_learnt_temperature_moves_and_stays_in_bounds(method, cohort):
    m = method("align_all_pairs", learn_temperature=True)
    batch = cohort(size=12).batch(range(12))
    step = m.training_step(batch)
    step.loss.backward()
    assert step.logs["temperature"].item() == pytest.approx(0.1)
    assert m.sharpness.log_inverse.grad.abs() > 0
    for far, bound in ((50.0, 0.01), (-50.0, 1.0)):
        m.sharpness.log_inverse.data.fill_(far)
        step = m.training_step(batch)
        assert step.logs["temperature"].item() == pytest.approx(bound)
        m.zero_grad()
        step.loss.backward()
        assert m.sharpness.log_inverse.grad.abs() > 0, "it finds its way back"


def test_the_gradient_of_the_temperature_is_the_finite_difference():
    torch.manual_seed(0)
    a, b = torch.randn(2, 6, 4, dtype=torch.float64)
    s = torch.tensor(-math.log(0.2), dtype=torch.float64, requires_grad=True)
    info_nce(a, b, (-s).exp()).backward()
    up, down = (float(info_nce(a, b, math.exp(-(s.item() + h)))) for h in (1e-6, -1e-6))
    assert s.grad.item() == pytest.approx((up - down) / 2e-6, rel=1e-5)


def test_a_fixed_temperature_has_no_weights(method):
    assert not [n for n, _ in method("align_all_pairs").named_parameters() if "sharpness" in n]
    assert method("align_all_pairs", temperature=0.3).temperature == 0.3
    for bad in ({"temperature": 0.0}, {"temperature": 2.0, "learn_temperature": True}):
        with pytest.raises(ConfigError, match="temperature"):
            method("align_all_pairs", **bad)


def test_weights_of_pairs_come_from_toml(method, cohort, tmp_path):
    tree = {
        "name": "x", "title": "x", "source": {"kind": "simulated"}, "protocol": {"task": "mi"},
        "ecg": {"encoder": {"kind": "vit"}}, "cmr": {"encoder": {"kind": "vit"}}, "finetune": {"steps": 1},
        "arms": [{"name": "a"}], "evaluation": {"inputs": ["ecg"]},
        "align": {"method": {"kind": "align_all_pairs"}, "training": {"steps": 1}},
    }  # fmt: skip
    word = 'align.method.options.pair_weights={ "cmr~ecg" = 2.0, "ecg~tabular" = 0.0 }'
    chosen = parse_experiment(tree, [word]).align.method.options["pair_weights"]
    m = method("align_all_pairs", pair_weights=chosen).eval()
    step = m.training_step(cohort(size=24).batch(range(24)))
    assert "loss_ecg~tabular" not in step.logs
    expected = (2.0 * step.logs["loss_ecg~cmr"] + step.logs["loss_cmr~tabular"]) / 3.0
    assert step.loss.item() == pytest.approx(expected.item(), rel=1e-6)
    with pytest.raises(InputError, match="pairs"):
        method("align_all_pairs", pair_weights={"ecg~eeg": 1.0})
    with pytest.raises(ConfigError, match="no pair"):
        method("align_all_pairs", pair_weights={"ecg~cmr": 0, "ecg~tabular": 0, "cmr~tabular": 0})


@pytest.mark.parametrize("kind", ["align_all_pairs", "align_sigmoid", "align_gram", "align_symile"])
def test_validation_of_pairs_that_weigh_nothing_chooses_nothing(method, cohort, kind):
    m = method(kind, pair_weights={"ecg~tabular": 0.0}).eval()
    outputs = concatenate([m.evaluate_batch(cohort(size=24).batch(range(24)))])
    outputs["cmr"][:] = np.nan
    assert math.isnan(m.summarise(outputs)["loss"])


def gradients(m, batch):
    """Return loss and gradients in double precision behind views drawn in single precision."""
    torch.manual_seed(1)
    show = type(m).show
    m.double().show = lambda name, x: show(m, name, x).double()
    m.zero_grad()
    loss = m.training_step(batch).loss
    loss.backward()
    return loss.item(), {n: p.grad.clone() for n, p in m.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("name", ["align_all_pairs", "align_joint", *MANY])
def test_chunks_give_the_gradients_of_the_whole_batch(method, cohort, name):
    """Augmentation and corruption at work: the views are drawn before the batch is cut."""
    batch = cohort(size=14, gaps=False).batch(range(14))
    found = []
    for chunk in (None, 4):
        m = method(name, chunk=chunk)
        for block in m.towers["ecg"].encoder.blocks:
            block.drop_path.rate = 0.0
        found.append(gradients(m, batch))
    (whole, direct), (cut, cached_) = found
    assert cut == pytest.approx(whole, rel=1e-9)
    for parameter, gradient in direct.items():
        torch.testing.assert_close(cached_[parameter], gradient, rtol=1e-6, atol=1e-9, msg=parameter)


def test_the_second_pass_draws_what_the_first_drew(method, cohort, monkeypatch):
    batch = cohort(size=14, gaps=False).batch(range(14))
    m = method("align_all_pairs", chunk=4)
    assert m.towers["ecg"].encoder.blocks[-1].drop_path.rate > 0
    twice, replayed = gradients(m, batch)
    monkeypatch.setattr(cached, "checkpoint", lambda network, part, use_reentrant: network(part))
    once, kept = gradients(m, batch)
    assert twice == pytest.approx(once, rel=1e-9)
    for parameter, gradient in kept.items():
        torch.testing.assert_close(replayed[parameter], gradient, rtol=1e-6, atol=1e-9, msg=parameter)


def test_chunks_go_with_mixed_precision(method, cohort):
    batch = cohort(size=14, gaps=False).batch(range(14))
    found = []
    for chunk in (None, 4):
        m = method("align_all_pairs", chunk=chunk, augment_probability=0.0, corruption=0.0)
        m.towers["ecg"].eval()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = m.training_step(batch).loss
        assert loss.dtype is torch.float32
        loss.backward()
        found.append([loss.item(), m.towers["ecg"].encoder.patch_embed.proj.weight.grad])
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-2)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=0.1, atol=0.02)


def test_a_chunk_keeps_only_its_own_activations_for_the_backward_pass():
    kept = []
    network = torch.nn.Sequential(*[torch.nn.Linear(8, 8), torch.nn.GELU()] * 6)
    x = torch.randn(64, 8)
    for chunk in (None, 8):
        bytes_ = 0

        def pack(t):
            nonlocal bytes_
            bytes_ += t.numel()
            return t

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            cached.in_chunks(network, x, chunk)
        kept.append(bytes_)
    assert kept[1] < kept[0] / 4


def test_batch_norm_is_never_cut(method, towers):
    assert method("align_all_pairs", chunk=4).chunks == {"ecg": 4, "cmr": None, "tabular": None}
    for bad in (0, -1):
        with pytest.raises(ConfigError, match="chunk"):
            method("align_all_pairs", chunk=bad)
    with pytest.raises(ConfigError, match="batch norm"):
        AlignAllPairs(towers(("cmr", "tabular")), chunk=4)


@pytest.mark.parametrize("by", ["tabular", "embeddings"])
@pytest.mark.parametrize("name", ["align_joint", "align_all_pairs", *MANY])
def test_a_subject_that_is_there_twice_is_no_negative_of_itself(method, cohort, monkeypatch, name, by):
    monkeypatch.setattr(
        AlignSymile, "_orders", lambda self, z: None
    )  # all combinations, those with the twin among them
    places = [0, 0, *range(1, 12)]
    batch = cohort(size=12, gaps=False).batch(places)
    m = method(name, alike_above=0.999, alike_by=by).eval()
    found = m.embed(batch)
    z = found if isinstance(found, dict) else dict(zip(("image", "others"), found, strict=True))
    everyone = {n: torch.ones(13, dtype=torch.bool) for n in z}
    alike = m.alike(batch, z, everyone)
    assert alike[0, 1]
    assert int(alike.sum()) == 15
    plain = method(name).eval()
    assert m.training_step(batch).loss < plain.training_step(batch).loss


def test_impossible_comparisons_are_refused(towers, method):
    with pytest.raises(ConfigError, match="cosine"):
        method("align_all_pairs", alike_above=1.5)
    with pytest.raises(ConfigError, match="comparison"):
        method("align_all_pairs", alike_above=0.9, alike_by="age")
    with pytest.raises(ConfigError, match="table"):
        AlignAllPairs(towers(("ecg", "cmr")), alike_above=0.9)


def test_the_joint_tower_takes_who_lacks_ecg_or_table(method, cohort):
    m = method("align_joint", gaps=True).eval()
    data = cohort(size=40)
    data.present["tabular"][::3] = False
    usable = m.usable(data.present)
    assert usable.sum() > method("align_joint").usable(data.present).sum()
    assert (usable == (data.present["cmr"] & (data.present["ecg"] | data.present["tabular"]))).all()
    batch = data.batch(range(40))
    image, _ = m.embed(batch)
    assert len(image) == usable.sum()
    step = m.training_step(batch)
    step.loss.backward()
    assert all(token.grad.abs().sum() > 0 for token in m.absent.values())
    only = data.batch(np.flatnonzero(usable & ~data.present["ecg"]))
    assert len(only.signals["ecg"]) == 0
    with torch.no_grad():
        others = m.embed(only)[1]
        table = m.towers["tabular"](only.signals["tabular"])
        expected = m.head(torch.cat([m.absent["ecg"].expand(len(table), -1), table], 1))
    torch.testing.assert_close(others, expected)


def test_modality_dropout_hides_one_but_never_both(method, cohort):
    m = method("align_joint", modality_dropout=0.6)
    have = torch.ones(400, 2, dtype=torch.bool)
    have[:50, 0] = False
    torch.manual_seed(0)
    shown = m._keep(have)
    assert shown.any(dim=1).all()
    assert not (shown & ~have).any()
    assert 0.2 < 1 - shown[50:].float().mean() < 0.5
    assert torch.equal(m.eval()._keep(have), have)
    with pytest.raises(ConfigError, match="dropout"):
        method("align_joint", modality_dropout=1.0)
    assert not method("align_joint").absent


def test_phenotypes_are_learnt_where_they_are_known(method, cohort):
    m = method("align_all_pairs", phenotypes=("lvef_percent", "lv_mass_g"), phenotype_weight=0.5).eval()
    data = cohort(size=24)
    batch = data.batch(range(24))
    labels = torch.randn(24, 2)
    labels[::2, 0] = torch.nan
    labels[5:, 1] = torch.nan
    step = m.training_step(replace(batch, labels=labels))
    with torch.no_grad():
        z = m.features(batch)
        errors = []
        for name in m.modalities:
            guess, truth = m.phenotypes.heads[name](z[name]), labels[batch.present[name]]
            known = truth.isfinite()
            errors.append((guess - truth)[known].square().mean())
    assert step.loss.item() == pytest.approx((step.logs["loss_contrast"] + 0.5 * torch.stack(errors).mean()).item())
    step.loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in m.parameters())
    assert m.phenotypes.heads["cmr"].weight.grad.abs().sum() > 0
    nothing = m.training_step(replace(batch, labels=torch.full((24, 2), torch.nan)))
    assert "loss_contrast" not in nothing.logs
    for wrong in (None, torch.randn(24), torch.randn(24, 3)):
        with pytest.raises(InputError, match="phenotypes"):
            m.training_step(replace(batch, labels=wrong))


def test_what_is_explained_of_a_phenotype_is_reported(method, cohort):
    m = method("align_all_pairs", phenotypes=("lvef_percent",)).eval()
    data = cohort(size=24)
    with torch.no_grad():
        outputs = concatenate([m.evaluate_batch(data.batch(range(i, i + 8))) for i in (0, 8, 16)])
        guess = m.phenotypes.heads["ecg"](m.features(data.batch(range(24)))["ecg"])[:, 0].numpy()
    truth = data.labels[data.present["ecg"]]
    known = np.isfinite(truth)
    expected = 1 - ((guess - truth)[known] ** 2).mean() / truth[known].var()
    assert m.summarise(outputs)["explained_ecg"] == pytest.approx(expected, rel=1e-4)
    outputs["phenotypes"][:] = np.nan
    assert "explained_ecg" not in m.summarise(outputs)


@pytest.mark.parametrize("name", ["align_joint", "align_all_pairs"])
def test_a_constructed_collapse_is_warned_of_and_written_down(method, cohort, tmp_path, caplog, name):
    m = method(name, projection=16)
    heads = [m.image_head, m.head] if isinstance(m, AlignJoint) else list(m.heads.values())
    for head in heads:
        torch.nn.init.zeros_(head[2].weight)
        torch.nn.init.ones_(head[2].bias)
    data = cohort(size=32, gaps=False)
    settings = TrainingSettings(steps=1, batch_size=16, accelerator="cpu", round_steps=1, learning_rate=1e-12)
    with caplog.at_level(logging.WARNING, logger="cardiobind"):
        history = learn(m, data, data, settings, seed=0, work=tmp_path, title="align")
    assert history.rows[0]["validation_collapsed"] == len(heads)
    assert "collapsed" in caplog.text
    first = "image" if name == "align_joint" else "ecg"
    assert history.rows[0][f"validation_effective_rank_{first}"] < 1.5
    assert history.rows[0][f"validation_uniformity_{first}"] > -0.01


def test_rank_one_embeddings_are_warned_of(method, cohort, caplog):
    m = method("align_all_pairs", projection=16).eval()
    data = cohort(size=32, gaps=False)
    outputs = {n: np.random.default_rng(0).normal(size=(32, 1)) * np.ones((1, 16)) for n in m.modalities}
    outputs["ecg"] = np.random.default_rng(1).normal(size=(32, 16))
    with caplog.at_level(logging.WARNING, logger="cardiobind"):
        values = m.summarise({n: z.astype(np.float32) for n, z in outputs.items()})
    assert values["collapsed"] == 2.0
    assert "cmr, tabular" in caplog.text
    assert len(data) == 32


def test_every_alignment_shows_its_options():
    """An option that is not in the signature could not be checked before any work is done."""
    import inspect

    for name in METHODS:
        if name.startswith("align"):
            parameters = inspect.signature(METHODS.get(name)).parameters.values()
            assert all(p.kind is not p.VAR_KEYWORD for p in parameters), name
