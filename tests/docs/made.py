"""What single commands of the documents need beside the home folder: files are written, folders copied or laid out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from ptbxl_made import write_ptbxl

from clusters import EXPERIMENT

REPOSITORY = Path(__file__).resolve().parents[2]
UNTRACKED = shutil.ignore_patterns(
    "__pycache__", ".*_cache", "*.egg-info", ".git", "shared", "build", "runs", "site", ".venv", "cardiobind-demo"
)


def nothing(home: Path) -> None:
    """Leave the home folder as it is."""


def checkout(home: Path) -> None:
    """Copy what stands in a checkout beside the files of the home folder."""
    for entry in REPOSITORY.iterdir():
        if entry.name not in UNTRACKED(str(REPOSITORY), [entry.name]):
            copy = shutil.copytree if entry.is_dir() else shutil.copy
            copy(entry, home / entry.name, **({"ignore": UNTRACKED} if entry.is_dir() else {}))


def pages(home: Path) -> None:
    """Copy what `docs/write_*.py` write; a test elsewhere compares the pages with what they would write."""
    (home / "docs" / "explanation").mkdir(parents=True)
    for name in ("write_endpoints.py", "explanation/endpoints.md"):
        shutil.copy(REPOSITORY / "docs" / name, home / "docs" / name)


def ptbxl_and_checkout(home: Path) -> None:
    """Copy the checkout and give PTB-XL what quality is measured against."""
    checkout(home)
    ptbxl_of_500_hz(home)


def ptbxl_of_500_hz(home: Path) -> None:
    """Write PTB-XL anew, at both rates."""
    shutil.rmtree(home / "path" / "to" / "ptbxl")
    write_ptbxl(home / "path" / "to" / "ptbxl", rates=(100, 500))


def sunnybrook(home: Path) -> None:
    """Link the real patients, or skip."""
    shared = Path(os.environ.get("CARDIOBIND_SHARED_DATA", REPOSITORY / "shared" / "data")) / "sunnybrook"
    if not shared.is_dir():
        pytest.skip("no Sunnybrook patients; set CARDIOBIND_SHARED_DATA")
    checkout(home)
    (home / "FOLDER").symlink_to(shared)


def hospitals(home: Path) -> None:
    """Write four hospitals of 60 patients each in the layout of the UCI heart disease data."""
    folder = home / "path" / "to" / "uci_heart_disease"
    folder.mkdir(parents=True)
    for number, name in enumerate(("cleveland", "hungarian", "switzerland", "va")):
        rng = np.random.default_rng(number)
        narrowed = np.arange(60) % 2
        columns = {
            "age": rng.integers(40, 70, 60), "sex": rng.integers(0, 2, 60), "cp": rng.integers(1, 5, 60),
            "trestbps": rng.integers(110, 160, 60), "chol": rng.integers(180, 300, 60), "fbs": rng.integers(0, 2, 60),
            "restecg": rng.integers(0, 3, 60), "thalach": rng.integers(110, 180, 60) - 20 * narrowed,
            "exang": rng.integers(0, 2, 60), "oldpeak": rng.integers(0, 3, 60) + narrowed,
            "slope": rng.integers(1, 4, 60), "ca": rng.integers(0, 4, 60), "thal": rng.choice([3, 6, 7], 60),
            "num": narrowed,
        }  # fmt: skip
        frame = pd.DataFrame(columns).astype(object)
        if name != "cleveland":
            frame[["ca", "thal", "slope"]] = "?"
        frame.to_csv(folder / f"processed.{name}.data", header=False, index=False)


def runs_demo(home: Path) -> None:
    """Lay out the alignment of the run as `runs/demo` with the truth of its hearts."""
    (home / "runs" / "demo").symlink_to("mine")


def phenotypes(home: Path) -> None:
    """Take two phenotypes out of the simulated truth."""
    hearts = pd.read_parquet(home / "raw-cohort" / "truth" / "hearts.parquet")
    hearts[["subject", "lvef_percent"]].to_csv(home / "phenotypes.csv", index=False)


def index(home: Path) -> None:
    """Make the index that is searched in."""
    from cardiobind.pipeline.search import build_index

    phenotypes(home)
    build_index(home / "runs" / "mine" / "align-0123abcd", home / "my-index", phenotypes=home / "phenotypes.csv")


def small_experiment(home: Path) -> None:
    """Replace the experiment by one of two modalities that several processes train in seconds."""
    (home / "my_experiment.toml").write_text(EXPERIMENT)
    shutil.rmtree(home / "runs")
    (home / "runs").mkdir()


def cohort_in_memory(home: Path) -> None:
    """Put the cohort where fsspec finds it under an address."""
    from fsspec.implementations.memory import MemoryFileSystem

    (found,) = (home / "runs" / "mine").glob("cohort-0123abcd")
    MemoryFileSystem().put(str(found.resolve()), "/bucket/cohort", recursive=True)


def resnet_file(home: Path) -> None:
    """Write a file with torchvision's names, of a narrow network."""
    from cardiobind.modalities.spec import InputSpec
    from cardiobind.models import build_encoder

    network = build_encoder("resnet", InputSpec("cmr", (3, 48, 48)), depth=18, base_width=8)
    beside = {"fc.weight": torch.zeros(1000, network.width), "fc.bias": torch.zeros(1000)}
    torch.save(dict(network.state_dict()) | beside, home / "resnet50.pth")


def vit_file(home: Path) -> None:
    """Write a file with timm's names, of a narrow network on images of 224 px."""
    from cardiobind.modalities.spec import InputSpec
    from cardiobind.models import build_encoder

    network = build_encoder(
        "vit", InputSpec("cmr", (3, 224, 224)), patch=(16, 16), width=24, depth=1, heads=3, positions="learned"
    )
    state = dict(network.state_dict())
    state["pos_embed"] = torch.cat([torch.zeros(1, 1, 24), state["pos_embed"]], dim=1)
    beside = {"cls_token": torch.zeros(1, 1, 24), "head.weight": torch.zeros(1000, 24), "head.bias": torch.zeros(1000)}
    torch.save(state | beside, home / "vit_base.pth")


def environment(home: Path) -> None:
    """Make a virtual environment without packages."""
    venv.create(home / ".venv", with_pip=False)


def wheels(home: Path) -> None:
    """Make the wheel of this package alone; those of others are several hundred MB."""
    checkout(home)
    words = ["-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", "wheels", "."]
    subprocess.run([sys.executable, *words], cwd=home, check=True, capture_output=True)


def wheels_in_a_tar(home: Path) -> None:
    """Pack the wheels and take the folder away."""
    wheels(home)
    subprocess.run(["tar", "-cf", "wheels.tar", "wheels"], cwd=home, check=True)
    shutil.rmtree(home / "wheels")
