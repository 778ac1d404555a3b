"""Random kernels on real ECGs reach the floor that was measured independently (data/README.md: AUROC 0.934)."""

from __future__ import annotations

import ast
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cardiobind.modalities.spec import InputSpec
from cardiobind.models import RandomKernels


def labels(folder: Path) -> pd.DataFrame:
    """Infarction against a normal ECG alone, with the official fold and the record's name."""
    frame = pd.read_csv(folder / "ptbxl_database.csv")
    statements = pd.read_csv(folder / "scp_statements.csv", index_col=0)
    superclass = statements.loc[statements["diagnostic"] == 1, "diagnostic_class"].to_dict()
    found = [{superclass[code] for code in ast.literal_eval(codes) if code in superclass} for codes in frame.scp_codes]
    frame["label"] = [1.0 if "MI" in s else 0.0 if s == {"NORM"} else np.nan for s in found]
    return frame.dropna(subset="label")


def signals_mv(folder: Path, names: pd.Series[str]) -> NDArray[np.float32]:
    """(n, 12, 1000) at 100 Hz."""
    with zipfile.ZipFile(folder / "records100.zip") as archive:
        members = {Path(name).stem: name for name in archive.namelist() if name.endswith(".dat")}
        read = [np.frombuffer(archive.read(members[Path(name).name]), dtype="<i2") for name in names]
    return np.stack([r.reshape(-1, 12).T for r in read]).astype(np.float32) / 1000


@pytest.mark.slow
def test_random_kernels_reach_the_floor(shared_data: Path) -> None:
    frame = labels(shared_data / "ptbxl")
    x = torch.from_numpy(signals_mv(shared_data / "ptbxl", frame["filename_lr"]))
    train = (frame["strat_fold"] <= 8).to_numpy(copy=True)
    kernels = RandomKernels(InputSpec("ecg", (12, 1000), rate_hz=100.0)).fit(x[torch.from_numpy(train)])
    features = torch.cat([kernels(block) for block in x.split(64)]).numpy()
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
    label = frame["label"].to_numpy()
    model.fit(features[train], label[train])
    assert roc_auc_score(label[~train], model.decision_function(features[~train])) > 0.92
