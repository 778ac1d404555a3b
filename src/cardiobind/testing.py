"""Conformance checks that a plug-in runs on itself: ``check_encoder(MyEncoder, example_spec("ecg"))``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from cardiobind.errors import InputError
from cardiobind.modalities.records import LEADS
from cardiobind.modalities.spec import InputSpec
from cardiobind.models import Fusion, MeanPool, Tower, build_encoder
from cardiobind.models.encoder import Encoder

EncoderFactory = Callable[[InputSpec], Encoder]
Objective = Callable[[Tensor, Tensor], Tensor]
Signals = Mapping[str, Tensor]
FusionFactory = Callable[[Mapping[str, Tower]], Fusion]

SPECS = {
    "ecg": InputSpec("ecg", (12, 200), rate_hz=100.0, names=LEADS),
    "cmr": InputSpec("cmr", (3, 100, 100), names=("ES", "between", "ED")),
    "tabular": InputSpec("tabular", (4, 2), names=("age", "sex", "bmi", "smoking"), cardinalities=(0, 2, 0, 3)),
}


class ContractViolation(AssertionError):
    """A plug-in does not do what its interface promises."""


def example_spec(modality: str) -> InputSpec:
    """Return a small input of a modality, ``"ecg"``, ``"cmr"`` or ``"tabular"``.

    Raises:
        InputError: no such modality.
    """
    if modality not in SPECS:
        raise InputError("no such modality", expected=" | ".join(SPECS), got=modality)
    return SPECS[modality]


def example_batch(inputs: InputSpec, subjects: int, *, seed: int = 0) -> Tensor:
    """Return a random batch (subjects, *inputs.shape) that keeps the rules of its modality."""
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(subjects, *inputs.shape, generator=random)
    if inputs.modality != "tabular":
        return x
    observed = (torch.rand(x.shape[:2], generator=random) < 0.7).float()
    cardinality = torch.tensor(inputs.cardinalities)
    draw = (torch.rand(x.shape[:2], generator=random) * cardinality).floor()
    value = torch.where(cardinality > 0, draw, x[..., 0])
    return torch.stack([value * observed, observed], dim=2)


def check_encoder(factory: EncoderFactory, inputs: InputSpec) -> None:
    """Check that an encoder keeps the interface of `cardiobind.models.Encoder`.

    Tokens are (B, N, width) and finite, also of constant input and of a training batch of one; evaluation is
    deterministic, and a subject's tokens depend neither on its place in the batch nor on the others; a training
    step reaches every parameter; the weights load into a second instance that then computes the same.

    Args:
        factory: builds the encoder for an input, a class or a partial.
        inputs: what to feed it, such as ``example_spec("ecg")``.

    Raises:
        ContractViolation: naming the promise that is broken.
    """
    encoder = factory(inputs)
    x = example_batch(inputs, 4)
    _check_shape(encoder, inputs, x)
    _check_evaluation(encoder, x)
    _check_gradient(factory(inputs), x)
    _check_small_batch(factory(inputs), x)
    _check_weights(encoder, factory(inputs), x)


def check_objective(objective: Objective, *, subjects: int = 6, width: int = 5) -> None:
    """Check that a loss of two batches of embeddings is sound.

    It is a finite scalar, deterministic, the same whatever the order of the subjects, finite with finite gradients for
    collapsed embeddings, and its gradient is the one that finite differences give.

    Args:
        objective: takes two tensors (subjects, width).
        subjects: rows of the tensors.
        width: columns of the tensors.

    Raises:
        ContractViolation: naming the promise that is broken.
    """
    random = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, subjects, width, dtype=torch.float64, generator=random).unbind(0)
    loss = objective(a, b)
    _demand(loss.ndim == 0 and bool(loss.isfinite()), "the loss is a finite scalar", f"{tuple(loss.shape)}")
    _demand(bool(torch.equal(loss, objective(a, b))), "the loss is deterministic")
    for order in (torch.arange(subjects).flip(0), torch.randperm(subjects, generator=random)):
        _demand(bool(torch.isclose(loss, objective(a[order], b[order]))), "the loss ignores the order of the subjects")
    _check_collapse(objective, torch.ones(subjects, width, dtype=torch.float64))
    _check_finite_difference(objective, a, b)


def check_fusion(factory: FusionFactory) -> None:
    """Check that a fusion keeps the interface of `cardiobind.models.Fusion`.

    Its logits are (B, outputs) and finite for every subset of the modalities, the same for a subject alone and among
    others, whether an absent modality is named or not, and for one who lacks a modality as for one from whom it is
    hidden; each modality that is there counts, and a training step reaches every parameter.

    Args:
        factory: builds the fusion around towers of ``ecg`` and ``tabular``, without modality dropout.

    Raises:
        ContractViolation: naming the promise that is broken.
    """
    kinds = {"ecg": "resnet1d", "tabular": "tabular_mlp"}
    towers = {m: Tower(build_encoder(kind, example_spec(m)), MeanPool()) for m, kind in kinds.items()}
    fusion = factory(towers)
    present = {"ecg": torch.tensor([True, True, False, True]), "tabular": torch.tensor([True, False, True, True])}
    signals = {m: example_batch(example_spec(m), 4)[present[m]] for m in kinds}
    _check_fusion_gradient(fusion, signals, present)
    fusion.eval()
    with torch.no_grad():
        _check_subsets(fusion, signals, present)
        _check_hiding(fusion, signals, present)


def _demand(kept: bool, promise: str, got: str = "") -> None:
    if not kept:
        raise ContractViolation(f"broken promise: {promise}" + (f"; got {got}" if got else ""))


def _evaluate(encoder: Encoder, x: Tensor) -> Tensor:
    encoder.eval()
    with torch.no_grad():
        tokens: Tensor = encoder(x)
    return tokens


def _close(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool(torch.allclose(a, b, rtol=1e-4, atol=1e-4))


def _check_shape(encoder: Encoder, inputs: InputSpec, x: Tensor) -> None:
    _demand(encoder.inputs == inputs, "`inputs` is the spec it was built for", repr(encoder.inputs))
    tokens = _evaluate(encoder, x)
    fits = tokens.ndim == 3 and tokens.shape[0] == len(x) and tokens.shape[2] == encoder.width
    _demand(fits, f"tokens are ({len(x)}, N, {encoder.width})", str(tuple(tokens.shape)))
    _demand(bool(tokens.isfinite().all()), "tokens are finite")
    _demand(bool(_evaluate(encoder, torch.zeros_like(x)).isfinite().all()), "tokens of constant input are finite")


def _check_evaluation(encoder: Encoder, x: Tensor) -> None:
    tokens = _evaluate(encoder, x)
    _demand(bool(torch.equal(tokens, _evaluate(encoder, x))), "evaluation is deterministic")
    order = torch.arange(len(x)).roll(1)
    _demand(_close(tokens[order], _evaluate(encoder, x[order])), "tokens follow the order of the batch")
    _demand(_close(tokens[:1], _evaluate(encoder, x[:1])), "a subject's tokens do not depend on the others")


def _check_gradient(encoder: Encoder, x: Tensor) -> None:
    encoder.train()
    tokens = encoder(x)
    random = torch.Generator().manual_seed(1)
    (tokens * torch.randn(tokens.shape, generator=random)).sum().backward()
    for name, parameter in encoder.named_parameters():
        reached = parameter.grad is not None and bool((parameter.grad != 0).any())
        _demand(reached, f"a training step reaches the parameter {name}")
        finite = parameter.grad is not None and bool(parameter.grad.isfinite().all())
        _demand(finite, f"the gradient of {name} is finite")


def _check_small_batch(encoder: Encoder, x: Tensor) -> None:
    encoder.train()
    _demand(bool(encoder(x[:1]).isfinite().all()), "a training batch of one subject gives finite tokens")


def _check_weights(encoder: Encoder, other: Encoder, x: Tensor) -> None:
    other.load_state_dict(encoder.state_dict(), strict=True)
    _demand(_close(_evaluate(encoder, x), _evaluate(other, x)), "the weights hold all that evaluation depends on")


def _check_collapse(objective: Objective, same: Tensor) -> None:
    a, b = same.clone().requires_grad_(), same.clone().requires_grad_()
    loss = objective(a, b)
    gradients = torch.autograd.grad(loss, (a, b), allow_unused=True)
    finite = all(g is None or bool(g.isfinite().all()) for g in gradients)
    _demand(bool(loss.isfinite()) and finite, "the loss and its gradient are finite for collapsed embeddings")


def _check_finite_difference(objective: Objective, a: Tensor, b: Tensor, step: float = 1e-6) -> None:
    a, b = a.clone().requires_grad_(), b.clone().requires_grad_()
    gradients = torch.autograd.grad(objective(a, b), (a, b), allow_unused=True)
    for position, (point, gradient) in enumerate(zip((a, b), gradients, strict=True)):
        analytic = torch.zeros_like(point) if gradient is None else gradient
        numeric = torch.empty_like(analytic)
        for index in range(point.numel()):
            shift = torch.zeros_like(analytic)
            shift.view(-1)[index] = step
            up, down = (
                (a.detach() + s, b.detach()) if position == 0 else (a.detach(), b.detach() + s) for s in (shift, -shift)
            )
            numeric.view(-1)[index] = (objective(*up) - objective(*down)) / (2 * step)
        _demand(bool(torch.allclose(analytic, numeric, rtol=1e-5, atol=1e-7)), "the gradient is the finite difference")


def _of(subject: int, signals: Signals, present: Signals, without: str = "") -> tuple[Signals, Signals]:
    rows = {m: torch.arange(len(p)) == subject for m, p in present.items() if m != without}
    held = {m: x[rows[m][present[m]]] for m, x in signals.items() if m != without}
    return held, {m: present[m][subject : subject + 1] for m in rows}


def _check_fusion_gradient(fusion: Fusion, signals: Signals, present: Signals) -> None:
    fusion.train()
    logits = fusion(signals, present)
    _demand(logits.ndim == 2 and len(logits) == 4, "logits are (4, outputs)", str(tuple(logits.shape)))
    random = torch.Generator().manual_seed(1)
    (logits * torch.randn(logits.shape, generator=random)).sum().backward()
    for name, parameter in fusion.named_parameters():
        reached = parameter.grad is not None and bool(parameter.grad.isfinite().all())
        _demand(reached, f"a training step reaches the parameter {name} with a finite gradient")


def _check_subsets(fusion: Fusion, signals: Signals, present: Signals) -> None:
    logits = fusion(signals, present)
    _demand(bool(logits.isfinite().all()), "logits are finite for every subset of the modalities")
    for subject in range(4):
        alone = fusion(*_of(subject, signals, present))
        _demand(_close(logits[subject : subject + 1], alone), "a subject is scored alone as among others")
    named = fusion(*_of(1, signals, present))
    _demand(_close(named, fusion(*_of(1, signals, present, without="tabular"))), "an absent modality may go unnamed")
    for modality in signals:
        other = {**signals, modality: signals[modality].flip(0)}
        _demand(not _close(fusion(other, present), logits), f"what {modality} says counts")


def _check_hiding(fusion: Fusion, signals: Signals, present: Signals) -> None:
    """Hide the table in training mode, with the towers in evaluation mode, and compare with one who has none."""
    lacking = fusion(*_of(0, signals, present, without="tabular"))
    shown = torch.tensor([[name != "tabular" for name in fusion.towers]])
    held = fusion.embed(*_of(0, signals, present))
    _demand(_close(fusion.head(fusion.join(held, torch.ones_like(shown), shown)), lacking), "hidden is not there")
