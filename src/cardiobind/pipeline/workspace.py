"""The folder of a run: stages become artefacts once, and a stage that has been done is found again."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from cardiobind import artifact
from cardiobind.artifact import Artifact
from cardiobind.errors import ArtifactError, CorruptArtifactError
from cardiobind.pipeline.progress import Quiet, Reporter
from cardiobind.training.processes import current


@dataclass(frozen=True)
class Stage:
    """A stage about to be computed.

    Attributes:
        path: where its artefact will be.
        work: folder for what an interrupted computation needs to go on.
        config, parents, fingerprint: what the artefact records of its origin.
    """

    name: str
    kind: str
    path: Path
    work: Path
    config: Mapping[str, Any]
    parents: Sequence[Artifact]
    fingerprint: str

    def commit(self) -> AbstractContextManager[Path]:
        """Give a folder that becomes the artefact when the block ends; see `cardiobind.artifact.commit`.

        Of several processes that compute the stage together one writes it; the others get a folder that is forgotten.
        """
        if not current().leads:
            return _forgotten()
        return artifact.commit(
            self.path, self.kind, parents=self.parents, config=self.config, fingerprint=self.fingerprint
        )


class Workspace:
    """The output folder of one run.

    Args:
        out: folder that receives the artefacts.
        reporter: receives progress.
    """

    def __init__(self, out: Path | str, reporter: Reporter | None = None) -> None:
        self.out = Path(out)
        self.reporter: Reporter = reporter or Quiet()
        self.used: dict[str, Artifact] = {}

    @contextmanager
    def locked(self, *, shared: bool = False) -> Iterator[None]:
        """Hold the folder for this process, or, if `shared`, together with others that do other parts of one work.

        Raises:
            ArtifactError: another run is at work there, or no folder can be made there.
        """
        with ExitStack() as held:
            current().by_leader(lambda: held.enter_context(self._hold(shared=shared)))
            yield

    @contextmanager
    def _hold(self, *, shared: bool) -> Iterator[None]:
        with self._lock_file() as lock:
            try:
                fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ArtifactError(
                    "another run is at work in that folder", where=self.out, hint="wait for it or choose another --out"
                ) from error
            if not shared:
                artifact.remove_partials(self.out)
            yield

    def _lock_file(self) -> IO[str]:
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            return (self.out / ".lock").open("w")
        except OSError as error:
            raise ArtifactError(
                "the output folder cannot be used", where=self.out, got=error.strerror, hint="choose another --out"
            ) from error

    def obtain(
        self,
        name: str,
        kind: str,
        build: Callable[[Stage], object],
        *,
        config: Mapping[str, Any],
        rooms: Sequence[str],
        parents: Sequence[Artifact] = (),
        together: bool = False,
        again: bool = False,
    ) -> Artifact:
        """Return the artefact of a stage, computing it unless the same inputs, config and code have made it before.

        Args:
            name: name of the stage in this run, the first part of the folder's name.
            kind: kind of artefact.
            build: computes the artefact at ``stage.path``.
            config: resolved config of the stage.
            rooms: rooms of the package whose code decides the result.
            parents: artefacts read.
            together: several processes compute it together; otherwise one does while the others wait.
            again: compute it though it is there, from the start.

        Raises:
            CorruptArtifactError: a stage that was done was altered since.
        """
        stage = self.stage(name, kind, config=config, rooms=rooms, parents=parents)
        with ExitStack() as held:
            cached = current().by_leader(lambda: _found(stage, held, again=again))
            self.reporter.start(name)
            if not cached:
                _build(build, stage, together=together)
            found = _opened(stage.path, kind)
            current().by_leader(lambda: shutil.rmtree(stage.work, ignore_errors=True))
        self.used[name] = found
        self.reporter.finish(name, cached=cached)
        return found

    def stage(
        self, name: str, kind: str, *, config: Mapping[str, Any], rooms: Sequence[str], parents: Sequence[Artifact] = ()
    ) -> Stage:
        """Return the stage that `obtain` computes or finds, with its places; arguments as there."""
        key = artifact.fingerprint(kind, config, parents, artifact.code_digest(rooms))
        path = self.out / f"{name}-{key[:8]}"
        return Stage(name, kind, path, self.out / ".work" / path.name, config, parents, key)

    def forget_others(self, stage: Stage) -> None:
        """Delete what interrupted computations of the same stage from other inputs have left."""
        for folder in stage.work.parent.glob(f"{stage.name}-*"):
            if folder != stage.work and folder.is_dir():
                shutil.rmtree(folder, ignore_errors=True)

    def link(self, name: str, found: Artifact) -> Path:
        """Let a plain name point at an artefact of this folder, so that people need not know its fingerprint."""
        link, fresh = self.out / name, self.out / f".{name}.link-{uuid.uuid4().hex}"
        fresh.symlink_to(found.path.name)
        fresh.replace(link)
        return link


def _found(stage: Stage, held: ExitStack, *, again: bool) -> bool:
    """Return whether a stage is done; unless it plainly is, wait until nobody else is at it and keep others from it."""
    if not again and stage.path.exists() and not stage.work.exists():
        return True
    stage.work.parent.mkdir(parents=True, exist_ok=True)
    # Opened for writing, as NFS turns flock into a lock that needs it; beside the folder, so that it outlives that.
    lock = held.enter_context(stage.work.with_name(f"{stage.work.name}.lock").open("w"))
    fcntl.flock(lock, fcntl.LOCK_EX)
    if again:
        _forget(stage)
    return stage.path.exists()


def _forget(stage: Stage) -> None:
    """Delete a stage, if it is there, and what an interrupted computation has left; the caller holds the lock."""
    stage.work.mkdir(exist_ok=True)
    if stage.path.exists():
        stage.path.rename(stage.work / f"forgotten-{uuid.uuid4().hex}")
    shutil.rmtree(stage.work)


def _build(build: Callable[[Stage], object], stage: Stage, *, together: bool) -> None:
    def alone() -> None:
        stage.work.mkdir(parents=True, exist_ok=True)
        if not together:
            build(stage)

    current().by_leader(alone)
    if together:
        build(stage)
        current().wait()


@contextmanager
def _forgotten() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _opened(path: Path, kind: str) -> Artifact:
    try:
        return artifact.open_artifact(path, kind)
    except CorruptArtifactError as error:
        hint = error.hint or f"delete the folder {path.name} to have it made again"
        raise CorruptArtifactError(
            error.what, where=error.where, expected=error.expected, got=error.got, hint=hint
        ) from error
