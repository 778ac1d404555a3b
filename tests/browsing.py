"""A browser for tests: the system's Chromium without screen, network or profile, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a browser, or skip saying why; CARDIOBIND_CHROMIUM names one that is not on the path."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install playwright"
    )
    program = os.environ.get("CARDIOBIND_CHROMIUM") or shutil.which("chromium")
    if program is None:
        pytest.skip("no chromium: apt-get install chromium, or name one by CARDIOBIND_CHROMIUM")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def watched(browser: Browser, address: str, width: int = 1280, height: int = 900, **options: object) -> Iterator[Page]:
    """Open an address in a fresh profile; in the end no request has left for elsewhere and no script has failed."""
    context = browser.new_context(viewport={"width": width, "height": height}, **options)  # type: ignore[arg-type]
    page = context.new_page()
    page.set_default_timeout(10_000)
    failures: list[str] = []
    elsewhere: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.on("console", lambda line: failures.append(line.text) if "Content Security" in line.text else None)
    page.on("request", lambda request: elsewhere.append(request.url) if _leaves(request.url, address) else None)
    page.goto(address)
    try:
        yield page
        assert not failures, failures
        assert not elsewhere, elsewhere
    finally:
        context.close()


def _leaves(url: str, address: str) -> bool:
    return not url.startswith((address, "data:"))
