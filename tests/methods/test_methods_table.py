"""Learning from tables without labels: what is hidden, what is predicted, what SCARF draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cardiobind.data import Batch
from cardiobind.errors import ConfigError
from cardiobind.methods import MaskedTable
from cardiobind.methods.views import corrupt_table
from cardiobind.modalities.spec import InputSpec
from cardiobind.models import build_encoder
from cardiobind.objectives import nt_xent
from cardiobind.testing import example_batch, example_spec
from cardiobind.training import TrainingSettings
from cardiobind.training.optimiser import build_optimiser

SPEC = InputSpec("tabular", (5, 2), cardinalities=(0, 2, 0, 3, 0))
KINDS = {
    "tabular_transformer": {"width": 16, "depth": 1, "heads": 2},
    "tabular_mlp": {"width": 16},
}


def build(kind="tabular_transformer", spec=SPEC, **options):
    torch.manual_seed(0)
    return MaskedTable(build_encoder(kind, spec, **KINDS[kind]), **options)


def batch_of(x):
    return Batch(torch.arange(len(x)), {"tabular": x}, {"tabular": torch.ones(len(x), dtype=torch.bool)})


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_the_mean_over_hidden_observed_entries(kind):
    """Against a loop over the entries, each predicted through the readout of its own feature."""
    method, x = build(kind).eval(), example_batch(SPEC, 9)
    torch.manual_seed(5)
    loss = float(method.training_step(batch_of(x)).loss.detach())
    torch.manual_seed(5)
    shown, hidden = method.hide(x)
    encoder, decoder = method.tower.encoder, method.decoder
    tokens = encoder(shown)
    first, terms = np.concatenate([[0], np.cumsum([max(k, 1) for k in SPEC.cardinalities])]), []
    for b in range(9):
        for j, k in enumerate(SPEC.cardinalities):
            if not hidden[b, j]:
                continue
            assert float(x[b, j, 1]) == 1.0
            assert shown[b, j].tolist() == [0.0, 0.0]
            token = tokens[b, 1 + j] if kind == "tabular_transformer" else tokens[b].mean(0)
            vector = torch.nn.functional.gelu(decoder.mix(token))
            rows = slice(int(first[j]), int(first[j + 1]))
            said = decoder.readout[rows] @ vector + decoder.bias[rows]
            value = float(x[b, j, 0])
            chosen = -torch.log_softmax(said, 0)[int(value)] if k else (said[0] - value) ** 2
            terms.append(float(chosen.detach()))
    assert loss == pytest.approx(np.mean(terms), rel=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_missing_entries_teach_nothing_and_are_never_predicted(kind):
    method = build(kind).train()
    nothing = torch.zeros(6, 5, 2)
    step = method.training_step(batch_of(nothing))
    step.loss.backward()
    assert float(step.loss) == 0.0
    assert all(p.grad is None or not bool(p.grad.any()) for p in method.parameters())
    errors = method.errors(nothing)
    assert int(errors.numbers.sum()) == int(errors.categories.sum()) == 0
    x = example_batch(SPEC, 6)
    other = torch.where(x[..., 1:] == 0, torch.tensor([1.0, 0.0]), x)
    losses = []
    for table in (x, other):
        torch.manual_seed(1)
        losses.append(float(method.eval().training_step(batch_of(table)).loss.detach()))
    assert losses[0] == losses[1]


def test_entries_are_hidden_at_the_rate():
    method, x = build(mask_ratio=0.3), example_batch(SPEC, 4000)
    _, hidden = method.hide(x)
    observed = x[..., 1] != 0
    assert not bool((hidden & ~observed).any())
    assert float(hidden[observed].float().mean()) == pytest.approx(0.3, abs=0.01)


def test_a_column_that_follows_from_others_is_learnt():
    """Chance is 1 for a z-score and ln 2 for a fair coin."""
    spec = InputSpec("tabular", (5, 2), cardinalities=(0, 0, 0, 0, 2))
    torch.manual_seed(0)
    state = torch.randn(256, 1)
    values = torch.cat([state + 0.2 * torch.randn(256, 4), (state > 0).float()], dim=1)
    x = torch.stack([values, torch.ones_like(values)], dim=2)
    method = build(spec=spec, mask_ratio=0.3)
    settings = TrainingSettings(steps=120, learning_rate=1e-2, accelerator="cpu")
    optimiser = build_optimiser(method.parameter_groups(settings), settings)
    for _ in range(120):
        optimiser.zero_grad()
        method.training_step(batch_of(x)).loss.backward()
        optimiser.step()
    scores = method.summarise({name: v.detach().numpy() for name, v in method.evaluate_batch(batch_of(x)).items()})
    assert scores["squared_error"] < 0.3
    assert scores["accuracy"] > 0.85


def test_with_a_weight_it_contrasts_as_scarf_does():
    method, x = build(reconstruction_weight=0.7, contrastive_weight=0.3).eval(), example_batch(SPEC, 8)
    torch.manual_seed(2)
    step = method.training_step(batch_of(x))
    torch.manual_seed(2)
    errors = method.errors(x)
    z1, z2 = method.contrast(x)
    mean = (errors.squared + errors.entropy).sum() / (errors.numbers + errors.categories).sum()
    assert float(step.loss) == pytest.approx(float(0.7 * mean + 0.3 * nt_xent(z1, z2, 0.1)), rel=1e-5)
    assert set(step.parts) == {"reconstruction", "contrast"}
    assert build().head is None


def test_a_validation_set_without_a_category_or_without_anything():
    numbers = build(spec=InputSpec("tabular", (2, 2), cardinalities=(0, 0)))
    outputs = {n: v.detach().numpy() for n, v in numbers.evaluate_batch(batch_of(torch.ones(8, 2, 2))).items()}
    assert set(numbers.summarise(outputs)) == {"loss", "squared_error"}
    outputs = {n: v.detach().numpy() for n, v in numbers.evaluate_batch(batch_of(torch.zeros(8, 2, 2))).items()}
    assert np.isnan(numbers.summarise(outputs)["loss"])


@pytest.mark.parametrize(
    "options", [{"mask_ratio": 0.0}, {"mask_ratio": 1.0}, {"reconstruction_weight": 0.0}, {"contrastive_weight": -1.0}]
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ConfigError):
        build(**options)


def test_other_modalities_are_refused():
    with pytest.raises(ConfigError, match="masked_table"):
        MaskedTable(build_encoder("resnet1d", example_spec("ecg")))


def test_scarf_draws_from_each_columns_marginal():
    """SCARF (Bahri et al. 2022, algorithm 1): with probability p an entry becomes a uniform draw of its column.

    Of a batch of B the subject itself is among the donors, as it is in the training set's marginal; there with
    probability 1 / n, here with 1 / B. So P(entry of i becomes that of k) = p / B + (1 - p) [i = k], compared with a
    slow version that follows the definition entry by entry, and with the closed form.
    """
    torch.manual_seed(0)
    subjects, columns, p = 4, 20_000, 0.3
    x = torch.stack([torch.arange(4.0)[:, None].expand(-1, columns), torch.ones(4, columns)], dim=2)
    got = corrupt_table(x, p)[..., 0].long().numpy()
    generator = np.random.default_rng(0)
    slow = np.array(
        [[i if generator.random() >= p else generator.integers(4) for i in range(4)] for _ in range(20_000)]
    ).T
    for i in range(subjects):
        for k in range(subjects):
            expected = p / 4 + (1 - p) * (i == k)
            assert np.mean(got[i] == k) == pytest.approx(expected, abs=0.015)
            assert np.mean(slow[i] == k) == pytest.approx(expected, abs=0.015)


def test_scarf_draws_columns_apart_and_values_with_their_flags():
    torch.manual_seed(0)
    x = example_batch(SPEC, 64)
    x[:, 0, 0] = torch.arange(64.0) * x[:, 0, 1]
    seen = corrupt_table(x, 1.0)
    for j in range(5):
        pairs = {tuple(pair) for pair in x[:, j].tolist()}
        assert {tuple(pair) for pair in seen[:, j].tolist()} <= pairs
    whole = {tuple(row.flatten().tolist()) for row in x}
    kept = sum(tuple(row.flatten().tolist()) in whole for row in seen)
    assert kept < 16
    assert torch.equal(corrupt_table(x, 0.0), x)
    assert torch.equal(corrupt_table(x[:1], 1.0), x[:1])
