"""The Python of the documents is run as it stands, on the home folder, or a reason says what runs it instead."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from small import PTBXL

from cardiobind.models import ENCODERS
from cardiobind.tasks import TASKS
from cine_fixtures import acdc_patient, volume
from documented import Block, blocks

REPOSITORY = Path(__file__).resolve().parents[2]
SNIPPETS = [block for block in blocks(REPOSITORY) if block.language == "python"]


def _nothing(home: Path) -> None:
    """Leave the home folder as it is."""


def _acdc(home: Path) -> None:
    acdc_patient(home / "data" / "ACDC", 1, volume())


def _resnet(home: Path) -> None:
    """Write weights of torchvision's names and shapes, as its file has them."""
    from cardiobind.modalities.cmr import CmrPreparation, cmr_spec
    from cardiobind.models import build_encoder

    state = dict(build_encoder("resnet", cmr_spec(CmrPreparation()), depth=50).state_dict())
    torch.save(state | {"fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}, home / "resnet50.pth")


def _gru(home: Path) -> None:
    (home / "gru.py").write_text(next(block.body for block in SNIPPETS if 'register("gru")' in block.body))


def _rows(home: Path) -> None:
    """Add the rows that the page shows before."""
    exec(next(block.body for block in SNIPPETS if 'register("myocarditis")' in block.body), {})  # noqa: S102


@dataclass(frozen=True)
class Python:
    """What is done with the snippets in which a piece of text stands.

    Attributes:
        piece: of the snippet.
        how: `run`, `slow` or `elsewhere`.
        why: of `elsewhere`: the test that runs it.
        instead: pieces that are replaced.
        before: prepares the home folder.
    """

    piece: str
    how: str
    why: str = ""
    instead: dict[str, str] = field(default_factory=dict)
    before: Callable[[Path], None] = _nothing


OUTSIDE = "tests/contract/test_plugins_from_outside.py"
IN_THE_GUIDE = ("strided_conv", "loudest", "align_margin", "clinic", "pericarditis")
SEARCH = "tests/pipeline/test_pipeline_search.py"
HOW = (
    Python('frame["ecg_pooled"]', "elsewhere", SEARCH),
    Python("neighbours_for(", "elsewhere", SEARCH),
    *(Python(f'register("{name}")', "elsewhere", OUTSIDE) for name in IN_THE_GUIDE),
    Python("onnxruntime.InferenceSession", "elsewhere", "tests/sharing/test_sharing_example.py"),
    Python('register("gru")', "run"),
    Python("check_encoder(gru.Gru", "run", before=_gru),
    Python("import gru\nfrom cardiobind.pipeline", "slow", before=_gru),
    Python('register("myocarditis")', "run"),
    Python('TASKS.get("myocarditis_incident")', "run", before=_rows),
    Python('load_experiment("ptbxl_mi"', "slow", instead={'=/path/to/ptbxl"]': f'=path/to/ptbxl", *{list(PTBXL)}]'}),
    Python('SOURCES.get("acdc")', "run", instead={'"/data': '"data'}, before=_acdc),
    Python('torch.load("resnet50.pth"', "slow", before=_resnet),
    Python("import my_plugins", "slow"),
)  # fmt: skip


def _way(snippet: Block) -> Python | None:
    return next((one for one in HOW if one.piece in snippet.body), None)


def _by(how: str) -> list[Any]:
    return [pytest.param(s, one, id=f"{s.page}:{s.line}") for s in SNIPPETS if (one := _way(s)) and one.how == how]


def test_each_snippet_is_run_somewhere() -> None:
    assert SNIPPETS
    unknown = [f"{s.page}:{s.line}" for s in SNIPPETS if _way(s) is None]
    assert not unknown, f"say in {Path(__file__).name} how they are run: {unknown}"
    assert not [one.piece for one in HOW if not any(_way(snippet) is one for snippet in SNIPPETS)]
    assert all((REPOSITORY / one.why).is_file() for one in HOW if one.how == "elsewhere")


@pytest.mark.parametrize(("snippet", "one"), _by("run"))
def test_it_runs(snippet: Block, one: Python, visited: Path) -> None:
    _run(snippet, one, visited)


@pytest.mark.slow
@pytest.mark.parametrize(("snippet", "one"), _by("slow"))
def test_it_runs_small(snippet: Block, one: Python, visited: Path) -> None:
    _run(snippet, one, visited)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Take away what a snippet has registered or imported."""
    held = {registry: set(registry) for registry in (ENCODERS, TASKS)}
    modules = set(sys.modules)
    yield
    for registry, names in held.items():
        for name in set(registry) - names:
            registry.unregister(name)
    for name in set(sys.modules) - modules:
        if name in ("gru", "my_plugins"):
            del sys.modules[name]


def _run(snippet: Block, one: Python, home: Path) -> None:
    one.before(home)
    source = snippet.body
    for old, new in one.instead.items():
        assert old in source
        source = source.replace(old, new)
    code = compile(source, f"{snippet.page}:{snippet.line}", "exec")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(home)
        exec(code, {"__name__": "snippet"})  # noqa: S102
