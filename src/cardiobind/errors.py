"""The errors a user can meet: each says what is wrong, where, what was expected and got, and what to do."""

from __future__ import annotations


class CardiobindError(Exception):
    """Base of every error raised on purpose.

    Args:
        what: one sentence that names the problem. It must not hold a participant identifier.
        where: file, field, artefact or option concerned.
        expected: what a valid input looks like.
        got: what was found instead.
        hint: what the user can do about it.
    """

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        expected: object = None,
        got: object = None,
        hint: str | None = None,
    ) -> None:
        self.what = what
        self.where = where
        self.expected = expected
        self.got = got
        self.hint = hint
        super().__init__(self._message())

    def _message(self) -> str:
        parts = [self.what]
        if self.where is not None:
            parts.append(f"where: {self.where}")
        if self.expected is not None:
            parts.append(f"expected: {self.expected}")
        if self.got is not None:
            parts.append(f"got: {self.got}")
        if self.hint is not None:
            parts.append(f"what to do: {self.hint}")
        return "\n  ".join(parts)


class ConfigError(CardiobindError):
    """An option is unknown, missing, of the wrong type or out of range."""


class UnknownNameError(ConfigError):
    """A registry holds no entry of that name."""


class InputError(CardiobindError):
    """An argument of a public function has the wrong shape, unit or value."""


class ArtifactError(CardiobindError):
    """An artefact cannot be written or is not of the kind asked for."""


class ArtifactExistsError(ArtifactError):
    """Another writer has committed an artefact at that path."""


class CorruptArtifactError(ArtifactError):
    """A file of an artefact is missing, truncated, altered or not in its inventory."""


class RecordError(CardiobindError):
    """A raw record cannot be used; the batch goes on and the record is quarantined.

    Args:
        reason: short code for the quarantine table, such as ``"truncated"`` (see `cardiobind.formats.reasons`).
        what: as in `CardiobindError`.
    """

    def __init__(
        self,
        reason: str,
        what: str,
        *,
        where: object = None,
        expected: object = None,
        got: object = None,
        hint: str | None = None,
    ) -> None:
        self.reason = reason
        super().__init__(what, where=where, expected=expected, got=got, hint=hint)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_record_error, (self.reason, self.what, self.where, self.expected, self.got, self.hint))


def _rebuild_record_error(
    reason: str, what: str, where: object, expected: object, got: object, hint: str | None
) -> RecordError:
    return RecordError(reason, what, where=where, expected=expected, got=got, hint=hint)


class SplitLeakageError(CardiobindError):
    """A subject is in more than one split."""


class LabelLeakageError(CardiobindError):
    """A feature defines or follows the label."""


class DataContractError(CardiobindError):
    """Data break the contract that a model was trained under."""


class TrainingError(CardiobindError):
    """Training cannot go on, for instance because a loss is not finite."""
