"""Promise P7: what is served is what `predict` says, bit for bit, for every format and for many at once."""

from __future__ import annotations

import base64
import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from cardiobind import inference
from cardiobind.formats import read_cine, read_ecg
from cardiobind.inference import prepared
from cardiobind.inference.predictor import Predictor
from cardiobind.modalities.cmr.preparation import prepare_cmr
from cardiobind.modalities.records import LEADS
from cardiobind.serve import work
from format_samples import CINE_SAMPLES, ECG_SAMPLES, cine, counts
from serving import CMR, beside, facts, parts, serving
from walking import Walk

FACTS = {"age_years": 61.0, "sex": "male", "diabetes": True}


def said(prediction: Any) -> Any:
    """Return a prediction as JSON gives it back, every bit of a number included."""
    return json.loads(json.dumps(prediction.to_json()))


@pytest.mark.parametrize("kind", ECG_SAMPLES)
def test_every_ecg_format_is_served_as_it_is_predicted(
    client: TestClient, predictor: Predictor, tmp_path: Path, kind: str
) -> None:
    place = ECG_SAMPLES[kind](tmp_path, counts())
    answer = client.post("/v1/predict", files=parts("ecg", beside(place)), data=facts(**FACTS))
    assert answer.status_code == 200, answer.text
    assert answer.json()["prediction"] == said(predictor.predict(ecg=place, table=FACTS))


@pytest.mark.slow
@pytest.mark.parametrize("kind", CINE_SAMPLES)
def test_every_cine_format_is_served_as_it_is_predicted(
    client: TestClient, predictor: Predictor, tmp_path: Path, kind: str
) -> None:
    place = CINE_SAMPLES[kind](tmp_path, cine())
    answer = client.post("/v1/predict", files=parts("cmr", [place]))
    assert answer.status_code == 200, answer.text
    assert answer.json()["prediction"] == said(predictor.predict(cmr=place))


def test_long_axis_views_are_read_where_predict_reads_them(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared, "read_long_axis", lambda place, _: ({}, {"lax_2ch": Path(place).name}))
    contract = replace(predictor.contract, cmr=replace(CMR, long_axis=("lax_2ch",)))
    (tmp_path / "cmr").mkdir()
    place = Path(CINE_SAMPLES["nifti"](tmp_path / "cmr", cine()))
    assert work._cine(contract, tmp_path).long_axis_faults == {"lax_2ch": place.name}
    (tmp_path / "cmr_long_axis").mkdir()
    (tmp_path / "cmr_long_axis" / "views.zip").write_bytes(b"")
    assert work._cine(contract, tmp_path).long_axis_faults == {"lax_2ch": "views.zip"}
    assert prepared.read_cmr(contract, place, tmp_path / "cmr_long_axis").long_axis_faults == {
        "lax_2ch": "cmr_long_axis"
    }
    assert work._cine(predictor.contract, tmp_path).long_axis_faults == {}


@pytest.mark.slow
def test_the_dicom_files_of_a_cine_need_no_archive(client: TestClient, predictor: Predictor, tmp_path: Path) -> None:
    place = CINE_SAMPLES["dicom"](tmp_path / "zip", cine())
    with ZipFile(place) as archive:
        archive.extractall(tmp_path / "files")
    files = [file for file in (tmp_path / "files").rglob("*") if file.is_file()]
    answer = client.post("/v1/predict", files=parts("cmr", files), data={"signals": "false"})
    assert answer.json()["prediction"] == said(predictor.predict(cmr=place))
    assert answer.json()["cine"] is None


def test_an_ecg_as_json_is_the_same_as_in_a_file(client: TestClient, predictor: Predictor, tmp_path: Path) -> None:
    place = ECG_SAMPLES["array_ecg"](tmp_path, counts())
    record = read_ecg(place)
    leads = {lead: row.astype(float).tolist() for lead, row in zip(LEADS, record.amplitude_mv, strict=True)}
    body = {"facts": FACTS, "ecg": {"rate_hz": 500, "unit": "mV", "leads": leads}}
    answer = client.post("/v1/predict/json", json=body).json()
    assert answer["prediction"] == said(predictor.predict(ecg=place, table=FACTS))
    assert answer["ecg"] is None


def test_leads_left_out_of_json_are_calculated_or_said_to_be_missing(client: TestClient) -> None:
    stored = {lead: (counts()[lead] / 200.0).tolist() for lead in ("I", "II", "V1")}
    stored["V1"][7] = None
    body = {"ecg": {"rate_hz": 500, "unit": "mV", "leads": stored}, "signals": True}
    answer = client.post("/v1/predict/json", json=body).json()
    assert answer["ecg"]["present"] == ["I", "II", "III", "aVR", "aVL", "aVF", "V1"]
    assert answer["ecg"]["amplitude_mv"][LEADS.index("V1")][6:9].count(None) == 1
    assert answer["ecg"]["amplitude_mv"][LEADS.index("V2")] == [None] * 5000
    assert "missing_lead" in answer["ecg"]["quality"]


def test_many_at_once_get_each_its_own_score(client: TestClient, predictor: Predictor, tmp_path: Path) -> None:
    """Different subjects, so that an answer that is given to another one is seen."""
    place = ECG_SAMPLES["cardiosoft_xml"](tmp_path, counts())
    given = [{"age_years": 40.0 + n, "sex": "male" if n % 2 else "female"} for n in range(16)]

    def ask(one: dict[str, Any]) -> Any:
        if one["sex"] == "female":
            return client.post("/v1/predict/json", json={"facts": one})
        return client.post("/v1/predict", files=parts("ecg", [place]), data=facts(**one))

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, given))
    for one, answer in zip(given, answers, strict=True):
        ecg = place if one["sex"] == "male" else None
        assert answer.json()["prediction"] == said(predictor.predict(ecg=ecg, table=one))
    assert len({answer.json()["prediction"]["logit"] for answer in answers}) == 16


