"""Why a request is not answered: a status, a code, and words that quote nothing that was sent."""

from __future__ import annotations

import traceback
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from cardiobind.errors import CardiobindError, DataContractError, RecordError
from cardiobind.formats import reasons
from cardiobind.modalities.cmr.preparation import FATAL_CMR
from cardiobind.modalities.ecg.preparation import FATAL_ECG
from cardiobind.modalities.features import FEATURE_BY_NAME

RETRY_SECONDS = 2
_FIELDS = {"table": "facts"}
_STATUS = {
    reasons.NOT_RECOGNISED: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    reasons.OTHER_KIND: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    reasons.UNSUPPORTED: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    reasons.EXERCISE_ECG: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    reasons.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    reasons.UNSAFE_ARCHIVE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
}


@dataclass(frozen=True)
class Refusal:
    """One answer that is no prediction.

    Attributes:
        status: of HTTP.
        code: for programs, such as ``not_recognised``.
        message: for people.
        where: field of the request: ``ecg``, ``cmr``, ``cmr_long_axis``, ``facts`` or ``facts.NAME``.
        expected: what a good request holds there.
        hint: what to do.
    """

    status: int
    code: str
    message: str
    where: str | None = None
    expected: str | None = None
    hint: str | None = None

    def to_json(self, request: str) -> dict[str, Any]:
        """Return the body of the answer, with the random id of the request."""
        described = {name: value for name, value in asdict(self).items() if name != "status"}
        return {"error": {**described, "request": request}}

    @property
    def headers(self) -> dict[str, str]:
        """Headers that belong to the status."""
        if self.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            return {"Retry-After": str(RETRY_SECONDS)}
        return {"WWW-Authenticate": "Bearer"} if self.status == HTTPStatus.UNAUTHORIZED else {}


class Refused(Exception):
    """Raised on the way to a prediction; the server answers with its refusal."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(refusal.code)


def refuse(status: int, code: str, message: str, *, where: str | None = None, expected: str | None = None,
           hint: str | None = None) -> Refused:  # fmt: skip
    """Return the exception for a refusal."""
    return Refused(Refusal(int(status), code, message, where, expected, hint))


def refusal_of(error: CardiobindError, field: str | None) -> Refusal:
    """Return what is answered for an error of the rooms below.

    Neither what was got nor the place of a file is told: both may hold names.

    Args:
        error: raised while a request was read or prepared.
        field: of the request that was at work, where known.
    """
    expected, hint = (None if value is None else str(value) for value in (error.expected, error.hint))
    if isinstance(error, RecordError):
        status = _STATUS.get(error.reason, HTTPStatus.UNPROCESSABLE_ENTITY)
        return Refusal(int(status), error.reason, error.what, field or _field_of(error.reason), expected, hint)
    where, code = field or _FIELDS.get(str(error.where)), "unusable_input"
    if isinstance(error, DataContractError):
        code = "breaks_contract"
    if isinstance(error.where, str) and error.where in FEATURE_BY_NAME:
        where, code = f"facts.{error.where}", "unusable_fact"
    return Refusal(int(HTTPStatus.UNPROCESSABLE_ENTITY), code, error.what, where, expected, hint)


def _field_of(reason: str) -> str | None:
    """Return the field whose preparation gives a code, or None if both do."""
    ecg, cmr = reason in FATAL_ECG, reason in FATAL_CMR
    return None if ecg == cmr else "ecg" if ecg else "cmr"


def place_of(error: BaseException) -> str:
    """Return what kind of error came from which line: its words may hold names."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
