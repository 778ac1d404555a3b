"""`cardiobind serve` as a person starts and stops it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import pytest

from cardiobind.artifact import commit
from cardiobind.inference.bundle import write_bundle
from cardiobind.inference.predictor import Predictor
from format_samples import ECG_SAMPLES, counts
from serving import parts

VERB = "import sys; from cardiobind.cli import main; sys.argv[0] = 'cardiobind'; main()"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.slow
def test_it_serves_until_it_is_told_to_stop(predictor: Predictor, tmp_path: Path) -> None:
    write_bundle(commit(tmp_path / "bundle", "bundle"), predictor.contract, predictor.fusion.state_dict())
    temporary, port = Path(tempfile.mkdtemp()), free_port()  # a short path: sockets of multiprocessing lie in it
    words = ["serve", "--bundle", str(tmp_path / "bundle"), "--port", str(port), "--workers", "1"]
    environment = {**os.environ, "TMPDIR": str(temporary), "CARDIOBIND_API_KEY": ""}
    with subprocess.Popen([sys.executable, "-c", VERB, *words], stderr=subprocess.PIPE, env=environment) as server:
        try:
            for _ in range(600):
                assert server.poll() is None, server.stderr.read() if server.stderr else ""
                try:
                    assert httpx.get(f"http://127.0.0.1:{port}/v1/health").json() == {"status": "ok"}
                    break
                except httpx.ConnectError:
                    time.sleep(0.2)
            ecg = ECG_SAMPLES["cardiosoft_xml"](tmp_path, counts())
            answer = httpx.post(f"http://127.0.0.1:{port}/v1/predict", files=parts("ecg", [ecg]), timeout=60)
            assert answer.json()["prediction"]["logit"] == predictor.predict(ecg=ecg).logit
            taken = subprocess.run(
                [sys.executable, "-c", VERB, *words], capture_output=True, env=environment, check=False
            )
            assert taken.returncode == 2
            assert b"is the port taken" in taken.stderr
        finally:
            server.send_signal(signal.SIGTERM)
            told = server.stderr.read().decode() if server.stderr else ""
    assert server.returncode in (0, -signal.SIGTERM)
    assert f"http://127.0.0.1:{port}/" in told
    assert "Research use only" in told
    assert "Traceback" not in told + taken.stderr.decode()
    assert not [left for left in temporary.iterdir() if left.name.startswith("cardiobind-serve")]
