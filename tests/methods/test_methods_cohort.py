"""Methods on a prepared cohort, through the room that makes the batches."""

from __future__ import annotations

import numpy as np
import torch

from cardiobind.cohort import Protocol, make_protocol
from cardiobind.data import CohortDataset
from cardiobind.methods import AlignAllPairs, Finetune, embed, learn, predict
from cardiobind.models import AttentionPool, MeanPool, Tower, build_encoder
from cardiobind.objectives.endpoints import Binary
from cardiobind.training import TrainingSettings
from store_fakes import FakeSource, fake_cohort


def test_align_then_finetune_then_predict(tmp_path):
    cohort = fake_cohort(tmp_path, FakeSource(subjects=60, cmr=True))
    make_protocol(cohort, tmp_path / "p", task="mi", config={}, fingerprint="f")
    protocol = Protocol.open(tmp_path / "p", cohort)
    modalities = ("ecg", "cmr", "tabular")
    torch.manual_seed(0)
    vit = build_encoder("vit", protocol.specs["ecg"], patch=(12, 20), width=16, depth=1, heads=2)
    resnet = build_encoder("resnet", protocol.specs["cmr"], depth=10, base_width=4, stem="small")
    mlp = build_encoder("tabular_mlp", protocol.specs["tabular"], width=8)
    towers = {"ecg": Tower(vit, AttentionPool(16)), "cmr": Tower(resnet, MeanPool()), "tabular": Tower(mlp, MeanPool())}
    settings = TrainingSettings(epochs=1, batch_size=16, accelerator="cpu")

    aligner = AlignAllPairs(towers, projection=8)
    rows = protocol.rows("train")
    usable = rows[aligner.usable({m: cohort.has(m)[rows] for m in modalities})]
    train = CohortDataset(cohort, protocol, usable, modalities)
    history = learn(aligner, train, None, settings, seed=0, work=tmp_path / "align", title="align")
    assert np.isfinite(history.rows[-1]["train_loss"])

    labelled = cohort.rows_with(rows[np.isfinite(protocol.labels[rows])], modalities)
    train = CohortDataset(cohort, protocol, labelled, modalities)
    objective = Binary.fit(protocol.labels[labelled])
    method = Finetune(towers, objective=objective, fit="partial", crop_s=1.0)
    learn(method, train, train, settings, seed=0, work=tmp_path / "finetune", title="fine-tune")
    test = CohortDataset(cohort, protocol, cohort.rows_with(protocol.rows("test"), modalities), modalities)
    logits = predict(method, test, ("ecg", "tabular"))
    has = cohort.has("ecg")[test.rows] | cohort.has("tabular")[test.rows]
    assert (np.isfinite(logits) == has).all()
    found = embed(towers, test)
    assert (np.isfinite(found["cmr"]).all(1) == cohort.has("cmr")[test.rows]).all()
