"""What a server allows: sizes, times, numbers of requests, who may ask."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from cardiobind.cohort import Limits
from cardiobind.errors import ConfigError
from cardiobind.formats.ecg.ecg_recording import LARGEST_ECG_BYTES
from cardiobind.formats.location import LARGEST_FILE_BYTES

API_KEY_VARIABLE = "CARDIOBIND_API_KEY"
SHORTEST_API_KEY = 16


@dataclass(frozen=True)
class Settings:
    """What a server allows.

    Attributes:
        workers: processes that read and prepare what is sent; as many requests are prepared at once.
        limits: time and memory of the preparation of one request, as ingest limits a record.
        most_requests: predictions in work or waiting, their bodies received; one more is answered by 429.
        most_receiving: requests whose body is being received; one more is answered by 429.
        header_seconds: time to send the headers of a request.
        receive_seconds: time to send the body of a request.
        patience_seconds: time that a body has whatever comes; then each further second must have brought
            `slowest_bytes_per_s`.
        slowest_bytes_per_s: see `patience_seconds`.
        answer_seconds: time to answer it once it is received.
        largest_request_bytes: of a form with its files.
        largest_json_bytes: of a JSON body.
        largest_ecg_bytes, largest_cine_bytes: of one file of the field ``ecg``, or of ``cmr`` and ``cmr_long_axis``.
        most_files: in one request.
        most_unpacked_bytes: what the archives of one request may hold once unpacked.
        most_stored_bytes: files of all requests together, on disk while they are read, and bodies of JSON in memory.
        batch_most: requests scored together at most.
        api_key: what the header ``X-API-Key`` (or ``Authorization: Bearer``) must hold; empty: anybody may ask.
        hosts: names a request may address the server by (header ``Host``); empty: any.

    Raises:
        ConfigError: a limit is not above 0, or the API key is short.
    """

    workers: int = 2
    limits: Limits = field(default_factory=lambda: Limits(seconds=30.0, memory_bytes=2 << 30))
    most_requests: int = 32
    most_receiving: int = 128
    header_seconds: float = 10.0
    receive_seconds: float = 60.0
    patience_seconds: float = 10.0
    slowest_bytes_per_s: float = 1000.0
    answer_seconds: float = 120.0
    largest_request_bytes: int = 256 << 20
    largest_json_bytes: int = 16 << 20
    largest_ecg_bytes: int = LARGEST_ECG_BYTES
    largest_cine_bytes: int = LARGEST_FILE_BYTES
    most_files: int = 5_000
    most_unpacked_bytes: int = 1 << 30
    most_stored_bytes: int = 1 << 30
    batch_most: int = 16
    api_key: str = field(default="", repr=False)
    hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, int | float) and not value > 0:
                raise ConfigError("a limit of the server is not above 0", where=name, expected="> 0", got=value)
        if self.api_key and len(self.api_key) < SHORTEST_API_KEY:
            raise ConfigError(
                "the API key is too short to be a secret", expected=f"at least {SHORTEST_API_KEY} characters",
                hint="python -c 'import secrets; print(secrets.token_urlsafe())' makes one",
            )  # fmt: skip


def read_api_key(file: Path | None) -> str:
    """Return the API key of a file, else of the environment variable CARDIOBIND_API_KEY, else an empty text.

    Raises:
        ConfigError: the file cannot be read or is empty.
    """
    if file is None:
        return os.environ.get(API_KEY_VARIABLE, "").strip()
    try:
        key = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("the API key cannot be read", where=file, got=type(error).__name__) from None
    if not key:
        raise ConfigError("the file of the API key is empty", where=file)
    return key
