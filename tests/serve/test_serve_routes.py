"""What a server says of itself: the page and its headers, the bundle, what it counted, what it logs."""

from __future__ import annotations

import logging
import math
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.testclient import TestClient

from cardiobind.errors import ConfigError
from cardiobind.inference.bundle import CARD, Calibration
from cardiobind.inference.predictor import Predictor
from cardiobind.inference.trust.intervals import Certainty
from cardiobind.serve import Settings, make_app, read_api_key, running
from cardiobind.serve.describing import describe
from cardiobind.serve.metrics import Histogram, Metrics
from format_samples import CANARIES, CINE_SAMPLES, ECG_SAMPLES, cine, counts
from serving import TABLE, beside, error_of, parts, serving

NAMES = (*CANARIES, "Secretname", "SMITH", "Jane")


def test_the_page_is_served_with_headers_that_keep_it_to_itself(client: TestClient) -> None:
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert client.get("/v1/health").headers["cache-control"] == "no-store"
    assert client.get("/docs").status_code == client.get("/redoc").status_code == 404
    assert not re.search(r"(src|href)=[\"']?https?:", page.text)


def test_the_bundle_is_described_for_a_form(client: TestClient, predictor: Predictor) -> None:
    model = client.get("/v1/model").json()
    assert (model["task"], model["inputs"]) == ("mi", ["ecg", "cmr", "tabular"])
    assert [fact["name"] for fact in model["facts"]] == list(TABLE.names)
    age, sex, pressure, diabetes = model["facts"]
    assert (age["unit"], age["low"], age["high"]) == ("years", 0.0, 120.0)
    assert (sex["kind"], sex["categories"], sex["low"]) == ("category", ["female", "male"], None)
    assert (pressure["title"], pressure["unit"]) == ("Systolic blood pressure", "mmHg")
    assert (diabetes["kind"], diabetes["unit"]) == ("flag", None)
    assert model["calibration"]["ecg"] == {
        "calibrated": True, "validated_on": None, "threshold": 0.3, "reason": None,
    }  # fmt: skip
    assert "Research use only" in model["notice"]
    for name in model["facts"]:
        given = {"age_years": 60, "sex": "female", "sbp_mmhg": 130, "diabetes": True}[name["name"]]
        assert client.post("/v1/predict/json", json={"facts": {name["name"]: given}}).status_code == 200


@pytest.mark.parametrize("kind", ["regression", "survival"])
def test_a_value_that_nothing_was_fitted_for_is_validated_and_not_calibrated(predictor: Predictor, kind: str) -> None:
    known = {"calibration": {"ecg": Calibration(None, None, None)}, "certainty": {"ecg": Certainty(140, 20)}}
    contract = SimpleNamespace(**{**vars(predictor.contract), "kind": kind, **known})
    shown = SimpleNamespace(artifact=predictor.artifact, contract=contract)
    (found,) = describe(shown, explains=False)["calibration"].values()  # type: ignore[arg-type]
    assert found == {"calibrated": False, "validated_on": 140, "threshold": None, "reason": None}


def test_the_cohort_and_the_card_are_told_where_the_bundle_has_them(predictor: Predictor, tmp_path: Path) -> None:
    bare = describe(predictor, explains=False)
    assert (bare["cohort"], bare["card"]) == (None, None)
    (tmp_path / CARD).write_text("# Card")
    splits = {"validation": {"samples": 40, "positive": 11}}
    risks = {"ecg": SimpleNamespace(edges=(0.0, 0.1, 1.0), counts=(30, 10))}
    contract = SimpleNamespace(**{**vars(predictor.contract), "summary": {"splits": splits}, "risks": risks})
    artifact = SimpleNamespace(digest="0", manifest={"files": {CARD: {}}}, file=lambda name: tmp_path / name)
    told: Any = SimpleNamespace(contract=contract, artifact=artifact)
    found = describe(told, explains=True)
    assert found["card"] == "# Card"
    assert found["cohort"] == {
        "n": 40, "positive": 11, "of": "visits of validation subjects",
        "risks": {"ecg": {"edges": [0.0, 0.1, 1.0], "counts": [30, 10]}},
    }  # fmt: skip


def test_metrics_are_in_the_text_format_and_count(client: TestClient) -> None:
    def total(text: str) -> int:
        found = re.search(r'^cardiobind_requests_total{route="/v1/predict/json",status="422"} (\d+)$', text, re.M)
        return int(found[1]) if found else 0

    before = total(client.get("/v1/metrics").text)
    client.post("/v1/predict/json", json={})
    text = client.get("/v1/metrics").text
    assert total(text) == before + 1
    sample = r'[a-z_]+({[a-z]+="[^"]*"(,[a-z]+="[^"]*")*})? -?[\d.e+-]+'
    assert all(re.fullmatch(rf"# TYPE \w+ (counter|gauge|histogram)|{sample}", line) for line in text.splitlines())
    assert float(re.search(r"^cardiobind_resident_memory_bytes (.*)$", text, re.M)[1]) > 1e7  # type: ignore[index]


