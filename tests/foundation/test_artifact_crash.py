"""Artefacts under crashes, full disks and races: a whole artefact or none, and never a mixture."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cardiobind.artifact import commit, open_artifact, remove_partials
from cardiobind.errors import ArtifactError, ArtifactExistsError


class Crash(BaseException):
    """The process ends here, as far as the code under test can tell."""


class FailAt:
    """Lets calls through until the n-th, which fails before or after it has done its work."""

    def __init__(self, nth: int, failure: BaseException, after: bool) -> None:
        self.nth, self.failure, self.after, self.count = nth, failure, after, 0

    def wrap(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            if self.count == self.nth and not self.after:
                raise self.failure
            result = call(*args, **kwargs)
            if self.count == self.nth:
                raise self.failure
            return result

        return wrapped


def patch_calls(monkeypatch: pytest.MonkeyPatch, fail: FailAt) -> None:
    for name in ("fsync", "open"):
        monkeypatch.setattr(os, name, fail.wrap(getattr(os, name)))
    for name in ("mkdir", "open", "rename"):
        monkeypatch.setattr(Path, name, fail.wrap(getattr(Path, name)))


def write(path: Path, text: str = "x") -> None:
    with commit(path, "kind") as folder:
        os.makedirs(folder / "sub")
        for name in ("a.txt", "sub/b.txt"):
            descriptor = os.open(folder / name, os.O_CREAT | os.O_WRONLY)
            os.write(descriptor, text.encode() * 100)
            os.close(descriptor)


def count_calls(tmp_path: Path) -> int:
    with pytest.MonkeyPatch.context() as patch:
        fail = FailAt(0, Crash(), after=False)
        patch_calls(patch, fail)
        write(tmp_path / "counted")
    return fail.count


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("failure", [Crash(), OSError(errno.EIO, "broken disk")], ids=["crash", "io-error"])
def test_each_crash_point_leaves_a_whole_artefact_or_none(tmp_path: Path, failure: BaseException, after: bool) -> None:
    points = count_calls(tmp_path)
    assert points > 12
    outcomes = set()
    for nth in range(1, points + 1):
        place = tmp_path / str(nth)
        place.mkdir()
        with pytest.MonkeyPatch.context() as patch:
            patch_calls(patch, FailAt(nth, failure, after))
            with pytest.raises((Crash, ArtifactError, OSError)):
                write(place / "a")
        left = [p.name for p in place.iterdir()]
        assert left in ([], ["a"])
        outcomes.add(bool(left))
        if left:
            assert set(open_artifact(place / "a").manifest["files"]) == {"a.txt", "sub/b.txt"}
        else:
            write(place / "a")
    assert outcomes == {False, True}, "a crash before the rename leaves nothing, one after it the artefact"


def test_an_io_error_while_committing_is_an_artifact_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = OSError(errno.EIO, "broken disk")
    monkeypatch.setattr(os, "fsync", FailAt(1, broken, after=False).wrap(os.fsync))
    with pytest.raises(ArtifactError, match=r"could not be written[\s\S]*broken disk") as caught:
        write(tmp_path / "a")
    assert caught.value.__cause__ is broken


def test_a_file_system_that_cannot_rename_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "rename", FailAt(1, OSError(errno.EXDEV, "cross-device"), after=False).wrap(Path.rename))
    with pytest.raises(ArtifactError, match=r"moved to its place[\s\S]*local file system"):
        write(tmp_path / "a")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("call", ["fsync", "rename", "mkdir"])
def test_a_full_disk_says_so_wherever_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, call: str
) -> None:
    full = OSError(code, os.strerror(code))
    owner: Any = os if call == "fsync" else Path
    with monkeypatch.context() as patch:
        patch.setattr(owner, call, FailAt(1, full, after=False).wrap(getattr(owner, call)))
        with pytest.raises(ArtifactError, match="disk full") as caught:
            write(tmp_path / "a")
    assert caught.value.__cause__ is full
    assert not list(tmp_path.iterdir())


def test_a_full_disk_in_the_block_says_so(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "no space")
    with pytest.raises(ArtifactError, match="disk full") as caught, commit(tmp_path / "a", "kind"):
        raise full
    assert caught.value.__cause__ is full
    assert not list(tmp_path.iterdir())


def test_other_errors_of_the_block_pass_unchanged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), commit(tmp_path / "a", "kind") as folder:
        (folder / "absent").read_bytes()
    assert not list(tmp_path.iterdir())


def test_a_parent_that_is_a_file_cannot_hold_an_artefact(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactError, match="could not be written"), commit(tmp_path / "file" / "a", "kind"):
        pytest.fail("the block must not run")


LIMITED = """
import resource, sys
import numpy as np
from cardiobind.artifact import commit
from cardiobind.errors import ArtifactError
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
writers = {
    "bytes": lambda f: f.write_bytes(bytes(200_000)),
    "npy": lambda f: np.save(f, np.zeros(200_000, np.uint8)),
    "nothing": lambda f: None,
}
try:
    with commit(sys.argv[1], "kind", config={"filler": "x" * 50_000}) as folder:
        writers[sys.argv[3]](folder / "big.npy")
