"""XML recordings made to exhaust memory or time: each is read or refused within 5 s, and within 512 MB (slow test)."""

from __future__ import annotations

import base64
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cardiobind.errors import RecordError
from cardiobind.formats import read_ecg
from cardiobind.formats.ecg.philips_sierra_xml import MOST_SAMPLES
from ecg_xml_fixtures import CANARY, TWELVE, aecg_series, aecg_set, hl7_aecg, muse_waveform, muse_xml, sierra_xml
from ingest_fixtures import cardiosoft_xml
from memory import PEAK_MB

MB = 1 << 20
ONE = np.zeros(1, int)


def digits(lead_bytes: int, separator: str) -> str:
    return separator.join(["1"] * (lead_bytes // 2))


def aecg_of(leads: int, lead_bytes: int) -> bytes:
    data = hl7_aecg(aecg_series(aecg_set({lead: ONE for lead in TWELVE[:leads]})))
    return data.replace(b"<digits> 0", f"<digits> {digits(lead_bytes, ' ')}".encode())


def muse_of(lead_bytes: int) -> bytes:
    counts = np.zeros(1, "<i2")
    data = muse_xml(muse_waveform({lead: counts for lead in TWELVE}, total=lead_bytes // 8 * 3, checksum=False))
    return data.replace(b"AAA=\n", b"AAAA" * (lead_bytes // 4))


def cardiosoft_of(leads: int, lead_bytes: int, separator: str) -> bytes:
    data = cardiosoft_xml({lead: ONE for lead in TWELVE[:leads]}, total=lead_bytes // 2)
    return data.replace(b"\t\t0,", digits(lead_bytes, separator).encode())


def xli_bomb(samples: int, codes: int) -> bytes:
    """Return twelve channels whose codes stand for the longest strings there are."""
    bits = np.unpackbits(np.array(np.minimum(np.arange(256, 256 + codes), 1022), ">u2").view(np.uint8)).reshape(-1, 16)
    packed = b"\0\0" + np.packbits(bits[:, 6:].ravel()).tobytes()
    chunk = len(packed).to_bytes(4, "little") + bytes(4) + packed
    return sierra_xml(base64.b64encode(chunk * 12).decode(), TWELVE, samples, compression="XLI", charset="utf-8")


def xli_longest(samples: int) -> bytes:
    """Return twelve level channels, one code a byte: the most work that is accepted."""
    codes = np.repeat([0, 64], samples)
    bits = np.unpackbits(codes.astype(">u2").view(np.uint8)).reshape(-1, 16)[:, 6:]
    packed = np.packbits(bits.ravel()).tobytes()
    chunk = len(packed).to_bytes(4, "little") + bytes(4) + packed
    return sierra_xml(base64.b64encode(chunk * 12).decode(), TWELVE, samples, compression="XLI", charset="utf-8")


HOSTILE: dict[str, Callable[[], bytes]] = {
    "aecg of twelve huge leads": lambda: aecg_of(12, 2 * MB),
    "aecg of one huge lead": lambda: aecg_of(1, 30 * MB),
    "muse of twelve huge leads": lambda: muse_of(2 * MB),
    "cardiosoft of twelve huge leads": lambda: cardiosoft_of(12, 2 * MB, ","),
    "cardiosoft of one huge lead": lambda: cardiosoft_of(1, 30 * MB, ","),
    "cardiosoft of one huge lead with spaces": lambda: cardiosoft_of(1, 30 * MB, " "),
    "philips bomb": lambda: xli_bomb(MOST_SAMPLES, 200_000),
    "philips of the greatest length": lambda: xli_longest(MOST_SAMPLES),
    "a hundred thousand names": lambda: hl7_aecg("<person><name>abc</name></person>" * 100_000),
    "a hundred thousand statements": lambda: muse_xml(
        "<Diagnosis>" + "<DiagnosisStatement><StmtText>a b</StmtText></DiagnosisStatement>" * 100_000 + "</Diagnosis>",
        muse_waveform({"I": np.arange(9)}),
    ),
    "a statement of megabytes": lambda: muse_xml(muse_waveform({"I": np.arange(9)})).replace(
        b"Sinus rhythm", b"seen " * 4 * MB
    ),
    "a date of megabytes": lambda: muse_xml(muse_waveform({"I": np.arange(9)}), date="1" * 20 * MB),
    "a number of megabytes": lambda: muse_xml(muse_waveform({"I": np.arange(9)}, base="9" * 20 * MB)),
}


READ = f"""
import sys, time
from cardiobind.errors import RecordError
from cardiobind.formats import read_ecg
started = time.process_time()
try:
    said = repr(read_ecg(sys.argv[1]).header)
except RecordError as error:
    said = str(error)
print(len(said), time.process_time() - started, {PEAK_MB})
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", HOSTILE)
def test_memory_and_time_are_bounded(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "9000001.xml"
    path.write_bytes(HOSTILE[kind]())
    done = subprocess.run([sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=True)
    letters, seconds, megabytes = map(float, done.stdout.split())
    print(f"{kind}: {seconds:.1f} s, {megabytes:.0f} MB")
    assert letters < 50_000
    assert seconds < 5
    assert megabytes < 512


@pytest.mark.parametrize("kind", ["philips bomb", "a hundred thousand names", "a statement of megabytes"])
def test_the_quick_ones_in_every_run(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "9000001.xml"
    path.write_bytes(HOSTILE[kind]())
    start = time.process_time()
    try:
        said = repr(read_ecg(path).header)
    except RecordError as error:
        said = str(error)
    assert time.process_time() - start < 5
    assert len(said) < 50_000
    assert CANARY not in said
