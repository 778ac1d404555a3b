"""What cannot be answered is refused by a code, at its field, within limits, and the next request is answered."""

from __future__ import annotations

import asyncio
import io
import json
import os
import socket
import threading
import time
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from cardiobind.cohort import Limits
from cardiobind.errors import ConfigError
from cardiobind.inference.predictor import Predictor
from cardiobind.serve import Settings, run
from cardiobind.serve.pool import Pool, Worker, check_temporary_folder
from cardiobind.serve.refusals import Refusal
from cardiobind.serve.work import CRASHED, Job, do
from format_samples import CINE_SAMPLES, ECG_SAMPLES, cine, counts
from hostile import HostileContract
from serving import beside, error_of, facts, parts, serving

KEY = "a-key-of-some-length"


def zipped(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


SMALL_ZIP = zipped(a=b"x")
UPLOADS: dict[str, tuple[list[tuple[str, tuple[str, bytes]]], int, str, str | None]] = {
    "text for an ECG": ([("ecg", ("a.txt", b"hello"))], 415, "not_recognised", "ecg"),
    "empty": ([("ecg", ("a.xml", b""))], 415, "not_recognised", "ecg"),
    "entity bomb": (
        [("ecg", ("a.xml", b'<!DOCTYPE x [<!ENTITY a "aa">]><CardiologyXML>&a;</CardiologyXML>'))],
        422, "bad_xml", "ecg",
    ),
    "two ECGs": ([("ecg", ("a.xml", b"<a/>")), ("ecg", ("b.xml", b"<a/>"))], 422, "several_ecgs", "ecg"),
    "same name": ([("ecg", ("a.xml", b"<a/>")), ("ecg", ("a.xml", b"<a/>"))], 422, "duplicate_file", "ecg"),
    "csv without layout": ([("ecg", ("a.csv", b"1,2\n3,4\n"))], 422, "bad_header", "ecg"),
    "header alone": ([("ecg", ("a.hea", b"a 1 500 10\nb.dat 16 1000/mV 16 0 0 0 0 I\n"))], 422, "missing_file", "ecg"),
    "file of the server": (
        [("ecg", ("a.hea", b"a 1 500 10\n/etc/passwd 16 1000/mV 16 0 0 0 0 I\n"))], 422, "bad_header", "ecg",
    ),
    "zip bomb": ([("cmr", ("a.zip", zipped(a=b"\0" * (80 << 20))))], 413, "unsafe_archive", "cmr"),
    "no zip": ([("cmr", ("a.zip", b"PK\x03\x04 no"))], 422, "bad_zip", "cmr"),
    "zip that leaves": ([("cmr", ("a.zip", zipped(**{"../../x.dcm": b"x"})))], 413, "unsafe_archive", "cmr"),
    "cine without frames": ([("cmr", ("a.zip", zipped(a=b"x")))], 422, "no_frames", "cmr"),
}  # fmt: skip


@pytest.mark.parametrize("name", UPLOADS)
def test_files_are_refused_by_a_code_at_their_field(client: TestClient, name: str) -> None:
    files, status, code, where = UPLOADS[name]
    error = error_of(client.post("/v1/predict", files=files), status)
    assert (error["code"], error["where"]) == (code, where)


BODIES: dict[str, tuple[Any, int, str, str | None]] = {
    "nothing": ({}, 422, "nothing_given", None),
    "facts that say nothing": ({"facts": {"age_years": None}}, 422, "nothing_given", None),
    "out of range": ({"facts": {"age_years": 1000}}, 422, "unusable_fact", "facts.age_years"),
    "truth for a number": ({"facts": {"age_years": True}}, 422, "unusable_fact", "facts.age_years"),
    "no such category": ({"facts": {"sex": "SECRETNAME"}}, 422, "unusable_fact", "facts.sex"),
    "unknown fact": ({"facts": {"age_yaers": 61}}, 422, "unknown_fact", "facts"),
    "facts of another bundle": ({"facts": {"hba1c_mmol_mol": 40}}, 422, "unusable_input", "facts"),
    "unknown field": ({"SECRETNAME": 1}, 422, "breaks_schema", None),
    "facts as a list": ({"facts": [1]}, 422, "breaks_schema", "facts"),
    "nested": ({"facts": {"age_years": {"a": 1}}}, 422, "breaks_schema", "facts"),
    "no leads": ({"ecg": {"rate_hz": 500, "unit": "mV", "leads": {}}}, 422, "breaks_schema", "ecg.leads"),
    "no such lead": ({"ecg": {"rate_hz": 500, "unit": "mV", "leads": {"X": [1]}}}, 422, "breaks_schema", "ecg.leads"),
    "no such unit": ({"ecg": {"rate_hz": 500, "unit": "Pa", "leads": {"I": [1]}}}, 422, "breaks_schema", "ecg.unit"),
    "no rate": ({"ecg": {"rate_hz": 0, "unit": "mV", "leads": {"I": [1]}}}, 422, "breaks_schema", "ecg.rate_hz"),
    "unequal": ({"ecg": {"rate_hz": 500, "unit": "mV", "leads": {"I": [1], "II": [1, 2]}}}, 422, "wrong_length", "ecg"),
    "short": ({"ecg": {"rate_hz": 500, "unit": "mV", "leads": {"I": [0.0, 0.1] * 9}}}, 422, "too_short", "ecg"),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_json_is_refused_by_a_code_at_its_field(client: TestClient, name: str) -> None:
    body, status, code, where = BODIES[name]
    answer = client.post("/v1/predict/json", json=body)
    error = error_of(answer, status)
    assert (error["code"], error["where"]) == (code, where)
    assert "SECRETNAME" not in answer.text


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"[" * 100_000, b'{"facts": {"age_years": NaN}}', b"1e999", b'"a"']
)
def test_bytes_that_are_no_request_are_refused(client: TestClient, body: bytes) -> None:
    answer = client.post("/v1/predict/json", content=body, headers={"content-type": "application/json"})
    assert error_of(answer, answer.status_code)["code"] in {"not_json", "breaks_schema"}
    assert answer.status_code in {400, 422}


