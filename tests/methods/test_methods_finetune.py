"""Fine-tuning: what is frozen, how classes are weighted, what is predicted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cardiobind.data import KeyedBatchSampler
from cardiobind.errors import ConfigError, InputError
from cardiobind.methods import Finetune, embed, learn, predict, predict_each
from cardiobind.methods.stages import stages
from cardiobind.models import FUSIONS
from cardiobind.objectives.endpoints import Binary, positive_weight
from cardiobind.training import TrainingSettings, weights_digest

SETTINGS = TrainingSettings(steps=6, batch_size=8, learning_rate=1e-2, accelerator="cpu", round_steps=3)


@pytest.mark.parametrize("fit", ["probe", "partial", "full"])
def test_defect_08_frozen_means_frozen(method, cohort, tmp_path, fit):
    """Weights and running statistics of what is frozen keep every bit; what is not frozen moves."""
    m = method("finetune", fit=fit)
    encoders = {name: tower.encoder for name, tower in m.fusion.towers.items()}
    before = {name: [weights_digest(_state(layer)) for layer in stages(e)] for name, e in encoders.items()}
    data = cohort(size=32)
    learn(m, data, data, SETTINGS, seed=0, work=tmp_path, title=fit)
    trained = {"probe": 0, "partial": 1, "full": 100}[fit]
    for name, encoder in encoders.items():
        after = [weights_digest(_state(layer)) for layer in stages(encoder)]
        moved = [a != b for a, b in zip(before[name], after, strict=True)]
        assert moved == [i >= len(moved) - trained for i in range(len(moved))], name


def _state(layer):
    return {f"{i}.{name}": value for i, m in enumerate(layer) for name, value in m.state_dict().items()}


def test_defect_08_frozen_encoders_stay_in_evaluation_mode(method):
    m = method("finetune", fit="probe")
    assert m.train() is m
    assert m.fusion.training
    assert not any(module.training for t in m.fusion.towers.values() for module in t.encoder.modules())
    partial = method("finetune", fit="partial").train()
    vit = partial.fusion.towers["ecg"].encoder
    assert [block.training for block in vit.blocks] == [False, True]
    assert not vit.patch_embed.training


def test_layers_hold_every_weight_in_order(encoder):
    for modality, count in {"ecg": 3, "cmr": 5, "tabular": 2}.items():
        e = encoder(modality)
        layers = stages(e)
        assert len(layers) == count
        names = [n for n, _ in e.named_parameters()]
        held = [p for layer in layers for m in layer for p in m.parameters()]
        assert {id(p) for p in held} == {id(p) for p in e.parameters()}
        assert len(held) == len(names)


def test_encoders_and_classifier_have_their_own_learning_rates(method):
    m = method("finetune", encoder_rate=0.1, layer_decay=0.5, encoder_weight_decay=0.3)
    rate = {id(p): g["lr"] for g in m.parameter_groups(SETTINGS) for p in g["params"]}
    vit = m.fusion.towers["ecg"].encoder
    assert rate[id(vit.norm.weight)] == pytest.approx(1e-3)
    assert rate[id(vit.blocks[1].attn.qkv.weight)] == pytest.approx(1e-3)
    assert rate[id(vit.blocks[0].attn.qkv.weight)] == pytest.approx(5e-4)
    assert rate[id(vit.patch_embed.proj.weight)] == pytest.approx(2.5e-4)
    assert rate[id(m.fusion.head[0].weight)] == pytest.approx(1e-2)
    assert len(rate) == len(list(m.parameters()))


def test_defect_09_imbalance_is_corrected_once(method):
    """The weighted loss is the loss of a set in which each positive occurs `positive_weight` times."""
    m = Binary(positive_weight=3.0)
    logits, labels = torch.randn(8), torch.tensor([1.0, 0, 0, 0, 0, 0, 0, 1])
    repeated = torch.cat([logits, logits[labels == 1], logits[labels == 1]])
    plain = torch.nn.functional.binary_cross_entropy_with_logits(repeated, torch.cat([labels, torch.ones(4)]))
    assert m.loss(logits, labels).item() == pytest.approx(plain.item(), rel=1e-5)


def test_defect_09_batches_are_never_balanced(method, cohort, tmp_path):
    """Each epoch shows every subject once, whatever the weight: the batches have the natural prevalence."""
    seen = []

    class Watched(cohort):
        def batch(self, indices):
            seen.extend(indices)
            return super().batch(indices)

    m = method("finetune", objective=Binary(positive_weight=9.0))
    settings = TrainingSettings(epochs=3, batch_size=8, accelerator="cpu")
    learn(m, Watched(size=32, prevalence=0.1), None, settings, seed=0, work=tmp_path, title="natural")
    for epoch in range(3):
        assert sorted(seen[32 * epoch : 32 * (epoch + 1)]) == list(range(32))
    assert sorted(KeyedBatchSampler(32, 8, seed=0).order(0)) == list(range(32))


def test_weight_of_positives_balances_the_classes():
    assert positive_weight([1, 0, 0, 0, np.nan]) == 3.0
    for labels in ([1, 1], [0, np.nan], []):
        with pytest.raises(InputError, match="one class"):
            positive_weight(labels)


def test_unknown_labels_do_not_count():
    m = Binary(positive_weight=2.0)
    logits = torch.randn(5, requires_grad=True)
    labels = torch.tensor([1.0, torch.nan, 0.0, torch.nan, 0.0])
    known = labels.isfinite()
    loss = m.loss(logits, labels)
    assert loss.item() == pytest.approx(m.loss(logits[known], labels[known]).item())
    loss.backward()
    assert (logits.grad[~known] == 0).all()
    assert m.loss(logits, torch.full((5,), torch.nan)).item() == 0.0


def test_validation_scores_are_continuous_and_rank_based(method):
    m = method("finetune")
    logit, label = np.array([-3.0, -2.0, -1.0, -0.5, 9.0]), np.array([0, 1, 0, 1, np.nan])
    values = m.summarise({"logit": logit, "label": label})
    assert values["auroc"] == 0.75
    assert values["auprc"] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert np.isnan(m.summarise({"logit": logit, "label": np.zeros(5)})["auroc"])


def test_a_monitor_can_be_chosen(method):
    assert method("finetune").higher_is_better
    m = method("finetune", monitor="loss")
    assert (m.monitor, m.higher_is_better) == ("loss", False)


def test_it_learns_and_predicts_from_any_subset(method, cohort, tmp_path):
    m = method("finetune", modality_dropout=0.3)
    train, test = cohort(size=96), cohort(size=64, seed=1)
    settings = TrainingSettings(epochs=12, batch_size=16, learning_rate=3e-3, accelerator="cpu")
    history = learn(m, train, test, settings, seed=0, work=tmp_path, title="fine-tuning")
    assert history.best_value > 0.85
    known = np.isfinite(test.labels)
    for modalities in (None, ("tabular",), ("ecg", "tabular"), ("cmr",)):
        logits = predict(m, test, modalities, batch_size=10)
        have = np.any([test.present[name] for name in modalities or m.modalities], axis=0)
        assert (np.isfinite(logits) == have).all()
        some = known & have
        positives, negatives = logits[some & (test.labels == 1)], logits[some & (test.labels == 0)]
        assert np.mean(positives[:, None] > negatives) > 0.7


def test_prediction_depends_on_neither_batch_nor_other_modalities(method, cohort):
    m = method("finetune")
    both, alone = cohort(size=20), cohort(size=20)
    alone.signals.pop("cmr"), alone.present.pop("cmr")
    alone.modalities = ("ecg", "tabular")
    expected = predict(m, both, ("ecg", "tabular"), batch_size=20)
    np.testing.assert_allclose(predict(m, alone, batch_size=7), expected, atol=1e-5)
    assert not m.training
    with pytest.raises(InputError, match="predicted from"):
        predict(m, alone, ("cmr",))


def test_crops_are_averaged_in_evaluation(method, cohort):
    m = method("finetune", crop_s=1.0, crops=3).eval()
    data = cohort(size=6, gaps=False)
    batch = data.batch(range(6))
    with torch.no_grad():
        parts = [
            m.fusion(dict(batch.signals) | {"ecg": batch.signals["ecg"][:, :, s : s + 100]}, batch.present)[:, 0]
            for s in (0, 50, 100)
        ]
        torch.testing.assert_close(m.logits(batch)[:, 0], torch.stack(parts).mean(0))
    np.testing.assert_allclose(predict(m, data), torch.stack(parts).mean(0).numpy(), atol=1e-6)


@pytest.mark.parametrize("fusion", sorted(FUSIONS))
def test_several_input_sets_are_scored_as_each_alone_and_each_signal_is_encoded_once(method, cohort, fusion):
    m, data = method("finetune", crop_s=1.0, crops=3, fusion=fusion), cohort(size=20)
    sets = [("ecg",), ("cmr",), ("ecg", "tabular"), ("cmr", "ecg", "tabular")]
    apart = [predict(m, data, chosen, batch_size=8) for chosen in sets]
    counts = dict.fromkeys(m.modalities, 0)
    for name, tower in m.fusion.towers.items():
        tower.encoder.register_forward_hook(
            lambda _, given, __, name=name: counts.update({name: counts[name] + len(given[0])})
        )
    together = predict_each(m, data, sets, batch_size=8)
    for one, other in zip(together, apart, strict=True):
        assert np.isnan(one).any() == np.isnan(other).any()
        np.testing.assert_allclose(one, other, atol=1e-6)
    times = {"ecg": 3, "cmr": 1, "tabular": 1}
    assert counts == {name: times[name] * data.present[name].sum() for name in counts}
    with pytest.raises(InputError, match="predicted from"):
        predict_each(m, data, [("ecg",), ()])


def test_embeddings_are_nan_where_a_modality_is_absent(towers, cohort):
    data = cohort(size=20)
    built = towers()
    found = embed(built, data, batch_size=6)
    for name, values in found.items():
        assert (np.isfinite(values).all(1) == data.present[name]).all()
        with torch.no_grad():
            expected = built[name](torch.from_numpy(data.signals[name][data.present[name]]))
        np.testing.assert_allclose(values[data.present[name]], expected.numpy(), atol=1e-5)


def test_embeddings_and_scores_in_half_precision_are_near_those_in_float32_which_is_the_default(method, towers, cohort):
    data, built, m = cohort(size=8, gaps=False), towers(), method("finetune").eval()
    for name, values in embed(built, data).items():
        assert np.array_equal(values, embed(built, data, precision="32-true")[name])
        half = embed(built, data, precision="bf16-mixed")[name]
        assert not np.array_equal(values, half)
        assert np.linalg.norm(values - half) < 0.03 * np.linalg.norm(values)
    exact = predict(m, data)
    assert np.array_equal(exact, predict(m, data, precision="32-true"))
    np.testing.assert_allclose(predict(m, data, precision="bf16-mixed"), exact, atol=0.1)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"fit": "frozen"}, "fit"),
        ({"monitor": "accuracy"}, "monitor"),
        ({"blocks": 0}, "blocks"),
        ({"crops": 0}, "crops"),
        ({"encoder_rate": 0.0}, "encoder_rate"),
        ({"crop_s": 30.0}, "crop"),
    ],
)
def test_wrong_options_name_the_field(towers, options, field):
    with pytest.raises(ConfigError, match=field):
        Finetune(towers(), **options)


def test_labels_are_required(method, cohort):
    batch = cohort(size=4, gaps=False).batch(range(4))
    with pytest.raises(InputError, match="labels"):
        method("finetune").training_step(type(batch)(batch.rows, batch.signals, batch.present, None))
