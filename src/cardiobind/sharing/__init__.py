"""Other forms of a bundle for other people, and the proof that no participant is in it."""

from cardiobind.sharing.forms import export_forms
from cardiobind.sharing.graphs import ScoreGraph, TowerGraph
from cardiobind.sharing.hub import HubFolderWritten, export_hub, export_release
from cardiobind.sharing.onnx_file import OnnxFile, export_onnx, export_tower_onnx

__all__ = [
    "HubFolderWritten",
    "OnnxFile",
    "ScoreGraph",
    "TowerGraph",
    "export_forms",
    "export_hub",
    "export_onnx",
    "export_release",
    "export_tower_onnx",
]