def test_facts_of_a_form_are_told_apart(client: TestClient) -> None:
    for text, code in (("{", "not_json"), ("[1]", "breaks_schema"), ('{"age_years": 1000}', "unusable_fact")):
        answer = client.post("/v1/predict", files={"facts": (None, text)})
        assert error_of(answer, answer.status_code)["code"] == code
    answer = client.post("/v1/predict", files={"facts": (None, '{"age_years": 60}'), "explain": (None, "maybe")})
    assert error_of(answer, 422)["where"] == "explain"


def test_what_is_no_form_or_no_route_is_refused(client: TestClient) -> None:
    assert error_of(client.post("/v1/predict", json={}), 415)["code"] == "not_a_form"
    cut = {"content-type": "multipart/form-data; boundary=x"}
    for body in (
        b"",
        b"--x\r\nnonsense",
        b'--x\r\nContent-Disposition: form-data; name="ecg"; filename="a"\r\n\r\nabc',
    ):
        assert error_of(client.post("/v1/predict", content=body, headers=cut), 400)["code"] == "broken_form"
    assert error_of(client.post("/v1/predict", files={"9000001": (None, "x")}), 422)["code"] == "unknown_field"
    assert error_of(client.get("/v1/9000001"), 404)["code"] == "not_found"
    wrong = client.get("/v1/predict")
    assert error_of(wrong, 405)["code"] == "wrong_method"
    assert wrong.headers["allow"] == "POST"
    assert client.get("/assets/..%2f__init__.py").status_code == 404
    assert client.get("/assets/__init__.py").status_code == 404


def test_a_modality_that_the_bundle_does_not_know_is_refused_at_its_field(predictor: Predictor) -> None:
    contract = predictor.contract
    only = replace(contract, inputs={"tabular": contract.inputs["tabular"]}, ecg=None, cmr=None)
    body = {"ecg": {"rate_hz": 500, "unit": "mV", "leads": {"I": [0.0, 0.1] * 2500}}}
    found = do(only, Job(body=json.dumps(body).encode()), Limits(), 1 << 30)
    assert isinstance(found, Refusal)
    assert (found.status, found.code, found.where, found.expected) == (422, "unknown_modality", "ecg", "facts")


@pytest.fixture
def narrow(predictor: Predictor) -> Iterator[TestClient]:
    settings = Settings(
        workers=1, largest_request_bytes=60_000, largest_json_bytes=2_000, largest_ecg_bytes=20_000, most_files=3,
        most_unpacked_bytes=100_000, api_key=KEY, hosts=("testserver",), most_requests=2,
    )  # fmt: skip
    with serving(predictor, settings) as client:
        client.headers["X-API-Key"] = KEY
        yield client


