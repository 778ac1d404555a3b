"""The page in a real browser, over a server that says what each test wants."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from browsing import chromium, watched
from page_fakes import MODEL, NOTICE, PAGE, FakeServer, answer, ecg, prediction, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
PX_PER_MM = 96 / 25.4
LONGEST_FILE = 200
CHECKS = (Path(__file__).parent / "page_checks.js").read_text().strip()
AXE = """
axe.run().then((found) => found.violations.map((v) => [v.id, v.nodes.map((n) => n.html.slice(0, 120))]))
"""
NOT_READ = {
    "code": "not_recognised", "message": "no reader knows <b>the format</b>", "where": "ecg", "expected": "an ECG",
    "hint": "export it as SCP-ECG",
}  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServer]:
    with serving() as fake:
        yield fake


@pytest.fixture
def fake(server: FakeServer) -> FakeServer:
    server.reset()
    return server


@pytest.fixture(scope="module")
def window(browser: Browser, server: FakeServer) -> Iterator[Page]:
    with watched(browser, server.address) as opened:
        yield opened


@pytest.fixture
def page(window: Page, fake: FakeServer) -> Page:
    window.emulate_media(media="null", reduced_motion="no-preference")
    window.set_viewport_size({"width": 1280, "height": 900})
    window.goto(fake.address)
    window.wait_for_selector("#model-facts tr", state="attached")
    return window


def score(page: Page, fact: str = "61") -> None:
    """Give one fact and wait for the answer."""
    page.fill("#fact-age_years", fact)
    page.click("#submit")
    page.wait_for_selector(".origin, .refusal, .error:not(:empty)")


def said(page: Page, where: str) -> str:
    return page.inner_text(where).replace("\xa0", " ")


def upload(name: str, content: bytes = b"x") -> dict[str, Any]:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}


def test_the_form_is_what_the_model_takes(page: Page, fake: FakeServer) -> None:
    assert page.inner_text("h1") == MODEL["title"]
    age = page.get_by_label("Age (years)")
    assert (age.get_attribute("min"), age.get_attribute("max")) == ("0", "120")
    assert page.get_by_label("Sex").locator("option").all_inner_texts() == ["not known", "female", "male"]
    assert page.get_by_label("Diabetes").locator("option").all_inner_texts() == ["not known", "no", "yes"]
    assert page.locator("[data-fact]").count() == len(MODEL["facts"])
    page.get_by_label("Sex").select_option("male")
    page.get_by_label("Diabetes").select_option("yes")
    page.set_input_files("#ecg", [upload("r.hea"), upload("r.dat")])
    score(page)
    assert b'{"age_years":61,"sex":"male","diabetes":1}' in fake.sent[0]
    assert re.findall(rb'name="(\w+)"; filename="([\w.]+)"', fake.sent[0]) == [(b"ecg", b"r.hea"), (b"ecg", b"r.dat")]


def test_the_model_is_said_to_be_calibrated_where_the_server_says_so(page: Page) -> None:
    rows = page.locator("#model-facts tr").all_text_contents()
    told = [row for row in rows if "yes" in row or "no: " in row]
    assert [("yes" in row, "no: too few" in row) for row in told] == [(True, False), (False, True), (True, False)]
    assert (
        "Cohort: 233 visits of validation subjects, 13 of them with the endpoint."
        in page.locator("#model-facts").text_content()
    )


@pytest.mark.slow
def test_a_fact_out_of_range_is_refused_at_its_field_and_not_sent(page: Page, fake: FakeServer) -> None:
    score(page, "400")
    age = page.get_by_label("Age (years)")
    assert age.get_attribute("aria-invalid") == "true"
    assert said(page, "#fact-age_years-error") == "Age (years) must be a number from 0 to 120, or left empty."
    page.wait_for_selector("#fact-age_years:focus")
    assert not fake.sent
    score(page, "61")
    assert len(fake.sent) == 1


def test_the_answer_is_said_in_words(page: Page) -> None:
    score(page)
    text = said(page, ".answer")
    for words in (
        "12 %",
        "90 % interval of the risk: 7.1 to 20 %",
        "What the interval covers",
        "About 12 in 100",
        "threshold of 6.0 %",
        "Higher than 87 in 100 validation visits with the same inputs",
    ):
        assert words in text
    assert said(page, "#status") == "Scored. Risk 12 %, interval 7.1 to 20 %."
    assert page.evaluate("document.activeElement.id") == "result"
    assert "12 %" in page.locator(".histogram").get_attribute("aria-label").replace("\xa0", " ")
    heights = [float(bar.get_attribute("height")) for bar in page.locator("rect.cohort").all()]
    assert len(heights) == 8
    assert heights[6] / heights[5] == pytest.approx(20 / 14 / 2), "the area stands for people"
    quality = said(page, ".verdicts")
    assert "ECG: usable, with remarks" in quality
    assert "Noise between the beats" in quality
    assert "Cine MRI: not to be relied on, unlike those the model learnt from" in quality
    assert "2 facts were missing" in said(page, ".given")
    assert re.search(r"ECG\s+\+0.41\s+Cine MRI\s+−0.12", said(page, ".shares"))
    assert "log hazard: + raised the score, − lowered it" in said(page, ".shares")
    assert "log hazard" in said(page, ".given")
    assert page.locator("caption:has-text('(log hazard, all of the recording)')").count() == 1
    assert page.locator("caption:has-text('What each plane did to the score (log hazard)')").count() == 1
    assert page.locator(".plane figcaption").all_text_contents() == [
        "end diastole", "mid beat", "end systole", "all moments together",
    ]  # fmt: skip
    assert "log hazard per cm². White bar: 20 mm." in said(page, ".cine .legend")
    tied = page.locator('table:has(caption:text("From what is shown inside an input to its sum")) tbody tr')
    assert tied.all_text_contents() == ["ECG+0.50+0.01−0.20+0.10+0.41"]
    assert "logit" not in page.content()
    assert "LVEF (%)" in said(page, ".neighbours")
    assert "endpoint" not in said(page, ".neighbours")
    assert "41" in said(page, ".neighbours")


def test_the_paper_is_at_scale(page: Page) -> None:
    score(page)
    trace = page.locator('.paper [data-lead="I"] .trace').get_attribute("d")
    points = [tuple(map(float, at.split())) for at in re.split("[ML]", trace)[1:]]
    xs, ys = zip(*points, strict=True)
    heights = max(ys) - min(ys)
    assert heights == pytest.approx(10.0, abs=0.02), "1 mV is 10 mm"
    tops = [x for x, y in points if y == min(ys)]
    assert tops[1] - tops[0] == pytest.approx(25.0, abs=0.05), "1 s is 25 mm"
    assert xs[-1] - xs[0] == pytest.approx(62.5, abs=0.1), "a column is 2.5 s"
    assert "M-10 " in page.locator(".paper > .trace").first.get_attribute("d")
    names = page.locator(".paper .lead").all_text_contents()
    assert names == ["I", "aVR", "V1", "V4", "II", "aVL", "V2", "V5", "III", "aVF", "V3", "V6 (absent)", "II"]
    box = page.locator(".paper").bounding_box()
    view = page.evaluate(
        "(() => { const v = document.querySelector('.paper').viewBox.baseVal; return [v.width, v.height]; })()"
    )
    assert box["width"] / view[0] == pytest.approx(box["height"] / view[1], rel=0.01), "squares are square"


@pytest.mark.parametrize(
    ("every_s", "height_mv"),
    [
        (1.25, 1.3),
        pytest.param(1.25, 2.4, marks=pytest.mark.slow),
        pytest.param(0.3, 1.1, marks=pytest.mark.slow),
    ],
)
def test_a_leads_name_keeps_off_the_traces(page: Page, fake: FakeServer, every_s: float, height_mv: float) -> None:
    early = ecg(100)
    seconds = np.arange(1000) / 100
    beats = np.exp(-(((((seconds - 0.04) / every_s + 0.5) % 1 - 0.5) * every_s / 0.015) ** 2))
    early["amplitude_mv"][:11] = [(height_mv * beats).round(3).tolist()] * 11
    fake.answer = (200, answer(ecg=early))
    score(page)
    points, touched = page.evaluate(f"{CHECKS}.touched(1)")
    assert points > 1000
    assert touched == []


@pytest.mark.parametrize(
    ("risk", "threshold"),
    [
        (0.093, 0.066),
        *(
            pytest.param(*pair, marks=pytest.mark.slow)
            for pair in [(0.066, 0.093), (0.02, 0.01), (0.01, 0.02), (0.34, 0.3), (0.3, 0.34), (0.1, 0.1)]
        ),
    ],
)
def test_the_histograms_words_lie_on_no_line(page: Page, fake: FakeServer, risk: float, threshold: float) -> None:
    told = prediction(risk=risk, threshold=threshold, positive=risk >= threshold, interval=[0.5 * risk, 0.35])
    fake.answer = (200, answer(prediction=told, explanation=None, ecg=None, cine=None))
    score(page)
    words = " ".join(page.locator(".histogram text").all_text_contents())
    assert "this one" in words
    assert "threshold" in words
    assert page.evaluate(f"{CHECKS}.struck()") == []


@pytest.mark.slow
def test_gaps_are_not_bridged_and_an_offset_does_not_move_a_lead(page: Page, fake: FakeServer) -> None:
    shifted = ecg()
    shifted["amplitude_mv"][0] = [value + 3 for value in shifted["amplitude_mv"][0]]
    fake.answer = (200, answer(ecg=shifted, explanation=None))
    score(page)
    page.select_option("#layout", "12x1")
    assert page.locator('[data-lead="V2"] .trace').get_attribute("d").count("M") == 2
    ys = [
        float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", page.locator('[data-lead="I"] .trace').get_attribute("d"))
    ]
    assert max(ys) - min(ys) == pytest.approx(10.0, abs=0.02)
    assert sorted(ys)[len(ys) // 2] == pytest.approx(round(sorted(ys)[len(ys) // 2] / 5) * 5, abs=0.2), "on the grid"
    assert page.locator(".halo").count() == 0
    assert page.locator("#colours").count() == 0


@pytest.mark.slow
def test_attribution_lies_where_it_is_and_can_be_switched_off_by_key(page: Page) -> None:
    score(page)
    assert page.locator('[data-lead="V4"] .halo.raises').count() > 0
    assert page.locator('[data-lead="V4"] .halo.lowers').count() == 0
    assert page.locator('[data-lead="V5"] .halo').count() == 0
    assert "Compared with a normal ECG, simulated." in said(page, ".ecg .legend")
    coloured = page.locator('[data-lead="V4"] .halo.level-3').get_attribute("d")
    xs = [float(x) for x in re.findall(r"M([\d.]+) ", coloured)]
    assert all(0.35 - 0.05 <= x / 25 % 1 <= 0.45 + 0.05 for x in xs)
    page.locator(".ecg summary").click()
    row = said(page, '.ecg table tr:has(th:text-is("V4"))')
    assert "+1.00" in row
    assert "raised" in row
    page.focus("#colours")
    page.keyboard.press("Space")
    assert not page.locator('[data-lead="V4"] .halo').first.is_visible()
    assert page.locator("#colours").get_attribute("role") == "switch"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"risk": None, "positive": None, "abstained": "this is not a resting 12-lead ECG"}, "The model abstains"),
        ({"risk": None, "threshold": None, "positive": None, "reason": "not calibrated for cmr"}, "Not calibrated"),
    ],
)
def test_without_a_score_none_is_shown_but_why(
    page: Page, fake: FakeServer, changes: dict[str, Any], words: str
) -> None:
    fake.answer = (200, answer(prediction=prediction(interval=None, **changes)))
    score(page)
    text = said(page, ".answer")
    reason = changes.get("abstained") or changes["reason"]
    assert words in text
    assert reason in text
    assert reason in said(page, "#status")
    assert "%" not in text
    assert page.locator(".shares").count() == ("abstained" not in changes)
    assert page.locator(".histogram").count() == 0


@pytest.mark.slow
def test_numbers_and_times_have_their_own_words(page: Page, fake: FakeServer) -> None:
    value = prediction(
        risk=None, threshold=None, value=54.21, unit="%", interval=[48.0, 60.5], title="LVEF", statement="LVEF: 54.2 %"
    )
    fake.answer = (200, {"prediction": value, "ecg": None, "cine": None, "explanation": None, "neighbours": None})
    score(page)
    assert "54.2 %" in said(page, ".answer")
    assert "48 to 60.5 %" in said(page, ".answer")
    fake.answer = (200, answer(prediction=prediction(horizon_years=5.0, threshold=None, positive=None)))
    page.click("#submit")
    page.wait_for_selector(".ecg")
    assert "within 5 years" in said(page, ".answer")
    assert "threshold" not in said(page, ".answer p")


def test_a_refusal_says_what_to_do_and_stands_at_its_field(page: Page, fake: FakeServer) -> None:
    fake.answer = (422, {"error": NOT_READ})
    page.set_input_files("#ecg", [upload("<img src=x onerror=alert(1)>.txt")])
    score(page)
    assert said(page, "#problem").split("\n\n")[:2] == ["Not scored", "no reader knows <b>the format</b>"]
    assert "export it as SCP-ECG" in said(page, "#problem")
    assert said(page, "#ecg-error") == "no reader knows <b>the format</b>"
    assert page.evaluate("document.activeElement.id") == "ecg"
    assert page.locator("#problem b, .chosen img").count() == 0, "text is text"
    fake.answer = (422, {"error": {**NOT_READ, "where": "facts.age_years", "message": "too old"}})
    page.click("#submit")
    page.wait_for_selector("#fact-age_years:focus")
    fake.answer = (429, {"error": {"code": "busy", "message": "busy"}})
    page.click("#submit")
    page.wait_for_selector("#problem:has-text('Wait a few seconds')")


@pytest.mark.slow
def test_a_key_is_asked_for_when_the_server_wants_one_and_kept_nowhere(page: Page, fake: FakeServer) -> None:
    refused = (401, {"error": {"code": "unauthorized", "message": "an API key is needed"}})
    fake.model = refused
    page.reload()
    page.wait_for_selector("#key:focus")
    fake.model = (200, MODEL)
    page.fill("#key", "secret")
    page.keyboard.press("Enter")
    page.wait_for_selector("#fact-age_years")
    score(page)
    assert fake.keys == ["secret"]
    fake.answer = refused
    page.click("#submit")
    page.wait_for_selector("#key:focus")
    kept = page.evaluate(
        "[localStorage.length, sessionStorage.length, document.cookie.length, (location.search + location.hash).length]"
    )
    assert kept == [0, 0, 0, 0]


@pytest.mark.slow
def test_all_is_done_by_keyboard(page: Page, fake: FakeServer) -> None:
    order = []
    for _ in range(9):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none" or order[-1] == "skip"
    assert order[:5] == ["skip", "ecg", "cmr", "fact-age_years", "fact-sex"]
    page.focus("#fact-age_years")
    page.keyboard.type("61")
    page.keyboard.press("Enter")
    page.wait_for_selector(".player")
    slider = page.locator(".player input")
    play = page.locator(".player button").nth(1)
    assert play.inner_text() == "Pause"
    play.focus()
    page.keyboard.press("Space")
    assert play.inner_text() == "Play"
    slider.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "phase 2 of 6"
    page.locator(".player button").first.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert slider.get_attribute("aria-valuetext") == "phase 6 of 6"
    page.focus("#clear")
    page.keyboard.press("Enter")
    assert page.locator("#answer > *").count() == 0
    assert page.input_value("#fact-age_years") == ""


@pytest.mark.slow
def test_a_score_can_be_stopped(page: Page, fake: FakeServer) -> None:
    fake.release.clear()
    page.fill("#fact-age_years", "61")
    page.click("#submit")
    assert page.get_attribute("#result", "aria-busy") == "true"
    page.click("#stop")
    page.wait_for_selector("#status:has-text('Stopped')")
    assert page.is_enabled("#submit")
    fake.release.set()


@pytest.mark.slow
def test_what_moves_stands_still_where_that_is_wished(page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    score(page)
    assert page.locator(".player button").nth(1).inner_text() == "Play"


@pytest.mark.slow
def test_it_fits_the_window_and_the_notice_stays(page: Page) -> None:
    score(page)
    for width in (360, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") == width
        for y in (0, 10**6):
            page.evaluate(f"scrollTo(0, {y})")
            box = page.locator(".notice").bounding_box()
            assert 0 <= box["y"] < 900 - box["height"]
            assert said(page, ".notice") == NOTICE


@pytest.mark.slow
def test_printed_it_is_one_sheet_at_true_scale(page: Page, fake: FakeServer) -> None:
    tall = ecg()
    tall["amplitude_mv"] = [[value and 2.4 * value for value in lead] for lead in tall["amplitude_mv"]]
    fake.answer = (200, answer(ecg=tall))
    score(page)
    printed = page.pdf(prefer_css_page_size=True, print_background=True)
    assert len(re.findall(rb"/Type /Page\b", printed)) == 1
    (sheet,) = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", printed)
    assert [float(points) / 72 * 25.4 for points in sheet] == pytest.approx([297, 210], abs=0.5), "A4 across"
    page.emulate_media(media="print")
    page.evaluate("window.onbeforeprint()")
    assert "waves beyond the edge are cut" in page.locator(".to-print .scales").text_content()
    box = page.locator(".to-print .paper").bounding_box()
    assert box["width"] / PX_PER_MM == pytest.approx(270, abs=0.3)
    assert page.locator(".notice").is_visible()
    assert not page.locator("form").is_visible()


@pytest.mark.slow
def test_each_part_has_a_name_and_enough_contrast(page: Page) -> None:
    score(page)
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    assert page.evaluate(f"{CHECKS}.unnamed()") == []
    assert page.evaluate(f"{CHECKS}.duplicateIds()") == []
    assert [page.locator(f"main {level}").count() > 0 for level in ("h2", "h3")] == [True, True]
    assert page.locator("header, main, form[aria-labelledby], footer").count() == 4
    assert page.locator("[role=status][aria-live=polite]").count() == 1
    pale = page.evaluate(f"{CHECKS}.pale()")
    assert pale == [], pale


@pytest.mark.slow
def test_axe_finds_nothing(page: Page) -> None:
    script = os.environ.get("CARDIOBIND_AXE")
    if not script or not Path(script).is_file():
        pytest.skip("no axe-core: npm install axe-core, and name its axe.min.js by CARDIOBIND_AXE")
    score(page)
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    found = page.evaluate(f"(() => {{ {Path(script).read_text()}; return {AXE.strip()}; }})()")
    assert found == []


def test_the_page_names_no_other_host_and_its_files_are_short() -> None:
    for file in sorted(PAGE.iterdir()):
        text = file.read_text()
        hosts = set(re.findall(r"https?://[^\s\"'`)]+", text)) - {"http://www.w3.org/2000/svg"}
        assert not hosts, (file.name, hosts)
        assert not re.search(
            r"innerHTML|insertAdjacentHTML|document\.write|localStorage|sessionStorage|\beval\(", text
        ), file.name
        assert len(text.splitlines()) <= LONGEST_FILE, file.name
