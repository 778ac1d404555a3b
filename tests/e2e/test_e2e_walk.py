"""The whole way on simulated raw files: what a run leaves, that it is not done twice, and whom it must not name."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cardiobind import artifact, pipeline
from cardiobind.errors import CorruptArtifactError
from cardiobind.pipeline.ceiling import simulated_ceiling
from walking import COHORT, EID, INPUTS, Recorder, Walk, experiment

pytestmark = pytest.mark.e2e
ARMS = ("aligned", "pre-trained, not aligned", "supervised from scratch")
HOLDS_SUBJECTS = {"samples.parquet", "table.parquet", "labels.parquet", "index.parquet", "quarantine.parquet",
                  "splits.parquet", "predictions.parquet", "instances.parquet", "days_after_visit.parquet"}  # fmt: skip


@pytest.fixture
def copied(walked: Walk, tmp_path: Path) -> Path:
    """A copy of the run's folder without the raw files."""
    shutil.copytree(walked.folder, tmp_path / "run", ignore=shutil.ignore_patterns("raw"), symlinks=True)
    return tmp_path / "run"


def test_the_report_is_one_file_that_asks_nothing_of_the_network(walked: Walk) -> None:
    html = walked.result.report.read_text()
    outside = re.sub(r"data:[a-z/+;-]*base64,[A-Za-z0-9+/=]+", "", html)
    for attribute in re.findall(r"""(?:src|href|action|poster|data)\s*=\s*["']([^"']*)["']""", outside):
        assert attribute == "" or attribute.startswith(("#", "data:")), attribute
    assert not re.search(r"<(?:script|link|iframe|object|embed)\b[^>]*(?:src|href)", outside)
    assert not re.search(r"@import|url\(\s*['\"]?(?!#|data:)", outside)
    for arm in ARMS:
        assert arm in html
    for found in walked.artifacts("predictor"):
        assert found.digest[:8] in html


def test_every_arm_is_measured_on_every_input_set(walked: Walk) -> None:
    metrics = json.loads(walked.result.metrics.read_text())
    assert {(c["arm"], c["inputs"]) for c in metrics["cells"]} == {(a, i) for a in ARMS for i in INPUTS}
    assert {c["inputs"] for c in metrics["oracle"]} == set(INPUTS)
    for cell in metrics["cells"]:
        assert cell["n"] > 0
        assert 0 <= cell["metrics"]["auroc"]["value"] <= 1
    pairs = {(c["arm"], c["baseline"]) for c in metrics["comparisons"]}
    assert pairs == {(ARMS[0], ARMS[2]), (ARMS[0], ARMS[1])}


def test_every_stage_left_its_artefact(walked: Walk) -> None:
    wanted = {
        "cohort": 1,
        "protocol": 1,
        "division": 1,
        "encoder": 3,
        "aligned": 1,
        "predictor": 3,
        "ceiling": 1,
        "evaluation": 1,
    }
    assert {kind: len(walked.artifacts(kind)) for kind in wanted} == wanted
    counts = walked.artifacts("cohort")[0].json("counts.json")
    assert all(c["read"] == c["kept"] + c["quarantined"] for c in counts.values())


