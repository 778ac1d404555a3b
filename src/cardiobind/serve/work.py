"""What a worker process does for one request: read what was sent and prepare it, or say why that cannot be done."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cardiobind.cohort import Limits
from cardiobind.cohort.ingest.guard import TimedOut, end_process_after, time_limit
from cardiobind.errors import CardiobindError, DataContractError, RecordError
from cardiobind.formats import read_ecg
from cardiobind.formats.ecg.array_layout import FOLDER_LAYOUT
from cardiobind.formats.location import close_archives, open_archive
from cardiobind.inference import BundleContract, PreparedSubject, prepare_subject
from cardiobind.inference.prepared import read_cmr
from cardiobind.modalities.features import FEATURE_BY_NAME
from cardiobind.modalities.records import CineRecord, EcgRecord
from cardiobind.registry import did_you_mean
from cardiobind.serve.bodies import parse_body, parse_facts
from cardiobind.serve.looking import as_json, cine_view, ecg_view
from cardiobind.serve.refusals import Refusal, Refused, place_of, refusal_of, refuse

_log = logging.getLogger("cardiobind.serve")
_MODALITY_OF = {"ecg": "ecg", "cmr": "cmr", "facts": "tabular"}


@dataclass(frozen=True)
class Job:
    """One request.

    Attributes:
        folder: with the files of a form, in a subfolder for each field; None for a JSON body.
        body: JSON, or None.
        facts: text field of a form, or None.
        signals: whether to return what a page draws; a JSON body says so itself.
    """

    folder: str | None = None
    body: bytes | None = None
    facts: str | None = None
    signals: bool = False


@dataclass(frozen=True)
class Ready:
    """A prepared request.

    Attributes:
        prepared: for the network.
        explain: whether a JSON body asks for it.
        ecg, cine: what a page draws, as JSON.
    """

    prepared: PreparedSubject
    explain: bool = False
    ecg: bytes = b"null"
    cine: bytes = b"null"


@dataclass(frozen=True)
class _Given:
    ecg: EcgRecord | None
    cmr: CineRecord | None
    facts: Mapping[str, Any] | None
    explain: bool
    signals: bool


def do(contract: BundleContract, job: Job, limits: Limits, most_unpacked_bytes: int) -> Ready | Refusal:
    """Return a prepared request or why it cannot be prepared, whatever its bytes are.

    Only for a process that may be lost: one that hangs outside Python is ended.

    Args:
        contract: of the bundle.
        job: the request.
        limits: what it may cost.
        most_unpacked_bytes: what its archives may hold together.
    """
    try:
        with end_process_after(limits.hard_seconds), time_limit(limits.seconds):
            return _prepared(contract, job, most_unpacked_bytes)
    except Refused as refused:
        return refused.refusal
    except TimedOut:
        return timed_out(limits.seconds)
    except MemoryError:
        return OUT_OF_MEMORY
    except Exception as error:  # noqa: BLE001 - a reader may raise anything, and its words may hold names
        _log.warning("a reader failed: %s", place_of(error))
        return Refusal(422, "reader_failure", "what was sent cannot be read: the reader failed")
    finally:
        close_archives()


OUT_OF_MEMORY = Refusal(413, "out_of_memory", "reading what was sent takes more memory than a request may have")
CRASHED = Refusal(422, "reader_crashed", "what was sent cannot be read: it ended the process that read it")


def timed_out(seconds: float) -> Refusal:
    """Return the refusal of a request that takes too long."""
    return Refusal(
        504, "timed_out", "reading and preparing what was sent takes too long", None, f"at most {seconds:g} s"
    )


def _prepared(contract: BundleContract, job: Job, most_unpacked_bytes: int) -> Ready:
    given = _from_json(contract, job.body) if job.body is not None else _from_form(contract, job, most_unpacked_bytes)
    if given.ecg is None and given.cmr is None and given.facts is None:
        raise refuse(422, "nothing_given", "there is nothing to predict from", expected=" | ".join(_known(contract)))
    with _refusing(None):
        prepared = prepare_subject(contract, ecg=given.ecg, cmr=given.cmr, table=given.facts)
    ecg = cine = b"null"
    if given.signals and given.ecg is not None and contract.ecg is not None:
        ecg = as_json(ecg_view(given.ecg, contract.ecg, prepared.quality["ecg"]))
    if given.signals and given.cmr is not None and contract.cmr is not None and prepared.cine is not None:
        cine = as_json(cine_view(given.cmr, prepared.cine, contract.cmr))
    return Ready(replace(prepared, ecg=None, cmr=None, cine=None), given.explain, ecg, cine)


def _from_json(contract: BundleContract, data: bytes) -> _Given:
    body = parse_body(data)
    facts = _checked_facts(body.facts)
    _refuse_unknown(contract, {"ecg": body.ecg, "facts": facts})
    with _refusing("ecg"):
        record = None if body.ecg is None else body.ecg.record()
    return _Given(record, None, facts, body.explain, body.signals)


def _from_form(contract: BundleContract, job: Job, most_unpacked_bytes: int) -> _Given:
    folder = Path(job.folder or "")
    _refuse_bombs(folder, most_unpacked_bytes)
    facts = _checked_facts(None if job.facts is None else parse_facts(job.facts))
    _refuse_unknown(contract, {"ecg": (folder / "ecg").is_dir(), "cmr": (folder / "cmr").is_dir(), "facts": facts})
    ecg = cmr = None
    if (folder / "ecg").is_dir():
        with _refusing("ecg"):
            ecg = read_ecg(main_ecg(sorted((folder / "ecg").iterdir())))
    if (folder / "cmr").is_dir():
        with _refusing("cmr"):
            cmr = _cine(contract, folder)
    return _Given(ecg, cmr, facts, explain=False, signals=job.signals)


def _cine(contract: BundleContract, folder: Path) -> CineRecord:
    apart = folder / "cmr_long_axis"
    return read_cmr(contract, main_cine(folder / "cmr"), main_cine(apart) if apart.is_dir() else None)


def main_ecg(files: Sequence[Path]) -> str:
    """Return the location to read of the files of one ECG: a header before what it describes, a member of an archive.

    Raises:
        Refused: it is not clear which.
    """
    names = {str(file): file.name.lower() for file in files}
    if len(files) == 1 and zipfile.is_zipfile(files[0]) and names[str(files[0])].endswith(".zip"):
        members = [info.filename for info in open_archive(str(files[0])).infolist() if not info.is_dir()][:1000]
        names = {f"{files[0]}::{member}": member.lower() for member in members}
    headers = [place for place, name in names.items() if name.endswith(".hea")]
    others = [p for p, name in names.items() if not name.endswith((".layout.json", FOLDER_LAYOUT, "/.ds_store"))]
    chosen = headers or others
    if len(chosen) != 1:
        raise refuse(422, "several_ecgs", "the files are not those of one ECG", where="ecg",
                     expected="one file, or a .hea with its .dat, or a .csv with its .layout.json")  # fmt: skip
    return chosen[0]


def main_cine(folder: Path) -> Path:
    """Return what to read of the files of one cine: the only file, or the folder of them."""
    files = list(folder.iterdir())
    return files[0] if len(files) == 1 else folder


def _refuse_bombs(folder: Path, most_unpacked_bytes: int) -> None:
    total = 0
    for file in folder.rglob("*"):
        if file.suffix.lower() == ".zip":
            with suppress(RecordError):  # its reader says so
                total += sum(info.file_size for info in open_archive(str(file)).infolist())
    if total > most_unpacked_bytes:
        raise refuse(413, "unsafe_archive", "the archives unpack to more than a request may hold",
                     expected=f"at most {most_unpacked_bytes} bytes")  # fmt: skip


def _checked_facts(facts: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return the facts that are known, None where there are none; a name that is not known is not quoted."""
    for name in facts or ():
        if name not in FEATURE_BY_NAME:
            raise refuse(422, "unknown_fact", "a medical fact by a name that is not known", where="facts",
                         hint=did_you_mean(name, tuple(FEATURE_BY_NAME)))  # fmt: skip
    return {name: value for name, value in (facts or {}).items() if value is not None} or None


def _refuse_unknown(contract: BundleContract, given: Mapping[str, object]) -> None:
    for field, value in given.items():
        if value and _MODALITY_OF[field] not in contract.inputs:
            raise refuse(422, "unknown_modality", "the bundle was not trained for this", where=field,
                         expected=" | ".join(_known(contract)))  # fmt: skip


def _known(contract: BundleContract) -> list[str]:
    return [field for field, modality in _MODALITY_OF.items() if modality in contract.inputs]


@contextmanager
def _refusing(field: str | None) -> Iterator[None]:
    try:
        yield
    except RecordError as error:
        if error.got == MemoryError.__name__:
            raise Refused(OUT_OF_MEMORY) from None
        raise Refused(refusal_of(error, field)) from None
    except DataContractError as error:
        raise Refused(refusal_of(error, field or "facts")) from None
    except CardiobindError as error:
        raise Refused(refusal_of(error, field)) from None