def test_size_number_key_and_host_are_limited(narrow: TestClient) -> None:
    one = [("ecg", ("a.xml", b"x" * 20_001))]
    assert error_of(narrow.post("/v1/predict", files=one), 413)["where"] == "ecg"
    whole = [("cmr", ("a.zip", b"x" * 60_001))]
    assert error_of(narrow.post("/v1/predict", files=whole), 413)["code"] == "too_large"
    body = b'{"facts": {"age_years": 60' + b" " * 2_000 + b"}}"
    assert error_of(narrow.post("/v1/predict/json", content=body), 413)["code"] == "too_large"
    assert error_of(narrow.post("/v1/predict/json", content=iter([body])), 413)["code"] == "too_large"
    many = [("cmr", (f"{n}.dcm", b"x")) for n in range(4)]
    assert error_of(narrow.post("/v1/predict", files=many), 413)["code"] == "too_many_files"
    bomb = [("cmr", ("a.zip", zipped(a=b"\0" * 100_001)))]
    assert error_of(narrow.post("/v1/predict", files=bomb), 413)["code"] == "unsafe_archive"
    for given in ("", "b" * len(KEY), KEY[:-1], KEY + "a"):
        answer = narrow.post("/v1/predict/json", json={"facts": {"age_years": 60}}, headers={"X-API-Key": given})
        assert error_of(answer, 401)["code"] == "unauthorized"
    assert narrow.get("/v1/model", headers={"X-API-Key": "", "Authorization": f"Bearer {KEY}"}).status_code == 200
    assert narrow.get("/v1/metrics", headers={"X-API-Key": ""}).status_code == 401
    assert narrow.get("/v1/health", headers={"X-API-Key": ""}).status_code == 200
    assert narrow.get("/", headers={"X-API-Key": ""}).status_code == 200
    assert error_of(narrow.get("/v1/health", headers={"host": "evil.example"}), 421)["code"] == "unknown_host"
    assert narrow.post("/v1/predict/json", json={"facts": {"age_years": 60}}).status_code == 200


async def send_slowly(app: Any, pieces: Sequence[bytes], go_on: Any) -> int:
    """Send a JSON body piece by piece, waiting for `go_on` before each but the first; return the status."""
    left, answers = list(pieces), []

    async def receive() -> dict[str, Any]:
        if len(left) < len(pieces):
            await go_on()
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    async def send(message: dict[str, Any]) -> None:
        answers.append(message)

    path = "/v1/predict/json"
    await app(
        {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": [],
         "http_version": "1.1", "scheme": "http", "root_path": "", "app": app},
        receive, send,
    )  # fmt: skip
    return int(answers[0]["status"])


def test_one_request_too_many_is_told_when_to_come_again(predictor: Predictor) -> None:
    """While an answer in work holds the only place."""
    begun, go_on = threading.Event(), threading.Event()

    def explain(*_: Any) -> dict[str, Any]:
        begun.set()
        go_on.wait(30)
        return {}

    asked = {"facts": (None, '{"age_years": 60}'), "explain": (None, "true")}
    with serving(predictor, Settings(workers=1, most_requests=1), explain=explain) as client:
        with ThreadPoolExecutor(1) as thread:
            first = thread.submit(client.post, "/v1/predict", files=asked)
            try:
                assert begun.wait(30)
                refused = client.post("/v1/predict/json", json={"facts": {"age_years": 60}})
            finally:
                go_on.set()
            assert first.result(30).status_code == 200
    assert error_of(refused, 429)["code"] == "busy"
    assert int(refused.headers["retry-after"]) > 0


def test_a_body_that_does_not_come_is_given_up(predictor: Predictor) -> None:
    with serving(predictor, Settings(workers=1, receive_seconds=0.2)) as client:
        portal: Any = client.portal
        assert portal.call(send_slowly, client.app, [b"{", b"}"], partial(asyncio.sleep, 60)) == 408
        assert client.post("/v1/predict/json", json={"facts": {"age_years": 60}}).status_code == 200


