"""Writes the pictures of docs/howto/serve.md: python docs/make_page_pictures.py BUNDLE RAW [FOLDER].

BUNDLE is that of `cardiobind demo`, RAW its raw files. Needs the extras `serve` and `explain`, Playwright, Chromium and
pdftoppm.
"""

from __future__ import annotations

import os
import runpy
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).resolve().parent
SUBJECT = "9001385"
FACTS = {"Age (years)": "70", "Height (cm)": "176", "Weight (kg)": "85", "Systolic blood pressure (mmHg)": "126"}
WIDTH_PX, TOP_PX, LONGEST_S = 1440, 1850, 300


@contextmanager
def serving(bundle: Path) -> Iterator[str]:
    """Start a server of the bundle and yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = "import sys; from cardiobind.cli import main; sys.argv[0] = 'cardiobind'; main()"
    words = ["serve", "--bundle", str(bundle), "--port", str(port), "--workers", "1"]
    server = subprocess.Popen([sys.executable, "-c", code, *words], stderr=subprocess.DEVNULL)  # noqa: S603
    try:
        for _ in range(2 * LONGEST_S):
            if server.poll() is not None:
                raise SystemExit("the server ended before it answered")
            with socket.socket() as asked:
                if asked.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(60)


def scored(page: Page, raw: Path, subject: str) -> None:
    """Give the files and facts of a simulated person and wait for the explained score."""
    for field, code in {"#ecg": "20205", "#cmr": "20209"}.items():
        page.set_input_files(field, sorted((raw / "bulk").glob(f"{subject}_{code}_*")))
    for label, value in FACTS.items():
        page.get_by_label(label).fill(value)
    page.get_by_label("Sex").select_option("male")
    page.click("#submit")
    page.wait_for_selector(".origin, .refusal", timeout=1000 * LONGEST_S)
    page.wait_for_timeout(1000)


def main(bundle: Path, raw: Path, out: Path) -> None:
    """Take the whole page, its top, and the sheet that it prints."""
    compressed = runpy.run_path(str(HERE / "make_pictures.py"))["compressed"]
    program = os.environ.get("CARDIOBIND_CHROMIUM") or shutil.which("chromium")
    with serving(bundle) as address, sync_playwright() as driver, tempfile.TemporaryDirectory() as folder:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": WIDTH_PX, "height": 900}, reduced_motion="reduce")
        page.goto(address)
        scored(page, raw, SUBJECT if sorted((raw / "bulk").glob(f"{SUBJECT}_*")) else "9000047")
        page.evaluate("window.scrollTo(0, 0)")
        whole, sheet = Path(folder) / "page.png", Path(folder) / "sheet"
        page.screenshot(path=whole, full_page=True)
        sheet.with_suffix(".pdf").write_bytes(page.pdf(prefer_css_page_size=True, print_background=True))
        subprocess.run(["pdftoppm", "-r", "130", "-png", "-singlefile", f"{sheet}.pdf", str(sheet)], check=True)  # noqa: S603, S607
        browser.close()
        out.mkdir(parents=True, exist_ok=True)
        seen, printed = Image.open(whole).convert("RGB"), Image.open(f"{sheet}.png").convert("RGB")
        top = seen.crop((0, 0, seen.width, min(TOP_PX, seen.height)))
        for name, picture in {"page": seen, "page_top": top, "page_printed": printed}.items():
            (out / f"{name}.png").write_bytes(compressed(picture.quantize(128, Image.Quantize.MAXCOVERAGE)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else HERE / "pictures")
