"""One training step of methods as one of two processes, and in the first also alone, with loss and gradients in a file.

python two_processes.py RANK STORE OUT NAME...
"""

from __future__ import annotations

import sys
from dataclasses import replace

import torch
from torch import distributed as dist

from cardiobind.data import Batch
from cardiobind.objectives.endpoints import Binary, Multilabel, Survival
from conftest import TinyCohort, make_method

SHARES = {1: [range(24)], 2: [range(10), range(10, 24)]}
OPTIONS = {
    "simclr": {"augment_probability": 0.0, "smallest_area": 1.0},
    "scarf": {"corruption": 0.0},
    "align_joint+gaps": {"gaps": True, "alike_above": 0.8, "learn_temperature": True},
    "align_all_pairs+more": {"alike_above": 0.5, "alike_by": "embeddings", "phenotypes": ("lvef_percent",)},
    "align_gram+moments": {"phase_weight": 0.5},
    "align_symile+chunks": {"chunk": 3, "alike_above": 0.8},
    "finetune": {"objective": Binary(positive_weight=3.0)},
    "finetune+times": {"objective": Survival()},
    "finetune+labels": {"objective": Multilabel([2.0, 5.0])},
}
LABELS = {
    "finetune+times": lambda labels, rows: torch.stack([(rows % 7).float(), labels], dim=1),
    "finetune+labels": lambda labels, rows: torch.stack([labels, (rows % 3 == 0).float()], dim=1),
}


def nobody_in_the_first_process(batch: Batch, modality: str) -> None:
    batch.present[modality].logical_and_(batch.rows >= len(SHARES[2][0]))
    held = len(batch.signals[modality]) - int(batch.present[modality].sum())
    batch.signals[modality] = batch.signals[modality][held:]


def step(name: str, rank: int, world: int) -> dict[str, torch.Tensor]:
    method = make_method(name.split("+")[0], **OPTIONS.get(name, {})).double().eval()
    batch = TinyCohort(size=24).batch(list(SHARES[world][rank]))
    for signals in batch.signals:
        batch.signals[signals] = batch.signals[signals].double()
    if name in LABELS:
        batch = replace(batch, labels=LABELS[name](batch.labels, batch.rows))
    if name.startswith("align"):
        nobody_in_the_first_process(batch, "cmr")
    torch.manual_seed(0)
    loss = method.training_step(batch).loss
    loss.backward()
    found = {"loss": loss.detach()}
    for parameter_name, parameter in method.named_parameters():
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        if world > 1 and parameter.requires_grad:
            assert parameter.grad is not None, f"{parameter_name} would keep the other processes waiting"
            dist.all_reduce(gradient)
        found[parameter_name] = gradient / world
    return found


if __name__ == "__main__":
    rank, store, out, *names = sys.argv[1:]
    torch.set_default_dtype(torch.float64)
    alone = {name: step(name, 0, 1) for name in names} if rank == "0" else {}
    dist.init_process_group("gloo", f"file://{store}", rank=int(rank), world_size=2)
    torch.save((alone, {name: step(name, int(rank), 2) for name in names}), out)
    dist.destroy_process_group()
