"""A small bundle behind HTTP, for the tests of `cardiobind.serve`."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import uvicorn
from starlette.testclient import TestClient

from cardiobind.inference.bundle import BundleContract, Calibration, network_of
from cardiobind.inference.predictor import Predictor
from cardiobind.modalities.cmr import CmrPreparation
from cardiobind.modalities.cmr.preparation import cmr_spec
from cardiobind.modalities.ecg import EcgPreparation, ecg_spec
from cardiobind.modalities.tabular.contract import TableColumn, TableContract
from cardiobind.serve import Settings, make_app
from cardiobind.serve.running import server_config

TABLE = TableContract((
    TableColumn("age_years", "number", 60.0, 8.0, 0.0, 120.0, ()),
    TableColumn("sex", "category", 0.0, 0.0, float("-inf"), float("inf"), ("female", "male")),
    TableColumn("sbp_mmhg", "number", 130.0, 15.0, 60.0, 270.0, ()),
    TableColumn("diabetes", "flag", 0.0, 0.0, float("-inf"), float("inf"), ()),
))  # fmt: skip
ECG, CMR = EcgPreparation(rate_hz=100, duration_s=10.0), CmrPreparation(size_px=32)
KNOWN = Calibration(0.9, -1.2, 0.3)


def small_predictor() -> Predictor:
    """Return a bundle of all modalities with random weights, calibrated for two input sets."""
    contract = BundleContract(
        task="mi", title="Myocardial infarction",
        inputs={"ecg": ecg_spec(ECG), "cmr": cmr_spec(CMR), "tabular": TABLE.spec()},
        encoders={
            "ecg": {"kind": "lead_vit", "options": {"width": 24, "depth": 1, "heads": 3}},
            "cmr": {"kind": "resnet", "options": {"depth": 18, "base_width": 8}},
            "tabular": {"kind": "tabular_transformer", "options": {"width": 16}},
        },
        pool="mean", fusion={"hidden": 0}, ecg=ECG, cmr=CMR, table=TABLE, crop_s=5.0, crops=2,
        calibration={"ecg": KNOWN, "ecg+tabular": KNOWN}, summary={},
    )  # fmt: skip
    torch.manual_seed(0)
    artifact: Any = SimpleNamespace(digest="0" * 64, manifest={"files": {}})
    return Predictor(artifact, contract, network_of(contract).eval())


@contextmanager
def serving(predictor: Predictor, settings: Settings | None = None, **options: Any) -> Iterator[TestClient]:
    """Yield a client of a server at work."""
    with TestClient(make_app(predictor, settings or Settings(), **options), raise_server_exceptions=False) as client:
        yield client


@contextmanager
def listening(predictor: Predictor, settings: Settings | None = None) -> Iterator[str]:
    """Yield the address of a server that listens at a port of this machine."""
    chosen = settings or Settings()
    server = uvicorn.Server(server_config(make_app(predictor, chosen), "127.0.0.1", 0, chosen))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.02)
            assert thread.is_alive()
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def parts(field: str, files: Sequence[Path | str]) -> list[tuple[str, tuple[str, bytes]]]:
    """Return files as `httpx` uploads them."""
    return [(field, (Path(file).name, Path(file).read_bytes())) for file in files]


def beside(location: str) -> list[Path]:
    """Return the files of one recording: those in the folder of a sample."""
    return sorted(Path(location).parent.iterdir())


def facts(**given: Any) -> Mapping[str, str]:
    return {"facts": json.dumps(given)}


def error_of(response: Any, status: int) -> dict[str, Any]:
    """Return the error of an answer after checking its form."""
    assert response.status_code == status, response.text
    error: dict[str, Any] = response.json()["error"]
    assert set(error) == {"code", "message", "where", "expected", "hint", "request"}
    assert error["request"] == response.headers["x-request-id"]
    return error
