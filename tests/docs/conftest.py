"""A home folder in which the commands of the documents find the files they speak of, made of one small run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ptbxl_made import write_ptbxl

from cardiobind.config import resolved
from once import once
from walking import Walk, experiment

SHOWN = "9000047"  # the person of the documents


@pytest.fixture(scope="session")
def home(walked: Walk, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of the documents, under their names; commands get a copy that they may change."""

    def furnish(folder: Path) -> Path:
        _run(walked, folder)
        _files_of_a_person(walked, folder)
        _clinic(walked, folder / "data" / "clinic")
        _tables(walked, folder)
        write_ptbxl(folder / "path" / "to" / "ptbxl")
        _experiments(walked, folder)
        return folder

    return once(tmp_path_factory, "home", furnish)


@pytest.fixture
def visited(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the home folder, in which the test stands."""
    shutil.copytree(home, tmp_path / "home", symlinks=True)
    monkeypatch.chdir(tmp_path / "home")
    yield tmp_path / "home"
    monkeypatch.undo()
    shutil.rmtree(tmp_path / "home")


def _run(walked: Walk, folder: Path) -> None:
    """Lay out the run as `cardiobind-demo`; what is large and unchanging are links."""
    demo = folder / "cardiobind-demo"
    demo.mkdir()
    for entry in walked.folder.iterdir():
        if entry.name not in (".work", "raw"):
            (demo / entry.name).symlink_to(entry)
    (demo / "raw").symlink_to(walked.raw)
    (folder / "raw-cohort").symlink_to(walked.raw)
    (folder / "mnt" / "project").mkdir(parents=True)
    (folder / "mnt" / "project" / "Bulk").symlink_to(walked.raw / "bulk")
    (folder / "my-bundle").symlink_to(walked.bundle)
    (folder / "PREDICTOR").symlink_to(walked.exported().path)


def _files_of_a_person(walked: Walk, folder: Path) -> None:
    bulk = walked.raw / "bulk"
    (folder / "record.xml").symlink_to(bulk / f"{SHOWN}_20205_2_0.xml")
    (folder / "PATH").symlink_to(bulk / f"{SHOWN}_20205_2_0.xml")
    (folder / "facts.csv").write_text("subject,age_years,sex,sbp_mmhg\np1,61,male,142\n")
    (folder / "ecgs").mkdir()
    for number, file in enumerate(sorted(bulk.glob("*.xml"))[:2], 1):
        (folder / "ecgs" / f"{number:04d}.xml").symlink_to(file)
    rows = ("subject,ecg,age_years,sex", "P1,ecgs/0001.xml,61,male", "P2,ecgs/0002.xml,,", "P3,,55,female")
    (folder / "list.csv").write_text("\n".join(rows) + "\n")
    (folder / "table.csv").symlink_to(walked.raw / "table.csv")


def _clinic(walked: Walk, folder: Path) -> None:
    (folder / "ecg").mkdir(parents=True)
    for number, file in enumerate(sorted(walked.raw.glob("bulk/*.xml"))[:3], 1):
        (folder / "ecg" / f"{number:04d}.xml").symlink_to(file)


def _tables(walked: Walk, folder: Path) -> None:
    rng = np.random.default_rng(0)
    label = np.arange(120) % 3 == 0
    for name, signal in {"ours.parquet": 2.0, "theirs.csv": 1.0}.items():
        score = 1 / (1 + np.exp(1 - signal * label - rng.normal(size=120)))
        frame = pd.DataFrame({"subject": [f"S{i}" for i in range(120)], "label": label.astype(float), "score": score})
        frame.to_parquet(folder / name) if name.endswith("parquet") else frame.to_csv(folder / name, index=False)
    predictions = walked.predictions()
    both = pd.concat([predictions, predictions.assign(arm="my arm")])
    both.to_parquet(folder / "predictions.parquet")


def _experiments(walked: Walk, folder: Path) -> None:
    tree = resolved(experiment(walked.raw)) | {"name": "mine"}
    for name in ("my.toml", "my_experiment.toml", "FILE.toml", "EXPERIMENT.toml"):
        (folder / name).write_text(
            "\n".join(f"{key} = {_toml(value)}" for key, value in tree.items() if value is not None)
        )
    (folder / "my_table.toml").write_text('extends = "table"\nname = "my_table"\nseeds = [0]\n')
    (folder / "my_plugins.py").write_text('"""A plug-in would be here."""\n')
    runs = folder / "runs" / "mine"
    runs.mkdir(parents=True)
    for entry in walked.folder.iterdir():
        if (entry / "manifest.json").exists() and not entry.name.startswith("evaluation"):
            (runs / entry.name).symlink_to(entry)
    (runs / "cohort-0123abcd").symlink_to(walked.artifacts("cohort")[0].path)
    (runs / "align-0123abcd").symlink_to(walked.artifacts("aligned")[0].path)
    (folder / "shared").mkdir()
    (folder / "shared" / "runs").symlink_to("../runs")
    (folder / "w12345_20260101.csv").write_text("9999999\n")


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        inner = ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items() if item is not None)
        return f"{{ {inner} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)
