"""A model of the artefact store, walked at random: the store never disagrees with it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cardiobind.artifact import Artifact, commit, open_artifact, remove_partials, verify
from cardiobind.errors import ArtifactError, ArtifactExistsError, CorruptArtifactError

NAMES = st.sampled_from([f"artefact-{i}" for i in range(6)])
TEXTS = st.text(min_size=1, max_size=20)


class StoreMachine(RuleBasedStateMachine):
    """Commits, crashes, races, damages, deletes; `self.model` holds what each path must open as."""

    @initialize()
    def start(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="cardiobind-store-"))
        self.model: dict[str, str] = {}
        self.parents: dict[str, list[str]] = {}
        self.damaged: set[str] = set()

    def teardown(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)

    def _write(self, name: str, text: str, parents: list[Artifact]) -> None:
        with commit(self.root / name, "kind", parents=parents) as folder:
            (folder / "text.txt").write_bytes(text.encode())

    def _whole(self) -> list[str]:
        return [name for name in sorted(self.model) if self._sound(name)]

    def _sound(self, name: str) -> bool:
        return name in self.model and name not in self.damaged and all(self._sound(p) for p in self.parents[name])

    @rule(name=NAMES, text=TEXTS, data=st.data())
    def commit_one(self, name: str, text: str, data: st.DataObject) -> None:
        chosen = data.draw(st.lists(st.sampled_from(self._whole()), unique=True, max_size=2)) if self._whole() else []
        if name in self.model:
            with pytest.raises(ArtifactExistsError):
                self._write(name, text, [])
            return
        self._write(name, text, [open_artifact(self.root / parent) for parent in chosen])
        self.model[name], self.parents[name] = text, chosen

    @rule(name=NAMES, text=TEXTS)
    def crash_while_writing(self, name: str, text: str) -> None:
        expected = ArtifactExistsError if name in self.model else ZeroDivisionError
        with pytest.raises(expected):
            self._write_and_crash(name, text)

    def _write_and_crash(self, name: str, text: str) -> None:
        with commit(self.root / name, "kind") as folder:
            (folder / "text.txt").write_bytes(text.encode())
            raise ZeroDivisionError

    @precondition(lambda self: len(self.model) < 6)
    @rule(data=st.data(), first=TEXTS, second=TEXTS)
    def race(self, data: st.DataObject, first: str, second: str) -> None:
        name = data.draw(st.sampled_from([f"artefact-{i}" for i in range(6) if f"artefact-{i}" not in self.model]))
        with pytest.raises(ArtifactExistsError):
            self._write_while_another_commits(name, first, second)
        self.model[name], self.parents[name] = first, []

    def _write_while_another_commits(self, name: str, first: str, second: str) -> None:
        with commit(self.root / name, "kind") as folder:
            (folder / "text.txt").write_bytes(second.encode())
            self._write(name, first, [])

    @precondition(lambda self: self.model.keys() - self.damaged)
    @rule(data=st.data(), how=st.sampled_from(["edit", "append", "delete", "add", "manifest"]))
    def damage(self, data: st.DataObject, how: str) -> None:
        name = data.draw(st.sampled_from(sorted(self.model.keys() - self.damaged)))
        file = self.root / name / ("manifest.json" if how == "manifest" else "text.txt")
        content = file.read_bytes()
        if how == "delete":
            file.unlink()
        elif how == "add":
            (self.root / name / "added").touch()
        else:
            file.write_bytes(content + b"x" if how == "append" else bytes([content[0] ^ 1]) + content[1:])
        self.damaged.add(name)

    @precondition(lambda self: self._childless())
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(self._childless()))
        shutil.rmtree(self.root / name)
        self.damaged.discard(name)
        del self.model[name], self.parents[name]

    def _childless(self) -> list[str]:
        used = {parent for parents in self.parents.values() for parent in parents}
        return sorted(self.model.keys() - used)

    @rule()
    def clean(self) -> None:
        (self.root / ".left.partial-0").mkdir()
        remove_partials(self.root)

    @invariant()
    def the_store_is_the_model(self) -> None:
        assert {p.name for p in self.root.iterdir()} == set(self.model)
        for name, text in self.model.items():
            if name in self.damaged:
                with pytest.raises(CorruptArtifactError):
                    open_artifact(self.root / name)
                continue
            assert open_artifact(self.root / name, "kind").file("text.txt").read_bytes() == text.encode()
            if self._sound(name):
                assert len(verify(self.root / name)) >= 1
            else:
                with pytest.raises(ArtifactError):
                    verify(self.root / name)


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=20, stateful_step_count=15, deadline=None)