def test_the_ecg_that_comes_back_is_the_recording(client: TestClient, tmp_path: Path) -> None:
    place = ECG_SAMPLES["wfdb"](tmp_path, counts())
    answer = client.post("/v1/predict", files=parts("ecg", beside(place))).json()["ecg"]
    assert (answer["rate_hz"], answer["start_s"], answer["leads"]) == (500.0, 0.0, list(LEADS))
    np.testing.assert_allclose(np.array(answer["amplitude_mv"]), read_ecg(place).amplitude_mv, atol=0.51e-4)


@pytest.mark.slow
def test_the_cine_that_comes_back_shows_the_crop_of_the_network(client: TestClient, tmp_path: Path) -> None:
    place = CINE_SAMPLES["dicom"](tmp_path, cine())
    answer = client.post("/v1/predict", files=parts("cmr", [place])).json()["cine"]
    record = read_cine(place)
    spacing = np.array(record.pixel_spacing_mm)
    frames = np.stack([np.asarray(Image.open(io.BytesIO(base64.b64decode(one)))) for one in answer["frames"]])
    shown = record.frames[answer["slice"] - 1]
    assert frames.shape == shown.shape == (record.frames.shape[1], answer["height"], answer["width"])
    assert np.corrcoef(frames.ravel(), shown.ravel())[0, 1] > 0.98
    found = prepare_cmr(record, CMR)
    crop = answer["crop"]
    centre = np.array([crop["top"] + crop["height"] / 2, crop["left"] + crop["width"] / 2]) - 0.5
    np.testing.assert_allclose(centre * spacing, found.centre_mm)
    np.testing.assert_allclose(np.array([crop["height"], crop["width"]]) * spacing, CMR.crop_mm)
    assert [plane["name"] for plane in answer["planes"]] == ["end_systole", "mid_beat", "end_diastole"]
    assert [plane["frame"] for plane in answer["planes"]] == [found.es_phase, found.mid_phase, found.ed_phase]
    assert answer["phase_ms"] == pytest.approx(40.0)


def test_explanations_and_neighbours_come_where_asked_for(predictor: Predictor) -> None:
    def explain(_: Predictor, prepared: inference.PreparedSubject) -> dict[str, Any]:
        return {"modalities": {prepared.inputs: 1.0}}

    near = [{"modality": "ecg", "similarity": 0.9, "phenotypes": []}]
    with serving(predictor, explain=explain, neighbours=lambda *_: near) as client:
        plain = client.post("/v1/predict/json", json={"facts": FACTS}).json()
        explained = client.post("/v1/predict", data=facts(**FACTS), files={"explain": (None, "true")}).json()
        assert client.get("/v1/model").json()["explains"]
    assert (plain["explanation"], plain["neighbours"]) == (None, near)
    assert explained["explanation"] == {"modalities": {"tabular": 1.0}}


def test_one_who_gets_no_score_gets_nothing_that_would_tell_it(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tells(*_: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr("cardiobind.inference.predictor.doubt", lambda _: "impossible facts")
    with serving(predictor, explain=tells, neighbours=tells) as client:
        answer = client.post("/v1/predict", data=facts(**FACTS), files={"explain": (None, "true")}).json()
    assert answer["prediction"]["abstained"] == "impossible facts"
    assert (answer["prediction"]["risk"], answer["explanation"], answer["neighbours"]) == (None, None, None)


def test_nearest_cases_do_not_wait_for_the_explanation_of_another(predictor: Predictor) -> None:
    found = threading.Event()

    def explain(*_: Any) -> dict[str, Any]:
        return {"others": found.wait(20)}

    def near(_: Predictor, prepared: inference.PreparedSubject) -> list[dict[str, Any]]:
        found.set()
        return []

    with serving(predictor, explain=explain, neighbours=near) as client, ThreadPoolExecutor(2) as threads:
        slow = threads.submit(client.post, "/v1/predict/json", json={"facts": FACTS, "explain": True})
        threads.submit(client.post, "/v1/predict/json", json={"facts": FACTS}).result()
        assert slow.result().json()["explanation"] == {"others": True}


@pytest.mark.e2e
def test_a_bundle_of_the_pipeline_is_served_as_it_is_predicted(walked: Walk) -> None:
    loaded = inference.load(walked.bundle)
    bulk = walked.raw / "bulk"
    both = sorted({f.name[:7] for f in bulk.glob("*.zip")} & {f.name[:7] for f in bulk.glob("*.xml")})[:3]
    given = [(bulk / f"{subject}_20205_2_0.xml", bulk / f"{subject}_20209_2_0.zip") for subject in both]

    def ask(files: tuple[Path, Path]) -> Any:
        sent = [*parts("ecg", files[:1]), *parts("cmr", files[1:])]
        return client.post("/v1/predict", files=sent, data=facts(**FACTS))

    with serving(loaded) as client, ThreadPoolExecutor(3) as threads:
        answers = list(threads.map(ask, given))
    for (ecg, cmr), answer in zip(given, answers, strict=True):
        assert answer.json()["prediction"] == said(loaded.predict(ecg=ecg, cmr=cmr, table=FACTS))
