"""Whether a bundle, a folder for hubs or an ONNX file may leave: what was found, proven, and cannot be proven."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cardiobind.artifact import MANIFEST, open_artifact
from cardiobind.errors import CardiobindError, InputError
from cardiobind.formats import masked
from cardiobind.inference.bundle import BundleContract, network_of
from cardiobind.inference.hub import CONFIG, HUB_NAMES, hub_name, is_hub, open_hub
from cardiobind.sharing.release.arrays import Expected, check_weights
from cardiobind.sharing.release.documents import check_json, check_markdown, parse
from cardiobind.sharing.release.findings import Finding, Findings
from cardiobind.sharing.release.graph import check_onnx
from cardiobind.sharing.release.likeness import Widths, check_likeness, likeness_widths
from cardiobind.sharing.release.rules import SMALLEST_COUNT, Context, digest
from cardiobind.sharing.release.schema import BUNDLE_FILES, CONTRACT, HUB_CONFIG
from cardiobind.sharing.release.schema import MANIFEST as MANIFEST_RULE
from cardiobind.sharing.release.words import problems

CARD = "README.md"
LARGEST_TEXT = 2**18
TYPES = {"torch.float32": "F32", "torch.float64": "F64", "torch.float16": "F16", "torch.bfloat16": "BF16",
         "torch.int64": "I64"}  # fmt: skip
_CODE = (".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".bin", ".joblib", ".npy", ".npz")

FILES = (
    "only files that a release has are there: no folder, link, pickle, index or array of a cohort",
    "each JSON file holds declared fields alone, each of its kind, and written anew it is the same to the byte",
    "each file is what was written: its hash is the one recorded",
    "each array is of the network of the contract, by name, shape and type; nothing is between or behind them",
    "what it was made from is named by digests, not by places",
)
GRAPH = (
    "the graph is the one that cardiobind makes of the contract in it: the same operators, names, shapes and constants",
    "metadata hold declared fields alone, each of its kind; there are no bytes beside the model",
)
BOTH = (
    "no text, name or number looks like a participant's number, a date, a path, an address, a machine or its user",
    "no count of people is from 1 to {most}",
)
BEYOND = (
    "that weights have memorised nobody: any may. --predictions measures how well losses tell who was trained on",
    "that a value means what it should: whoever chooses weights or means by hand can write anything into their digits",
    "that single numbers are of many people: thresholds and limits are often the value of one validation subject",
    "that this release and others, taken together, do not differ by one person",
    "that you may share it: that is for those who gave you the data to say",
)


@dataclass(frozen=True)
class Release:
    """What was looked at and found.

    Attributes:
        kind: ``bundle``, ``hub`` or ``onnx``.
        findings: what must not leave; empty is what one wants.
        proven: in words, where nothing was found.
        beyond: in words, what cannot be proven this way.
    """

    kind: str
    findings: tuple[Finding, ...]
    proven: tuple[str, ...]
    beyond: tuple[str, ...] = BEYOND

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


def verify_release(path: Path | str, *, smallest: int = SMALLEST_COUNT) -> Release:
    """Check that a bundle, a folder for hubs or an ONNX file holds no participant and nothing that is not declared.

    Args:
        path: folder or file.
        smallest: fewest people that a number may count.

    Raises:
        InputError: there is nothing that could be checked.
        ConfigError: it is an ONNX file and onnx is not installed.
    """
    path = Path(path)
    kinds: dict[str, tuple[Callable[[Path, int], Findings], tuple[str, ...]]] = {
        "onnx": (_onnx, GRAPH), "hub": (_hub, FILES), "bundle": (_bundle, FILES),
    }  # fmt: skip
    kind = _kind(path)
    check, claims = kinds[kind]
    findings = tuple(dict.fromkeys(check(path, smallest)))
    proven = () if findings else tuple(claim.format(most=smallest - 1) for claim in (*claims, *BOTH))
    return Release(kind, findings, proven)


def _kind(path: Path) -> str:
    if path.is_file() and path.suffix == ".onnx":
        return "onnx"
    if is_hub(path):
        return "hub"
    if (path / MANIFEST).is_file():
        return "bundle"
    raise InputError(
        "nothing that could be released is here", where=path, expected="a bundle, a folder of --hub, or FILE.onnx"
    )


def _onnx(path: Path, smallest: int) -> Findings:
    yield from _name(path.name)
    yield from check_onnx(masked(path), path, Context(smallest))


def _bundle(path: Path, smallest: int) -> Findings:
    yield from _folder(path, {MANIFEST: 2**16, **BUNDLE_FILES})
    context = Context(smallest, _sizes(path, {name: name for name in BUNDLE_FILES}))
    yield from check_json(MANIFEST, (path / MANIFEST).read_bytes(), MANIFEST_RULE, context)
    try:
        open_artifact(path, "bundle")
    except CardiobindError as error:
        yield Finding(MANIFEST, f"not a whole bundle: {error.what}")
    yield from _contents(path, {name: name for name in BUNDLE_FILES}, context, _digests(path / MANIFEST))


def _hub(path: Path, smallest: int) -> Findings:
    names = {name: hub_name(name) for name in BUNDLE_FILES}
    largest = {names[name]: size for name, size in BUNDLE_FILES.items()}
    yield from _folder(path, {CONFIG: 2**18, CARD: LARGEST_TEXT, **largest})
    context = Context(smallest, _sizes(path, names))
    yield from check_json(CONFIG, (path / CONFIG).read_bytes(), HUB_CONFIG, context)
    try:
        open_hub(path)
    except CardiobindError as error:
        yield Finding(CONFIG, f"not a whole folder: {error.what}")
    known = _digests(path / CONFIG)
    yield from _contents(path, names, context, known)
    if (path / CARD).is_file():
        yield from check_markdown(CARD, path / CARD, known)
    yield from _agreement(path)


def _folder(path: Path, allowed: Mapping[str, int]) -> Findings:
    yield from _name(path.resolve().name)
    for item in sorted(path.iterdir()):
        known = item.name in allowed
        shown = item.name if known else masked(item.name)
        if not stat.S_ISREG(item.lstat().st_mode):
            yield Finding(shown, "not a plain file")
        elif not known:
            yield Finding(shown, _stranger(item))
        elif item.stat().st_size > allowed[item.name]:
            yield Finding(shown, f"larger than {allowed[item.name]} bytes")
        yield from () if known else _name(item.name)
        if _attributes(item):
            yield Finding(shown, "attributes beside its content")


def _sizes(path: Path, names: Mapping[str, str]) -> dict[str, int]:
    return {name: (path / own).stat().st_size for name, own in names.items() if (path / own).is_file()}


def _attributes(item: Path) -> list[str]:
    listed = os.listxattr(item, follow_symlinks=False) if hasattr(os, "listxattr") else []
    return [name for name in listed if name.startswith("user.")]


def _stranger(item: Path) -> str:
    with item.open("rb") as stream:
        begin = stream.read(2)
    code = item.suffix.lower() in _CODE or begin[:1] == b"\x80" or begin == b"PK"
    return "a file that is not declared" + (", a pickle, archive or array" if code else "")


def _name(name: str) -> Findings:
    yield from (Finding(masked(name), f"{problem} in the name") for problem in problems(name, 120))


def _contents(path: Path, names: Mapping[str, str], context: Context, known: tuple[str, ...]) -> Findings:
    contract, weights = path / names["contract.json"], path / names["weights.safetensors"]
    for needed in (contract, weights):
        if not needed.is_file():
            yield Finding(needed.name, "not there")
            return
    found = list(check_json(contract.name, contract.read_bytes(), CONTRACT, context))
    yield from found
    expected = _expected(contract)
    if expected is None:
        yield Finding(contract.name, "no contract of a network that can be built, so its weights cannot be checked")
    else:
        yield from check_weights(weights.name, weights, expected[0])
    likeness, card = path / names["likeness.safetensors"], path / names["model_card.md"]
    if likeness.is_file():
        yield from check_likeness(likeness.name, likeness, {} if expected is None else expected[1], context)
    if card.is_file():
        yield from check_markdown(card.name, card, known)


def _expected(contract: Path) -> tuple[Expected, Widths] | None:
    try:
        said = BundleContract.from_json(parse(contract.read_bytes()))
        network = network_of(said)
        widths = likeness_widths(said, network)
    except (CardiobindError, ValueError, TypeError, KeyError, AttributeError, RecursionError, RuntimeError):
        return None
    return {name: (TYPES[str(value.dtype)], tuple(value.shape)) for name, value in network.state_dict().items()}, widths


def _agreement(path: Path) -> Findings:
    try:
        config, contract = (parse((path / n).read_bytes()) for n in (CONFIG, HUB_NAMES["contract.json"]))
        shared = [name for name in config if name in contract]
        different = [name for name in shared if config[name] != contract[name]]
    except (OSError, ValueError, TypeError, RecursionError):
        return
    yield from (Finding(f"{CONFIG}.{name}", "another value than in the contract") for name in different)


def _digests(file: Path) -> tuple[str, ...]:
    """Return all digests in a file, which texts may repeat."""
    try:
        return tuple(_all_digests(parse(file.read_bytes())))
    except (OSError, ValueError, RecursionError):
        return ()


def _all_digests(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _all_digests(inner)
    elif isinstance(value, str) and not any(True for _ in digest("", value, Context())):
        yield value
