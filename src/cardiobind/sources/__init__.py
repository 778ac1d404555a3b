"""Data sets on disk -> recordings, table, events and visits; each source one file and one line in `SOURCES`."""

from __future__ import annotations

from cardiobind.sources.acdc import AcdcSource
from cardiobind.sources.base import SOURCES, RecordRef, Source
from cardiobind.sources.folder import FolderSource
from cardiobind.sources.mimic_iv_ecg import MimicIvEcgSource
from cardiobind.sources.mnms import MnmsSource
from cardiobind.sources.ptbxl import PtbxlSource
from cardiobind.sources.simulated import SimulatedSource
from cardiobind.sources.uci_heart import UciHeartSource
from cardiobind.sources.ukb import UkbSource

__all__ = [
    "SOURCES", "AcdcSource", "FolderSource", "MimicIvEcgSource", "MnmsSource", "PtbxlSource", "RecordRef",
    "SimulatedSource", "Source", "UciHeartSource", "UkbSource",
]  # fmt: skip
