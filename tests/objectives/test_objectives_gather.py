"""Without a process group nothing is gathered; with several processes see tests/methods/test_methods_processes.py."""

from __future__ import annotations

import torch
from torch import distributed as dist

from cardiobind.objectives import gather_embeddings, gather_rows, process_count, same_everywhere


def test_one_process_keeps_what_it_has() -> None:
    rows, mask = torch.randn(3, 2), torch.tensor([True, False, True, True])
    assert process_count() == 1
    assert gather_rows(rows) is rows
    assert same_everywhere(rows) is rows
    embeddings, present = gather_embeddings({"ecg": rows}, {"ecg": mask, "cmr": mask}, 2)
    assert embeddings["ecg"] is rows
    assert list(present) == ["ecg"]


def test_a_group_of_one_is_one_process(tmp_path) -> None:  # type: ignore[no-untyped-def]
    dist.init_process_group("gloo", f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        assert process_count() == 1
        rows = torch.randn(3, 2, requires_grad=True)
        assert gather_rows(rows) is rows
    finally:
        dist.destroy_process_group()
