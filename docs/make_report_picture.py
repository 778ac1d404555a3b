"""Writes the opening picture of the README: python docs/make_report_picture.py REPORT [FOLDER].

REPORT is the report.html of `cardiobind demo`. Needs Playwright and Chromium.
"""

from __future__ import annotations

import io
import os
import runpy
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

HERE = Path(__file__).resolve().parent
WIDTH_PX, SHARPNESS, BELOW_PX, COLOURS = 1210, 1.5, 2, 32


def taken(report: Path) -> Image.Image:
    """Return the report from its title to the end of its first table."""
    program = os.environ.get("CARDIOBIND_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": WIDTH_PX, "height": 900}, device_scale_factor=SHARPNESS)
        page.goto(report.resolve().as_uri())
        table = page.locator("table").first.bounding_box()
        if table is None:
            raise SystemExit("this report has no table")
        height = table["y"] + table["height"] + BELOW_PX
        clip = {"x": 0, "y": 0, "width": WIDTH_PX, "height": height}
        shot = page.screenshot(clip=clip, full_page=True)
        browser.close()
    return Image.open(io.BytesIO(shot)).convert("RGB")


def main(report: Path, out: Path) -> None:
    """Take the picture."""
    compressed = runpy.run_path(str(HERE / "make_pictures.py"))["compressed"]
    out.mkdir(parents=True, exist_ok=True)
    picture = taken(report).quantize(COLOURS, Image.Quantize.MAXCOVERAGE)
    (out / "report.png").write_bytes(compressed(picture))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else HERE / "pictures")
