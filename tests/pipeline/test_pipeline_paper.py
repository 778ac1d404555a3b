"""paper.toml is the paper: every number of shared/RECIPES.md, section 1, and networks of full size that learn."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from cardiobind.config import Experiment, resolved
from cardiobind.data import Batch
from cardiobind.methods import Finetune
from cardiobind.methods.augment_ecg import SMALLEST_SCALE
from cardiobind.modalities.features.presets import preset
from cardiobind.modalities.spec import InputSpec
from cardiobind.models import parameter_count
from cardiobind.objectives.endpoints import ENDPOINTS
from cardiobind.objectives.endpoints.base import positive_weight
from cardiobind.pipeline import load
from cardiobind.pipeline.components import build_towers, training_settings
from cardiobind.pipeline.pretrain import build_method
from cardiobind.training import TrainingSettings, learning_rate_factor
from cardiobind.training.optimiser import build_optimiser

PAPER = load("paper")

ECG, CMR, TABLE = "ecg.encoder.options.", "cmr.encoder.options.", "tabular.encoder.options."
MAE, MAE_FIT = "ecg.pretrain.method.options.", "ecg.pretrain.training."
SIMCLR, ALIGN, ALIGN_FIT = "cmr.pretrain.method.options.", "align.method.options.", "align.training."
ARM = "arms.0.options."
STATED: dict[str, tuple[str, Any]] = {
    "ECG at 500 Hz": ("ecg.rate_hz", 500),
    "ECG of 10 s": ("ecg.duration_s", 10.0),
    "clip at 4 SD of the record": ("ecg.clip_sd", 4.0),
    "baseline lambda": ("ecg.baseline_lambda", 1e7),
    "baseline p": ("ecg.baseline_asymmetry", 0.3),
    "baseline iterations": ("ecg.baseline_iterations", 5),
    "ECG encoder": ("ecg.encoder.kind", "vit"),
    "patch of 1 lead x 100 samples": (ECG + "patch", [1, 100]),
    "width of the ViT": (ECG + "width", 384),
    "depth of the ViT": (ECG + "depth", 3),
    "heads of the ViT": (ECG + "heads", 6),
    "MLP ratio": (ECG + "mlp_ratio", 4.0),
    "drop path": (ECG + "drop_path", 0.1),
    "masked autoencoder": ("ecg.pretrain.method.kind", "masked"),
    "crop of 2500 samples": (MAE + "crop_s", 5.0),
    "mask ratio": (MAE + "mask_ratio", 0.8),
    "decoder width": (MAE + "decoder_width", 256),
    "decoder blocks": (MAE + "decoder_depth", 2),
    "decoder heads": (MAE + "decoder_heads", 8),
    "weight of 1 - NCC": (MAE + "correlation_weight", 0.1),
    "weight of the cosine of two views": (MAE + "similarity_weight", 0.1),
    "ECG augmentation, p": (MAE + "augment_probability", 0.95),
    "MAE betas": (MAE_FIT + "betas", [0.9, 0.95]),
    "MAE weight decay": (MAE_FIT + "weight_decay", 0.15),
    "MAE epochs": (MAE_FIT + "epochs", 400),
    "MAE warm-up": (MAE_FIT + "warmup_fraction", 0.1),
    "image of 210 px": ("cmr.size_px", 210),
    "crop of 78 of 210 px at 1.82 mm": ("cmr.crop_mm", 142.0),
    "image encoder": ("cmr.encoder.kind", "resnet"),
    "ResNet50": (CMR + "depth", 50),
    "image embedding is the mean of the places": ("cmr.pool", "mean"),
    "SimCLR": ("cmr.pretrain.method.kind", "simclr"),
    "SimCLR resized crop from": (SIMCLR + "smallest_area", 0.2),
    "SimCLR temperature": (SIMCLR + "temperature", 0.1),
    "SimCLR head": (SIMCLR + "projection", 128),
    "CMR augmentation, p": (SIMCLR + "augment_probability", 0.95),
    "33 features": ("tabular.features", "paper_33"),
    "table encoder": ("tabular.encoder.kind", "tabular_mlp"),
    "one input a feature": (TABLE + "columns", "plain"),
    "table width": (TABLE + "width", 384),
    "attention pool of the ECG": ("pool", "attention"),
    "one two-tower loss": ("align.method.kind", "align_joint"),
    "projection": (ALIGN + "projection", 128),
    "temperature": (ALIGN + "temperature", 0.1),
    "lambda": (ALIGN + "weight", 0.5),
    "SCARF corruption": (ALIGN + "corruption", 0.3),
    "alignment augmentation, p": (ALIGN + "augment_probability", 0.95),
    "alignment crop": (ALIGN + "crop_s", 5.0),
    "alignment learning rate": (ALIGN_FIT + "learning_rate", 1e-5),
    "alignment weight decay": (ALIGN_FIT + "weight_decay", 1e-4),
    "alignment batch": (ALIGN_FIT + "batch_size", 64),
    "alignment epochs": (ALIGN_FIT + "epochs", 400),
    "alignment warm-up, 20 of 400 epochs": (ALIGN_FIT + "warmup_fraction", 20 / 400),
    "fine-tuning epochs at most": ("finetune.epochs", 400),
    "fine-tuning batch": ("finetune.batch_size", 64),
    "head learning rate": ("finetune.learning_rate", 3e-4),
    "head weight decay": ("finetune.weight_decay", 1e-4),
    "fine-tuning warm-up, 20 of 400 epochs": ("finetune.warmup_fraction", 20 / 400),
    "patience": ("finetune.patience", 50),
    "min_delta": ("finetune.min_delta", 2e-4),
    "encoder weight decay": (ARM + "encoder_weight_decay", 0.1),
    "fine-tuning augmentation, p": (ARM + "augment_probability", 0.95),
    "fine-tuning crop": (ARM + "crop_s", 5.0),
    "source": ("source.kind", "ukb"),
    "endpoint": ("protocol.task", "mi"),
    "inputs": ("evaluation.inputs", ["cmr", "ecg", "tabular", "ecg+tabular", "cmr+tabular"]),
}


def at(tree: Any, path: str) -> Any:
    for part in path.split("."):
        tree = tree[int(part)] if isinstance(tree, list) else tree[part]
    return tree


@pytest.mark.parametrize("stated", STATED)
def test_a_number_of_the_paper_is_in_the_experiment(stated: str) -> None:
    path, value = STATED[stated]
    assert at(resolved(PAPER), path) == value


def test_each_set_of_inputs_has_its_own_network_and_the_supervised_one_beside_it() -> None:
    starts: dict[str, set[str]] = {}
    for arm in PAPER.arms:
        assert arm.inputs is not None
        (inputs,) = arm.inputs
        starts.setdefault(inputs, set()).add(arm.start)
        assert {k: arm.options[k] for k in ("hidden", "modality_dropout")} == {"hidden": 0, "modality_dropout": 0.0}
    assert starts == {inputs: {"aligned", "scratch"} for inputs in PAPER.evaluation.inputs}
    assert len(PAPER.evaluation.comparisons) == 5


CATEGORIES = (0,) * 25 + (2,) * 8
SPECS = {
    "ecg": InputSpec("ecg", (12, 5000), rate_hz=500.0),
    "cmr": InputSpec("cmr", (3, 210, 210)),
    "tabular": InputSpec("tabular", (33, 2), cardinalities=CATEGORIES),
}


def batch(modalities: tuple[str, ...]) -> Batch:
    torch.manual_seed(0)
    table = torch.stack([torch.randint(2, (2, 33)).float(), torch.ones(2, 33)], dim=2)
    signals = {"ecg": torch.randn(2, 12, 5000), "cmr": torch.randn(2, 3, 210, 210), "tabular": table}
    present = {m: torch.ones(2, dtype=torch.bool) for m in modalities}
    return Batch(torch.arange(2), {m: signals[m] for m in modalities}, present, torch.tensor([0.0, 1.0]))


@cache
def stage(name: str) -> Any:
    towers = build_towers(PAPER, SPECS, 0)
    if name == "align":
        assert PAPER.align is not None
        return build_method(PAPER.align, towers)
    return build_method(getattr(PAPER, name).pretrain, towers[name].encoder)


def finetuned(inputs: str) -> Finetune:
    (arm,) = [a for a in PAPER.arms if a.start == "aligned" and a.inputs == (inputs,)]
    towers = build_towers(PAPER, SPECS, 0)
    objective = ENDPOINTS.get("binary").fit(torch.tensor([0.0, 1.0]).numpy())
    return Finetune({m: towers[m] for m in towers if m in inputs.split("+")}, objective=objective, **arm.options)


def settings(name: str, experiment: Experiment = PAPER) -> TrainingSettings:
    config = {"align": lambda: experiment.align.training, "finetune": lambda: experiment.finetune}.get(  # type: ignore[union-attr]
        name, lambda: getattr(experiment, name).pretrain.training
    )()
    return training_settings(config, experiment.training)


def two_steps(method: nn.Module, name: str, modalities: tuple[str, ...]) -> None:
    chosen = settings(name)
    optimiser = build_optimiser(method.parameter_groups(chosen), chosen)
    method.train()
    for _ in range(2):
        loss = method.training_step(batch(modalities)).loss
        assert torch.isfinite(loss)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert all(bool(p.isfinite().all()) for p in method.parameters())


@pytest.mark.parametrize("name", ["ecg", "cmr", "align"])
def test_a_stage_of_full_size_makes_two_steps(name: str) -> None:
    two_steps(stage(name), name, PAPER.modalities if name == "align" else (name,))


ALONE = [pytest.param(name, marks=pytest.mark.slow) for name in ("cmr", "ecg")]
"""Their networks are parts of those of the sets with the table."""


@pytest.mark.parametrize("inputs", ["tabular", "ecg+tabular", "cmr+tabular", *ALONE])
def test_fine_tuning_of_full_size_makes_two_steps(inputs: str) -> None:
    method = finetuned(inputs)
    two_steps(method, "finetune", tuple(method.modalities))


def test_the_networks_have_the_sizes_of_the_paper() -> None:
    towers = build_towers(PAPER, SPECS, 0)
    assert {m: tower.width for m, tower in towers.items()} == {"ecg": 384, "cmr": 2048, "tabular": 384}
    with torch.inference_mode():
        assert towers["ecg"].encoder(torch.zeros(1, 12, 2500)).shape == (1, 300, 384)
        assert towers["cmr"].encoder(torch.zeros(1, 3, 210, 210)).shape[2] == 2048
    assert towers["tabular"].encoder.fc1.weight.shape == (384, 33)
    aligned = stage("align")
    assert aligned.head[0].in_features == 384 + 384
    assert (aligned.head[-1].out_features, aligned.image_head[-1].out_features) == (128, 128)
    # torchvision's resnet50 without its classifier: 25,557,032 - 2,049,000
    assert parameter_count(towers["cmr"].encoder) == 23_508_032
    assert len(preset("paper_33")) == 33


def test_augmentation_has_the_numbers_of_the_paper() -> None:
    for name, smallest in {"cmr": 0.2, "align": 0.6}.items():
        cmr = stage(name).views.cmr
        assert (cmr.probability, cmr.smallest_area) == (0.95, smallest)
        assert (cmr.rotation_degrees, cmr.brightness, cmr.contrast) == (45.0, 0.5, 0.5)
    for method in (stage("ecg"), stage("align"), finetuned("ecg")):
        ecg = method.views.ecg
        assert (ecg.probability, ecg.phase, ecg.jitter_sd, ecg.rescale_sd) == (0.95, 0.075, 0.2, 0.5)
        assert method.views.crop_samples == 2500
    assert SMALLEST_SCALE > 0


def test_encoders_learn_at_1e_6_with_decay_01_and_the_head_at_3e_4() -> None:
    method, chosen = finetuned("ecg+tabular"), settings("finetune")
    groups = method.parameter_groups(chosen)
    encoder = {id(p) for tower in method.fusion.towers.values() for p in tower.encoder.parameters()}
    for group in groups:
        inside = {id(p) in encoder for p in group["params"]}
        assert len(inside) == 1
        assert group["lr"] == pytest.approx(1e-6 if inside == {True} else 3e-4)
        assert group["weight_decay"] in (0.0, 0.1 if inside == {True} else 1e-4)


def test_warm_up_is_linear_over_20_epochs_then_a_cosine() -> None:
    chosen, steps = settings("align"), 400 * 10
    factors = [learning_rate_factor(step, steps, chosen) for step in range(steps)]
    assert factors[:200] == pytest.approx([(i + 1) / 200 for i in range(200)])
    assert factors[200] == pytest.approx(1.0)
    assert factors[200 + 1900] == pytest.approx(0.5, abs=1e-3)
    assert factors[-1] < 1e-5


def test_classes_weigh_as_in_the_paper() -> None:
    """Cross-entropy weighted by [1.02, 47.86], which is 1 / share of each class: what we compute from the labels."""
    positives = 1 / 47.86
    labels = [1.0] * round(1e5 * positives) + [0.0] * round(1e5 * (1 - positives))
    assert positive_weight(labels) == pytest.approx(47.86 / 1.02, rel=2e-3)


def simulated(tmp_path: Path) -> Experiment:
    small = "slices=1,phases=10,image_px=64,pixel_spacing_mm=3.6"
    options = f"{{subjects=40,mi_prevalence=0.4,ecg_fraction=1.0,cmr_fraction=1.0,{small}}}"
    limits = [
        f"{part}.{word}" for part in ("ecg.pretrain.training", "cmr.pretrain.training", "align.training", "finetune")
        for word in ("epochs=none", "steps=2", "batch_size=2", "round_steps=2")
    ]  # fmt: skip
    words = ["source.kind=simulated", f"source.options={options}", "data_root=none", "finetune.patience=none"]
    return load("paper", [*words, *limits, "protocol.fractions=[0.5,0.25,0.25]", "evaluation.resamples=100"])


@pytest.mark.slow
def test_the_whole_paper_runs_on_simulated_recordings(tmp_path: Path) -> None:
    from cardiobind.pipeline import run

    result = run(simulated(tmp_path), tmp_path / "out")
    assert len(result.rows) == 10
    assert result.report.is_file()