@pytest.mark.parametrize("how", ["hangs", pytest.param("hangs outside Python", marks=pytest.mark.slow), "dies"])
def test_a_reader_that_hangs_or_dies_costs_its_request_alone(predictor: Predictor, how: str) -> None:
    hostile: Any = HostileContract(how)
    settings = Settings(limits=Limits(0.3, 1 << 30))
    worker = Worker(hostile, settings)
    try:
        worker.wait_until_ready()
        began = time.monotonic()
        found: Any = worker.ask(Job(body=b"{}"))
        assert time.monotonic() - began < 20
        assert found == CRASHED if how == "dies" else (found.status, found.code) == (504, "timed_out")
        assert worker.restarts == (how != "hangs")
        worker._contract = predictor.contract
        worker._replace()
        assert not hasattr(worker.ask(Job(body=b'{"facts": {"age_years": 60}}')), "status")
    finally:
        worker.stop()


def test_a_preparation_that_takes_too_long_is_ended(predictor: Predictor, tmp_path: Path) -> None:
    place = CINE_SAMPLES["nifti"](tmp_path, cine())
    with serving(predictor, Settings(workers=1, limits=Limits(0.01))) as client:
        assert error_of(client.post("/v1/predict", files=parts("cmr", [place])), 504)["code"] == "timed_out"


def test_files_are_gone_when_the_answer_is_there(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those of requests that were refused; an archive is not kept open by a worker either."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    place, ecg = CINE_SAMPLES["dicom"](tmp_path, cine()), ECG_SAMPLES["wfdb"](tmp_path / "ecg", counts())
    with serving(predictor, Settings(workers=1)) as client:
        assert client.post("/v1/predict", files=parts("cmr", [place])).status_code == 200
        assert client.post("/v1/predict", files=parts("ecg", beside(ecg))).status_code == 200
        assert client.post("/v1/predict", files=parts("ecg", [ecg]), data=facts(age_years=1000)).status_code == 422
        held = [file for folder in (tmp_path / "temporary").iterdir() for file in folder.rglob("*")]
        assert not held
        (worker,) = client.app.state.service.pool.workers  # type: ignore[attr-defined]
        links = [os.readlink(link) for link in Path(f"/proc/{worker._process.pid}/fd").iterdir()]
        assert not [link for link in links if ".zip" in link]
    assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.parametrize("name", ["a.zip", "A.ZIP"])
def test_archives_are_counted_together_whatever_their_case(predictor: Predictor, tmp_path: Path, name: str) -> None:
    (tmp_path / "cmr").mkdir()
    (tmp_path / "cmr" / name).write_bytes(zipped(a=b"x" * 1000))
    found: Any = do(predictor.contract, Job(str(tmp_path)), Limits(30.0, 2 << 30), 999)
    assert (found.status, found.code) == (413, "unsafe_archive")


@pytest.mark.parametrize("field", ["ecg", "cmr"])
def test_an_index_of_insane_size_is_not_read(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    monkeypatch.setattr("cardiobind.formats.archive.LARGEST_INDEX_BYTES", 10)
    monkeypatch.setattr(zipfile, "ZipFile", None)
    (tmp_path / field).mkdir()
    (tmp_path / field / "a.zip").write_bytes(SMALL_ZIP)
    found: Any = do(predictor.contract, Job(str(tmp_path)), Limits(30.0, 2 << 30), 1 << 30)
    assert (found.status, found.code, found.where) == (413, "unsafe_archive", field)


def test_a_temporary_folder_that_sockets_do_not_fit_in_is_named(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multiprocessing.util.get_temp_dir", lambda: f"/{'t' * 75}/pymp-12345678")
    with pytest.raises(ConfigError, match="temporary folder is too long"):
        run(tmp_path / "none")
    with pytest.raises(ConfigError, match="temporary folder is too long"):
        Pool(predictor.contract, Settings())
    monkeypatch.setattr("multiprocessing.util.get_temp_dir", lambda: f"/{'t' * 74}/pymp-12345678")
    check_temporary_folder()
    path = f"/{'t' * 74}/pymp-12345678/listener-12345678"
    with socket.socket(socket.AF_UNIX) as one, pytest.raises(FileNotFoundError):
        one.connect(path)
    with socket.socket(socket.AF_UNIX) as one, pytest.raises(OSError, match="too long"):
        one.connect(f"{path}t")


def test_a_server_without_limits_is_none() -> None:
    with pytest.raises(ConfigError, match="above 0"):
        Settings(most_requests=0)
    with pytest.raises(ConfigError, match="too short"):
        Settings(api_key="short")
    assert KEY not in repr(Settings(api_key=KEY))
