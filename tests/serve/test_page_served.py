"""The page in a real browser over a real server and bundle: each vendor's recording, a real cine, and what is none."""

from __future__ import annotations

import io
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from browsing import chromium, watched
from walking import Walk

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PATIENCE_MS = 60_000
VENDORS = {
    "GE Muse": ("vendor_ecg/ge_muse_xml/braveheart_example1.xml",),
    "SCP-ECG": ("vendor_ecg/scp_ecg/Example.scp",),
    "DICOM": ("vendor_ecg/dicom_ecg/Example.dcm",),
    "HL7 aECG": ("vendor_ecg/hl7_aecg/Example.xml",),
    "Philips": ("vendor_ecg/philips_sierra_xml/*.xml",),
    "WFDB": (
        "ptbxl/sample/records500/00000/00001_hr.hea",
        "ptbxl/sample/records500/00000/00001_hr.dat",
    ),
}


@pytest.fixture(scope="module")
def address(walked: Walk) -> Iterator[str]:
    """Serve the bundle of the walk, with explanations."""
    uvicorn = pytest.importorskip("uvicorn")
    from cardiobind.explain import explain
    from cardiobind.inference import load
    from cardiobind.serve import Settings, make_app

    app = make_app(load(walked.bundle), Settings(workers=1), explain=lambda p, s: explain(p, s).to_json())
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.1)
    try:
        assert server.started
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def browser(address: str) -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    with watched(browser, address) as opened:
        opened.set_default_timeout(PATIENCE_MS)
        opened.wait_for_selector("#fact-age_years")
        yield opened


def score(page: Page) -> str:
    """Send what was chosen; return what the status line says."""
    page.click("#submit")
    page.wait_for_selector(".origin, .refusal")
    return page.inner_text("#status")


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_recording_of_each_vendor_is_drawn_and_scored(page: Page, shared_data: Path, vendor: str) -> None:
    files = [found for name in VENDORS[vendor] for found in sorted(shared_data.glob(name))[:1]]
    if not files:
        pytest.skip(f"no recording of {vendor} in {shared_data}")
    page.set_input_files("#ecg", files)
    said = score(page)
    assert said.startswith(("Scored. Risk", "No ")), page.inner_text("#problem")
    names = page.locator(".paper .lead").all_text_contents()
    assert names == ["I", "aVR", "V1", "V4", "II", "aVL", "V2", "V5", "III", "aVF", "V3", "V6", "II"]
    assert all(page.locator(f'[data-lead="{lead}"] .trace').first.get_attribute("d") for lead in ("I", "aVF", "V6"))
    assert "ECG" in page.inner_text(".verdicts")
    assert (page.locator(".halo").count() > 0) == (not said.startswith("No score is given")), (
        "one that abstains explains nothing"
    )


def test_a_simulated_person_with_all_there_is(page: Page, walked: Walk) -> None:
    subject = next(file.name[:7] for file in sorted((walked.raw / "bulk").glob("*_20209_*.zip"))
                   if list((walked.raw / "bulk").glob(f"{file.name[:7]}_20205_*.xml")))  # fmt: skip
    for field, code in (("#ecg", "20205"), ("#cmr", "20209")):
        page.set_input_files(field, sorted((walked.raw / "bulk").glob(f"{subject}_{code}_*")))
    page.get_by_label("Age (years)").fill("61")
    page.get_by_label("Sex").select_option("male")
    assert score(page).startswith(("Scored. Risk", "No risk is given")), page.inner_text("#problem")
    assert page.locator(".player canvas").is_visible()
    box, screen = (page.locator(f".player {part}").bounding_box() for part in (".crop .over", ".screen"))
    assert box is not None
    assert screen is not None
    assert box["x"] < screen["x"] + screen["width"]
    assert box["y"] < screen["y"] + screen["height"]
    captions = page.locator(".plane figcaption").all_inner_texts()
    assert len(captions) == 4
    assert "all moments together" in captions[-1]
    shares = page.locator(".shares > table tbody th").all_inner_texts()
    assert sorted(shares) == ["Cine MRI", "ECG", "Medical facts"]
    assert "61 years" in page.inner_text(".given")
    assert "facts were missing" in page.inner_text(".given")


def test_a_real_cine_plays(page: Page, shared_data: Path) -> None:
    study = shared_data / "sunnybrook" / "SCD0000101.zip"
    if not study.is_file():
        pytest.skip(f"no cine at {study}")
    page.set_input_files("#cmr", study)
    assert score(page).startswith(("Scored. Risk", "No ")), page.inner_text("#problem")
    assert "of 12" in page.inner_text(".player figcaption")
    slider = page.locator(".player input")
    assert slider.get_attribute("max") == "20"
    before = slider.input_value()
    page.wait_for_timeout(500)
    assert slider.input_value() != before, "it plays"


def test_what_is_no_recording_is_refused_at_its_field(page: Page) -> None:
    page.set_input_files("#ecg", {"name": "letter.txt", "mimeType": "text/plain", "buffer": b"Dear colleague,\n" * 50})
    score(page)
    page.wait_for_selector("#ecg:focus")
    assert page.inner_text("#ecg-error")
    assert "Not scored" in page.inner_text("#problem")
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    page.reload()
    page.set_input_files("#cmr", {"name": "study.zip", "mimeType": "application/zip", "buffer": empty.getvalue()})
    score(page)
    page.wait_for_selector("#cmr:focus")
    assert page.inner_text("#cmr-error")
    assert page.locator("#answer > *").count() == 0
