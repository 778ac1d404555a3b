"""The works of the speed table, by name."""

from __future__ import annotations

from functools import partial

from works import contrast, ecg, views
from works.work import Run, Work


def no_reference(batch: int) -> Run:
    """Refuse to run: such a work is only compared with variants of itself."""
    raise LookupError("this work has no reference; it is compared with variants of itself")


WORKS = {
    "ecg_mae": Work(
        "ECG MAE, 12 x 2500, patch 1 x 100, 384/3/6 + 256/2/8, two views", 64, 8, ecg.mae_reference, ecg.mae_ours, 2.5
    ),
    "cmr_ecg": Work(
        "CMR (ResNet50, 3 x 210 x 210) + ECG, contrast", 16, 4,
        partial(contrast.pair_reference, "ecg", 210), partial(contrast.pair_ours, "ecg", 210), 2.5,
    ),
    "image_table": Work(
        "image 128 px (ResNet50) + table, contrast", 16, 8,
        partial(contrast.pair_reference, "tabular", 128), partial(contrast.pair_ours, "tabular", 128), 2.2,
    ),
    "ecg_embedding": Work("ECG embedding, batch", 64, 16, ecg.embedding_reference, ecg.embedding_ours, 2.5),
    "ecg_embedding_one": Work("ECG embedding, one sample", 1, 1, ecg.embedding_reference, ecg.embedding_ours, 2.0),
    "cmr_embedding": Work(
        "ResNet50 embedding, 3 x 210 x 210", 16, 4, contrast.embedding_reference, contrast.embedding_ours, 3.0
    ),
    "table_view": Work(
        "table view (SCARF, 120 fields)", 512, 128, views.table_reference, views.table_ours, 300.0, products=False
    ),
    "cmr_view": Work(
        "one CMR view, 3 x 210 x 210", 32, 16, views.image_reference, views.image_ours, 3.0, products=False
    ),
    "baseline": Work(
        "ALS baseline 12 x 5000", 2, 1, views.baseline_reference, views.baseline_ours, 9.0, products=False
    ),
    "ecg_mae_shared": Work("ECG MAE, gradients shared by processes", 16, 4, no_reference, ecg.mae_shared, 0.0),
    "cmr_simclr": Work("SimCLR of CMR, two views", 8, 2, no_reference, contrast.simclr_ours, 0.0),
}  # fmt: skip

__all__ = ["WORKS", "Work"]