def test_a_second_run_finds_everything_done(walked: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page is no stage, it is drawn again each time: here it is not, which took as long as a third of the run."""
    pages: list[object] = []
    monkeypatch.setattr("cardiobind.pipeline.report.write_report", lambda *given, **_: pages.append(given))
    before, told = walked.result.metrics.read_bytes(), Recorder()
    raw = pipeline.simulate(walked.raw, COHORT, workers=1, reporter=told)
    again = pipeline.run(
        experiment(raw), walked.folder, reporter=told, ceiling=lambda study: simulated_ceiling(study, COHORT)
    )
    assert told.computed == {"simulate"}
    assert told.worked <= {"simulate"}
    assert len(told.finished) == 14
    assert len(pages) == 1
    assert again == walked.result
    assert again.metrics.read_bytes() == before


def test_a_changed_arm_is_the_only_one_trained_again(walked: Walk, copied: Path) -> None:
    told = Recorder()
    changed = experiment(walked.raw, ["arms.2.options={hidden=0,dropout=0.1}"])
    predictors = pipeline.run_until("finetune", changed, copied, reporter=told)
    assert told.computed == {"predictor-supervised-from-scratch-50pct-seed0"}
    assert {p.config["arm"]["name"] for p in predictors} == set(ARMS)


def test_the_bundle_walks_back_to_the_cohort(walked: Walk) -> None:
    family = [a.kind for a in artifact.verify(walked.bundle)]
    assert family[0] == "bundle"
    assert sorted(family) == sorted(["bundle", "predictor", "aligned", "encoder", "encoder", "encoder", "protocol",
                                     "division", "cohort"])  # fmt: skip


def test_a_flipped_byte_in_any_artefact_is_named(copied: Path) -> None:
    for folder in sorted(m.parent for m in copied.glob("*/manifest.json")):
        for file in sorted(f for f in folder.rglob("*") if f.is_file()):
            with flipped(file), pytest.raises(CorruptArtifactError, match=re.escape(file.name)):
                artifact.open_artifact(folder)
        artifact.open_artifact(folder)


def test_damage_far_up_stops_the_export_and_the_next_run(walked: Walk, copied: Path) -> None:
    cohort = copied / walked.artifacts("cohort")[0].path.name
    predictor = copied / walked.exported().path.name
    with flipped(cohort / "samples.parquet"):
        with pytest.raises(CorruptArtifactError, match=r"samples\.parquet"):
            pipeline.export_predictor(predictor, copied / "exported")
        with pytest.raises(CorruptArtifactError, match=r"samples\.parquet"):
            pipeline.run_until("prepare", experiment(walked.raw), copied)
    assert not (copied / "exported").exists()


def test_no_participant_is_named_outside_the_tables_that_need_it(walked: Walk) -> None:
    files = [f for f in walked.folder.rglob("*") if f.is_file() and not f.is_relative_to(walked.raw)]
    assert {f.suffix for f in files} >= {".html", ".json", ".csv", ".safetensors", ".npz"}
    for file in files:
        if file.name not in HOLDS_SUBJECTS:
            assert not EID.search(file.read_bytes()), file
    assert not EID.search("\n".join([*walked.told.lines, *walked.told.worked]).encode())
    assert EID.search((walked.artifacts("cohort")[0].path / "samples.parquet").read_bytes()), "the pattern finds them"


def test_predictions_are_of_held_out_subjects_with_those_inputs(walked: Walk) -> None:
    split_of = splits(walked)
    for found in [*walked.artifacts("predictor"), *walked.artifacts("ceiling")]:
        frame = pd.read_parquet(found.file("predictions.parquet"))
        assert set(frame["split"]) == {"validation", "test"}
        assert (frame["split"].to_numpy() == split_of.loc[frame["subject"]].to_numpy()).all()
        assert frame["score"].between(0, 1).all()
        assert not frame.duplicated(["subject", "visit", "inputs"]).any()
    samples = pd.read_parquet(walked.artifacts("cohort")[0].file("samples.parquet")).set_index("subject")
    for inputs, rows in walked.predictions().groupby("inputs"):
        needed = samples.loc[rows["subject"], str(inputs).split("+")]
        assert (needed >= 0).all(axis=None)


def test_a_score_does_not_depend_on_an_input_left_out(walked: Walk) -> None:
    wide = walked.predictions().pivot(index="subject", columns="inputs", values="score").dropna()
    assert len(wide) > 5
    assert (wide.std() > 0).all()
    assert not np.allclose(wide["ecg"], wide["cmr+ecg+tabular"])


def splits(walked: Walk) -> pd.Series:
    frame = pd.read_parquet(walked.artifacts("protocol")[0].file("splits.parquet"))
    return frame.set_index("subject")["split"]


class flipped:
    """A file with one bit turned in its middle, for the length of a block."""

    def __init__(self, file: Path) -> None:
        self.file, self.data = file, file.read_bytes()

    def __enter__(self) -> None:
        damaged = bytearray(self.data)
        damaged[len(damaged) // 2] ^= 1
        self.file.write_bytes(damaged)

    def __exit__(self, *_: object) -> None:
        self.file.write_bytes(self.data)