except ArtifactError as error:
    assert isinstance(error.__cause__, OSError)
    print(error)
    sys.exit(3)
"""


@pytest.mark.parametrize(("limit", "writer"), [(100_000, "bytes"), (100_000, "npy"), (10_000, "nothing")])
def test_a_real_limit_on_file_size_is_a_clear_error(tmp_path: Path, limit: int, writer: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "a"), str(limit), writer],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "disk full" in done.stdout
    assert not list(tmp_path.iterdir())


def bytes_to_full_device() -> None:
    with open("/dev/full", "wb") as stream:
        stream.write(b"x")


def array_to_full_device() -> None:
    with open("/dev/full", "wb") as stream:
        np.zeros(100_000).tofile(stream)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("use", [bytes_to_full_device, array_to_full_device])
def test_writing_to_a_full_device_is_a_clear_error(tmp_path: Path, use: Callable[[], None]) -> None:
    with pytest.raises(ArtifactError, match="disk full"), commit(tmp_path / "a", "kind"):
        use()
    assert not list(tmp_path.iterdir())


SLOW_WRITER = """
import sys, time
from pathlib import Path
from cardiobind.artifact import commit
with commit(sys.argv[1], "kind") as folder:
    (folder / "half.txt").write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


def test_a_killed_writer_leaves_only_a_partial_that_can_be_removed(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_WRITER, str(tmp_path / "a")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".a.partial-")
    write(tmp_path / "a")
    remove_partials(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    open_artifact(tmp_path / "a", "kind")


RACER = """
import sys, time
from pathlib import Path
from cardiobind.artifact import commit
from cardiobind.errors import ArtifactExistsError
me, root, start, rounds = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
for turn in range(rounds):
    time.sleep(max(0.0, start + turn * 0.02 - time.time()))
    try:
        with commit(root / str(turn), "kind") as folder:
            for part in range(3):
                (folder / f"part-{part}.txt").write_text(me * 1000)
    except ArtifactExistsError:
        continue
    print(turn, flush=True)
"""


def test_of_two_racing_processes_exactly_one_wins_and_nothing_mixes(tmp_path: Path) -> None:
    rounds, start = 30, time.time() + 1.5
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, me, str(tmp_path), str(start), str(rounds)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for me in "ab"
    ]  # fmt: skip
    outputs = [racer.communicate(timeout=60) for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0], outputs
    won = [{int(line) for line in output.split()} for output, _ in outputs]
    assert won[0] | won[1] == set(range(rounds))
    assert not won[0] & won[1]
    for turn in range(rounds):
        files = open_artifact(tmp_path / str(turn)).manifest["files"]
        winner = "a" if turn in won[0] else "b"
        assert len(files) == 3
        assert {(tmp_path / str(turn) / name).read_text() for name in files} == {winner * 1000}
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(str(turn) for turn in range(rounds))


def test_the_slower_of_two_writers_is_told(tmp_path: Path) -> None:
    with pytest.raises(ArtifactExistsError, match="already"), commit(tmp_path / "a", "kind"):
        write(tmp_path / "a", "first")
    assert (tmp_path / "a" / "a.txt").read_text() == "first" * 100
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    open_artifact(tmp_path / "a")
