"""A server of the page that answers what a test wants, over a model that never was, and a browser to look at it."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.image import imsave

import cardiobind.serve
from cardiobind.modalities.records import LEADS

PAGE = Path(cardiobind.serve.__file__).parent / "page"
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
NOTICE = "Research use only: not a medical device, not for decisions about a patient."
RATE_HZ = 250
PLANES = ("end_systole", "mid_beat", "end_diastole")


def _fact(
    name: str, title: str, unit: str | None, kind: str, limits: tuple[float, float] | None = None,
    categories: tuple[str, ...] = (),
) -> dict[str, Any]:  # fmt: skip
    low, high = limits or (None, None)
    return {
        "name": name, "title": title, "unit": unit, "kind": kind, "low": low, "high": high,
        "categories": list(categories),
    }  # fmt: skip


def _verdict(like: bool, codes: list[str], distance: float, says: str) -> dict[str, Any]:
    return {"usable": like, "like_training": like, "codes": codes, "distance": distance, "says": says}


MODEL: dict[str, Any] = {
    "task": "mi", "title": "Myocardial infarction, any time", "kind": "binary", "unit": "", "bundle": "c0ffee" * 10,
    "inputs": ["ecg", "cmr", "tabular"],
    "facts": [
        _fact("age_years", "Age", "years", "number", (0, 120)),
        _fact("sex", "Sex", None, "category", categories=("female", "male")),
        _fact("diabetes", "Diabetes", None, "flag"),
        *(_fact(f"fact_{n}", f"Fact {n}", "mmol/L", "number", (0.1, 20)) for n in range(10)),
    ],
    "calibration": {
        "ecg": {"calibrated": True, "threshold": 0.06, "reason": None},
        "cmr": {"calibrated": False, "threshold": None, "reason": "too few validation subjects"},
        "tabular": {"calibrated": True, "threshold": None, "reason": "no threshold: too few validation subjects"},
    },
    "cohort": {
        "n": 233, "positive": 13, "of": "visits of validation subjects",
        "risks": {
            "cmr+ecg+tabular": {
                "edges": [0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.16, 0.4], "counts": [20, 60, 52, 30, 22, 14, 20, 15],
            },
        },
    },
    "explains": True, "card": "# Model card\nNothing.", "notice": NOTICE,
}  # fmt: skip


def prediction(**changes: Any) -> dict[str, Any]:
    """Return a prediction as the server writes it, with what a test changes."""
    said = {
        "task": "mi", "title": MODEL["title"], "inputs": "cmr+ecg+tabular", "logit": 0.4, "risk": 0.1234,
        "threshold": 0.06, "positive": True, "reason": None, "quality": {"ecg": ["noisy"], "cmr": [], "tabular": []},
        "missing": ["diabetes", "fact_1"], "ignored": [], "bundle": MODEL["bundle"], "statement": "risk 12.3 %",
        "value": None, "unit": None, "horizon_years": None, "notice": NOTICE,
        "interval": [0.071, 0.204],
        "interval_of": "90 % interval of the risk: what other validation subjects would make of it",
        "cohort_percentile": 87.4, "abstained": None,
        "verdicts": {
            "ecg": _verdict(True, ["noisy"], 1.1, "Nearer than 80 % of the training ECGs."),
            "cmr": _verdict(False, [], 9.0, "cine not to be relied on: it is unlike those the network was trained on."),
        },
    }  # fmt: skip
    return {**said, **changes}


def ecg(rate_hz: int = RATE_HZ) -> dict[str, Any]:
    """Return twelve leads of ten seconds: beats a second apart, 1 mV high in I, with a gap in V2 and without V6."""
    seconds = np.arange(10 * rate_hz) / rate_hz
    beat = np.exp(-(((seconds % 1 - 0.4) / 0.012) ** 2)) + 0.2 * np.exp(-(((seconds % 1 - 0.65) / 0.05) ** 2))
    leads = [
        [round(float(v), 4) for v in size * beat] for size in (1, 1.2, 0.3, -1, 0.5, 0.7, -0.8, -1.5, 0.4, 1.6, 1.4, 1)
    ]
    leads[7][2000:2100] = [None] * 100  # type: ignore[list-item]
    leads[11] = [None] * len(seconds)  # type: ignore[list-item]
    return {
        "rate_hz": rate_hz, "leads": list(LEADS), "present": list(LEADS[:11]), "amplitude_mv": leads,
        "quality": ["noisy"], "start_s": 0,
    }  # fmt: skip


def cine(phases: int = 6, side: int = 40) -> dict[str, Any]:
    """Return a ring that beats."""
    y, x = np.mgrid[:side, :side]
    radius = np.hypot(y - side / 2, x - side / 2)
    rings = [np.abs(radius - 8 - 2 * np.cos(2 * np.pi * p / phases)) < 2 for p in range(phases)]
    return {
        "frames": [_png(np.where(ring, 200, 40).astype(np.uint8)) for ring in rings], "width": side, "height": side,
        "pixel_mm": [2.0, 2.0], "crop": {"top": 6.5, "left": 7.0, "height": 26.0, "width": 26.0}, "phase_ms": 50.0,
        "slice": 3, "slices": 8,
        "planes": [{"name": name, "frame": frame} for name, frame in zip(PLANES, (3, 4, 0), strict=True)],
    }  # fmt: skip


def explanation() -> dict[str, Any]:
    """Return attributions whose place is known: lead V4 raises around every beat, lead II lowers before it."""
    ecg_parts = np.zeros((12, 1000))
    ecg_parts[9].reshape(10, 100)[:, 35:45] = 0.01
    ecg_parts[1].reshape(10, 100)[:, 15:30] = -0.005
    pixels = np.zeros((3, 8, 8))
    pixels[0, :4], pixels[1, 4:] = 0.02, -0.01
    return {
        "modalities": {"ecg": 0.41, "cmr": -0.12, "tabular": 0.07},
        "ecg": {"rate_hz": 100, "leads": list(LEADS), "samples": ecg_parts.tolist()},
        "cmr": {"planes": list(PLANES), "size_px": 8, "pixel_mm": 6.5, "pixels": pixels.tolist()},
        "tabular": [
            {"name": "age_years", "title": "Age", "unit": "years", "given": 61, "attribution": 0.09},
            {"name": "sex", "title": "Sex", "unit": None, "given": "male", "attribution": -0.02},
        ],
        "method": {
            "name": "integrated_gradients", "unit": "log hazard",
            "ecg": {
                "steps": 32, "baseline": "a normal ECG, simulated",
                "ties": {
                    "inside": 0.5, "missed": 0.01, "baseline_over_absence": -0.2, "shared_with_others": 0.1,
                    "share": 0.41,
                },
            },
        },
    }  # fmt: skip


def neighbours() -> list[dict[str, Any]]:
    """Return three cases with what was measured in them."""
    facts = [{"name": "lvef_percent", "title": "LVEF", "unit": "%", "value": value} for value in (41.0, 55.2, 60.1)]
    return [{"modality": "ecg", "similarity": 0.9 - 0.1 * n, "phenotypes": [fact]} for n, fact in enumerate(facts)]


def answer(**changes: Any) -> dict[str, Any]:
    """Return a whole answer of the server."""
    whole = {
        "prediction": prediction(), "ecg": ecg(), "cine": cine(), "explanation": explanation(),
        "neighbours": neighbours(),
    }  # fmt: skip
    return {**whole, **changes}


def _png(pixels: np.ndarray[Any, Any]) -> str:
    stream = io.BytesIO()
    imsave(stream, pixels, cmap="gray", vmin=0, vmax=255, format="png")
    return base64.b64encode(stream.getvalue()).decode()


@dataclass
class FakeServer:
    """What the page is told, and what it sent.

    Attributes:
        address: of the page.
        answer: (status, body) of the next scores.
        model: (status, body) of the model.
        sent: bodies of the requests for a score.
        keys: API keys that came along.
        release: a score waits for it.
    """

    address: str = ""
    answer: tuple[int, dict[str, Any]] = (200, {})
    model: tuple[int, dict[str, Any]] = (200, {})
    sent: list[bytes] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)

    def reset(self) -> None:
        """Make it answer plainly again."""
        self.answer, self.model = (200, answer()), (200, MODEL)
        self.sent.clear()
        self.keys.clear()
        self.release.set()


@contextmanager
def serving() -> Iterator[FakeServer]:
    """Serve the page until the block ends."""
    fake = FakeServer()
    fake.reset()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/v1/model":
                self._json(*fake.model)
                return
            file = PAGE / (self.path.rpartition("/")[2] or "index.html")
            self._send(
                200 if file.is_file() else 404, file.read_bytes() if file.is_file() else b"", TYPES.get(file.suffix, "")
            )

        def do_POST(self) -> None:
            fake.sent.append(self.rfile.read(int(self.headers["Content-Length"])))
            fake.keys.append(self.headers["X-API-Key"])
            fake.release.wait(10)
            self._json(*fake.answer)

        def _json(self, status: int, body: dict[str, Any]) -> None:
            self._send(status, json.dumps(body).encode(), "application/json")

        def _send(self, status: int, body: bytes, kind: str) -> None:
            try:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except BrokenPipeError:
                self.close_connection = True

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    fake.address = f"http://127.0.0.1:{server.server_address[1]}/"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
