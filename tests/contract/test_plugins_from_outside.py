"""The plug-ins of CONTRIBUTING.md, as they stand there, added from files outside the package and put to work."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from cardiobind import rng
from cardiobind.cohort import Cohort, build_cohort
from cardiobind.data import Batch
from cardiobind.errors import UnknownNameError
from cardiobind.methods import METHODS
from cardiobind.modalities.ecg import EcgPreparation
from cardiobind.modalities.records import LEADS
from cardiobind.models import ENCODERS, FUSIONS, MeanPool, Tower, build_encoder, build_fusion
from cardiobind.registry import Registry
from cardiobind.sources import SOURCES
from cardiobind.tasks import TASKS, label
from cardiobind.testing import check_encoder, check_fusion, check_objective, example_batch, example_spec

GUIDE = Path(__file__).resolve().parents[2] / "CONTRIBUTING.md"
ADDED: dict[str, Registry[Any]] = {
    "strided_conv": ENCODERS, "loudest": FUSIONS, "align_margin": METHODS, "clinic": SOURCES, "pericarditis": TASKS,
}  # fmt: skip


def examples() -> dict[str, str]:
    blocks = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(), flags=re.MULTILINE | re.DOTALL)
    return {name: block for name in ADDED for block in blocks if f'register("{name}")' in block}


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, ModuleType]]:
    folder = tmp_path_factory.mktemp("outside")
    sys.path.insert(0, str(folder))
    try:
        for name, block in examples().items():
            (folder / f"outside_{name}.py").write_text(f'"""A plug-in."""\n\n{block}')
        yield {name: importlib.import_module(f"outside_{name}") for name in examples()}
    finally:
        sys.path.remove(str(folder))
        for name, registry in ADDED.items():
            sys.modules.pop(f"outside_{name}", None)
            if name in registry:
                registry.unregister(name)


def test_the_guide_shows_one_of_each() -> None:
    assert examples().keys() == ADDED.keys()


def test_the_names_are_known_after_the_import_alone(plugins: dict[str, ModuleType]) -> None:
    for name, registry in ADDED.items():
        assert name in registry
        with pytest.raises(UnknownNameError, match=f"did you mean '{name}'"):
            registry.get(name + "x")


def test_an_encoder_keeps_the_contract(plugins: dict[str, ModuleType]) -> None:
    torch.manual_seed(0)
    check_encoder(lambda inputs: build_encoder("strided_conv", inputs, width=16), example_spec("ecg"))


def test_a_fusion_keeps_the_contract(plugins: dict[str, ModuleType]) -> None:
    torch.manual_seed(0)
    check_fusion(lambda towers: build_fusion(towers, fusion="loudest", modality_dropout=0.0))


def test_an_encoder_is_pre_trained_by_a_method_that_has_never_heard_of_it(plugins: dict[str, ModuleType]) -> None:
    torch.manual_seed(0)
    spec = example_spec("ecg")
    encoder = build_encoder("strided_conv", spec, width=16)
    method: Any = METHODS.get("simclr")(encoder, projection=8)
    batch = Batch(torch.arange(4), {"ecg": example_batch(spec, 4)}, {"ecg": torch.ones(4, dtype=torch.bool)})
    method.training_step(batch).loss.backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in encoder.parameters())


def test_a_loss_keeps_the_contract(plugins: dict[str, ModuleType]) -> None:
    check_objective(plugins["align_margin"].margin_loss)


def test_a_loss_equals_its_slow_version(plugins: dict[str, ModuleType]) -> None:
    a, b = torch.randn(2, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).unbind(0)
    terms = []
    for i in range(5):
        for j in range(5):
            pairs = ((a[i], b[i]), (a[i], b[j]), (a[j], b[i]))
            own, other, back = (float(x @ y / x.norm() / y.norm()) for x, y in pairs)
            if i != j:
                terms.append(max(0.0, 0.2 + other - own) + max(0.0, 0.2 + back - own))
    assert float(plugins["align_margin"].margin_loss(a, b)) == pytest.approx(np.mean(terms))


def towers() -> dict[str, Tower]:
    kinds = {"ecg": "strided_conv", "tabular": "tabular_mlp"}
    return {m: Tower(build_encoder(kind, example_spec(m), width=16), MeanPool()) for m, kind in kinds.items()}


@pytest.mark.parametrize("both", [0, 1, 3])
def test_an_alignment_learns_from_whoever_has_two_modalities(plugins: dict[str, ModuleType], both: int) -> None:
    torch.manual_seed(0)
    method: Any = METHODS.get("align_margin")(towers(), projection=8)
    present = {"ecg": torch.arange(6) < 3, "tabular": torch.arange(6) >= 3 - both}
    signals = {m: example_batch(example_spec(m), int(p.sum())) for m, p in present.items()}
    step = method.training_step(Batch(torch.arange(6), signals, present))
    step.loss.backward()
    assert bool(step.loss.isfinite())
    assert (float(step.loss.detach()) > 0) == (both > 1)
    assert ("loss_ecg~tabular" in step.logs) == (both > 1)


def write_clinic(root: Path, patients: int = 8) -> None:
    (root / "ecg").mkdir(parents=True)
    names = [f"SIM-{i}" for i in range(patients)]
    for name in names:
        leads = rng.generator(0, "clinic", name).normal(0, 0.3, (5000, 12)).astype(np.float32)
        pd.DataFrame(leads, columns=list(LEADS)).to_csv(root / "ecg" / f"{name}.csv", index=False)
    (root / "ecg" / "SIM-0.csv").write_text("I,II\nnot,numbers\n")
    pd.DataFrame({"subject": names, "age_years": 60.0, "sex": "female"}).to_csv(root / "patients.csv", index=False)
    ill = pd.DataFrame({"subject": names[:3], "code": ["I30.1", "I309", "I21.0"], "date": "2020-05-04"})
    ill.to_csv(root / "diagnoses.csv", index=False)


def test_a_source_and_an_endpoint_make_a_cohort(plugins: dict[str, ModuleType], tmp_path: Path) -> None:
    write_clinic(tmp_path / "raw")
    build_cohort(
        SOURCES.get("clinic")(root=tmp_path / "raw"), tmp_path / "cohort", work=tmp_path / "work",
        ecg=EcgPreparation(rate_hz=100, duration_s=5.0), cmr=None, workers=0, config={}, fingerprint="f",
    )  # fmt: skip
    cohort = Cohort.open(tmp_path / "cohort")
    assert len(cohort) == 8
    assert cohort.counts["ecg"] == {"read": 8, "kept": 7, "quarantined": 1}
    assert list(cohort.quarantine["reason"]) == ["not_recognised"]
    assert cohort.read("ecg", np.array([1])).shape == (1, 12, 500)
    positive = cohort.labels("pericarditis") == 1
    assert sorted(cohort.samples.loc[positive, "subject"]) == ["SIM-0", "SIM-1"]


def test_an_endpoint_labels_events(plugins: dict[str, ModuleType]) -> None:
    visits = pd.DataFrame({"subject": ["a", "b"], "visit": "1", "date": pd.NaT})
    events = pd.DataFrame({"subject": ["b"], "visit": "", "system": "icd10", "code": "I30.0", "date": pd.NaT})
    assert list(label(TASKS.get("pericarditis"), events, visits)["label"]) == [0.0, 1.0]
