"""Every fragment of an experiment in the page of methods for ECGs can be built as it stands."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from cardiobind.methods import METHODS
from cardiobind.modalities.records import LEADS
from cardiobind.modalities.spec import InputSpec
from cardiobind.models import build_encoder

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "ecg_methods.md"
FRAGMENTS = re.findall(r"^```toml\n(.*?)^```", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL)
SPECS = {
    "ecg": InputSpec("ecg", (12, 5000), rate_hz=500.0, names=LEADS),
    "cmr": InputSpec("cmr", (3, 210, 210), names=("es", "mid", "ed")),
}


@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_a_fragment_of_the_page_can_be_built(fragment: str) -> None:
    for modality, section in tomllib.loads(fragment).items():
        chosen = section.get("encoder", {"kind": "vit"})
        encoder = build_encoder(chosen["kind"], SPECS[modality], **chosen.get("options", {}))
        method = section.get("pretrain", {}).get("method")
        if method is not None:
            options = {k: tuple(v) if isinstance(v, list) else v for k, v in method.get("options", {}).items()}
            assert METHODS.get(method["kind"])(encoder, **options).modalities == (modality,)


def test_the_page_shows_a_fragment_of_each_method() -> None:
    kinds = {tomllib.loads(f).get("ecg", {}).get("pretrain", {}).get("method", {}).get("kind") for f in FRAGMENTS}
    assert kinds >= {"masked", "jepa", "cpc", "simclr"}