def test_a_histogram_counts_up_to_each_bound() -> None:
    histogram, values = Histogram((1.0, 2.0)), (0.5, 1.0, 1.5, 7.0)
    for value in values:
        histogram.add(value)
    counted = [sum(value <= bound for value in values) for bound in (1.0, 2.0, math.inf)]
    expected = [f'x_bucket{{le="{le}"}} {n}' for le, n in zip(("1.0", "2.0", "+Inf"), counted, strict=True)]
    assert list(histogram.lines("x")) == [*expected, "x_sum 10.0", "x_count 4"]
    assert Metrics().text(restarts=3).endswith("cardiobind_worker_restarts_total 3\n")


def test_no_identifier_is_logged_or_answered(
    predictor: Predictor, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Names in files, file names, fields, paths, queries and headers; good files and broken ones."""
    answers: list[Any] = []
    with caplog.at_level(logging.DEBUG), serving(predictor, Settings(workers=1)) as client:
        client.headers.update({"X-Patient": "SMITH^Jane", "User-Agent": "SMITH", "X-Request-Id": "9000001"})
        for kind, sample in (ECG_SAMPLES | CINE_SAMPLES).items():
            field = "cmr" if kind in CINE_SAMPLES else "ecg"
            files = beside(sample(tmp_path / kind, cine() if field == "cmr" else counts()))
            answers.append(client.post("/v1/predict?patient=SMITH", files=parts(field, files)))
            broken = [(field, (f"SMITH_Jane_{f.name}", f.read_bytes()[:700])) for f in files]
            answers.append(client.post("/v1/predict", files=broken))
        answers.append(client.post("/v1/predict/json", json={"facts": {"SMITH": "Jane"}, "Jane": 1}))
        answers.append(client.post("/v1/predict/json", json={"facts": {"sex": "SMITH", "age_years": "9000001"}}))
        answers.append(client.post("/v1/predict", files={"SMITH": (None, "Jane")}))
        answers.append(client.request("PATIENT", "/v1/model"))
        answers += [client.get("/v1/SMITH"), client.get("/assets/9000001.js"), client.get("/v1/metrics")]
    assert sum(answer.status_code == 200 for answer in answers) >= 12
    shown = capfd.readouterr()
    told = "".join(answer.text + str(answer.headers) for answer in answers)
    logged = "\n".join(one.getMessage() for one in caplog.records if one.name != "httpx")  # which is the client's
    for text in (told, logged, shown.out, shown.err):
        assert not [name for name in NAMES if name in text]
    assert logged.count("POST /v1/predict") >= 12
    assert "other /v1/model: 405" in logged


def test_an_error_of_our_own_is_a_500_without_a_trace(predictor: Predictor, caplog: pytest.LogCaptureFixture) -> None:
    def explain(*_: Any) -> Any:
        raise RuntimeError("SECRETNAME")

    with serving(predictor, Settings(workers=1), explain=explain) as client:
        answer = client.post("/v1/predict/json", json={"facts": {"age_years": 60}, "explain": True})
    assert error_of(answer, 500)["code"] == "failed"
    assert "Traceback" not in answer.text + caplog.text
    assert "SECRETNAME" not in answer.text + caplog.text
    assert "RuntimeError at test_serve_routes.py" in caplog.text


@pytest.mark.parametrize(
    ("host", "private"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("192.0.2.1", False), ("::", False), ("10.0.0.7", False)],
)
def test_who_can_reach_the_server_is_said(host: str, private: bool) -> None:
    assert running.is_loopback(host) == private
    lines = running.greeting("Infarction", host, 8000, Settings())
    assert ":8000/" in lines[0]
    assert "Research use only" in lines[1]
    assert sum("WARNING" in line for line in lines) == (0 if private else 3)
    with_key = running.greeting("Infarction", host, 8000, Settings(api_key="k" * 16))
    assert sum("WARNING" in line for line in with_key) == (0 if private else 2)


def test_the_key_is_read_from_a_file_else_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARDIOBIND_API_KEY", "from-the-environment ")
    assert read_api_key(None) == "from-the-environment"
    (tmp_path / "key").write_text("from-the-file\n")
    assert read_api_key(tmp_path / "key") == "from-the-file"
    (tmp_path / "empty").write_text("\n")
    for name in ("empty", "nowhere"):
        with pytest.raises(ConfigError):
            read_api_key(tmp_path / name)
    monkeypatch.delenv("CARDIOBIND_API_KEY")
    assert read_api_key(None) == ""


def test_without_the_extra_the_error_names_it(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_is_there", lambda package: package != "uvicorn")
    with pytest.raises(ConfigError, match=r"cardiobind\[serve\]"):
        make_app(predictor)
    monkeypatch.setattr(running, "_is_there", lambda package: package != "captum")
    with serving(predictor, Settings(workers=1)) as client:
        assert not client.get("/v1/model").json()["explains"]


def test_the_nearest_cases_are_those_of_the_index(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    def neighbours_for(index: str, contract: Any) -> Any:
        assert (index, contract) == ("opened some-index", predictor.contract)
        return lambda prepared: [{"modality": prepared.inputs}]

    monkeypatch.setattr("cardiobind.pipeline.search.open_index", lambda place: f"opened {place}")
    monkeypatch.setattr("cardiobind.pipeline.search.neighbours_for", neighbours_for)
    with serving(predictor, Settings(workers=1), neighbours=running.nearest_cases("some-index", predictor)) as client:
        answer = client.post("/v1/predict/json", json={"facts": {"age_years": 60}})
    assert answer.json()["neighbours"] == [{"modality": "tabular"}]
