"""Checkpoints: kept, damaged, resumed."""

from __future__ import annotations

import logging
import pickle

import pytest
import torch

from cardiobind import artifact, rng
from cardiobind.errors import TrainingError
from cardiobind.training import weights_digest
from cardiobind.training.checkpoints import newest_checkpoint, read_state, save_checkpoint


class Killed(Exception):
    pass


def interrupt(toy, at_step):
    class Interrupted(toy):
        def training_step(self, batch):
            if self.steps == at_step:
                raise Killed
            return super().training_step(batch)

    Interrupted.__name__ = "Toy"
    return Interrupted()


def checkpoints(folder):
    return sorted(p.name for p in (folder / "run" / "checkpoints").iterdir())


def test_two_checkpoints_are_kept(run, tmp_path):
    run()
    assert checkpoints(tmp_path) == ["round-000003", "round-000004"]
    artifact.open_artifact(tmp_path / "run" / "checkpoints" / "round-000004", "checkpoint")


def test_short_runs_write_only_the_last_one(run, tmp_path):
    run(checkpoint_interval_s=60.0)
    assert checkpoints(tmp_path) == ["round-000004"]


@pytest.mark.parametrize("at_step", [3, 6, 7, 13, 20])
def test_resume_is_exact(run, toy, at_step):
    whole, expected = run(work="whole", round_steps=4)
    with pytest.raises(Killed):
        run(interrupt(toy, at_step), round_steps=4)
    resumed, history = run(round_steps=4)
    assert weights_digest(resumed.state_dict()) == weights_digest(whole.state_dict())
    assert history.rows == expected.rows
    assert (history.best_round, history.best_value) == (expected.best_round, expected.best_value)


def test_logs_of_a_resumed_run_are_those_of_the_whole(run, toy, tmp_path):
    run(work="whole")
    with pytest.raises(Killed):
        run(interrupt(toy, 15), checkpoint_interval_s=0.0)
    run()
    for name in ("history.jsonl", "history.csv"):
        assert (tmp_path / "run" / name).read_text() == (tmp_path / "whole" / name).read_text()


def test_resume_keeps_patience(run, toy):
    settings = {"epochs": 8, "patience": 3, "min_delta": 0.3}
    whole, expected = run(work="whole", **settings)
    assert expected.stopped_early
    with pytest.raises(Killed):
        run(interrupt(toy, 6 * (len(expected.rows) - 1) + 1), **settings)
    resumed, history = run(**settings)
    assert history.rows == expected.rows
    assert history.stopped_early
    assert weights_digest(resumed.state_dict()) == weights_digest(whole.state_dict())


def test_a_finished_run_is_not_trained_again(run, toy):
    first, history = run()
    again, same = run()
    assert again.steps == 0
    assert same == history
    assert weights_digest(again.state_dict()) == weights_digest(first.state_dict())


def damage_torn(path):
    (path / "manifest.json").unlink()


def damage_truncated(path):
    data = (path / "state.ckpt").read_bytes()
    (path / "state.ckpt").write_bytes(data[: len(data) // 2])


def damage_flipped(path):
    data = bytearray((path / "state.ckpt").read_bytes())
    data[len(data) // 2] ^= 4
    (path / "state.ckpt").write_bytes(data)


@pytest.mark.parametrize("damage", [damage_torn, damage_truncated, damage_flipped])
def test_a_damaged_checkpoint_is_skipped_with_a_warning(run, toy, tmp_path, caplog, damage):
    whole, _ = run(work="whole")
    with pytest.raises(Killed):
        run(interrupt(toy, 20))
    assert checkpoints(tmp_path) == ["round-000002", "round-000003"]
    damage(tmp_path / "run" / "checkpoints" / "round-000003")
    with caplog.at_level(logging.WARNING):
        resumed, _ = run()
    assert resumed.steps == 12
    assert "round-000003" in caplog.text
    assert weights_digest(resumed.state_dict()) == weights_digest(whole.state_dict())


def test_no_flipped_bit_is_ever_loaded(tmp_path):
    state = {"x": torch.arange(40.0), "round": 3}
    for i in range(100):
        folder = tmp_path / str(i)
        path = save_checkpoint(folder, 1, lambda file: torch.save(state, file), identity={"seed": 1}, keep=2)
        generator = rng.generator(0, "flip", i)
        file = path / ("state.ckpt" if i % 3 else "manifest.json")
        data = bytearray(file.read_bytes())
        data[int(generator.integers(len(data)))] ^= 1 << int(generator.integers(8))
        file.write_bytes(data)
        assert newest_checkpoint(folder, {"seed": 1}) is None


def test_all_damaged_starts_afresh(run, toy, tmp_path):
    whole, _ = run(work="whole")
    run()
    for name in checkpoints(tmp_path):
        damage_flipped(tmp_path / "run" / "checkpoints" / name)
    again, _ = run()
    assert again.steps == 24
    assert weights_digest(again.state_dict()) == weights_digest(whole.state_dict())


@pytest.mark.parametrize(
    ("change", "named"), [({"seed": 2}, "seed"), ({"learning_rate": 0.5}, "settings"), ({"size": 51}, "subjects")]
)
def test_the_folder_of_another_run_is_refused(run, change, named):
    run()
    with pytest.raises(TrainingError, match=f"another run[\\s\\S]*{named}"):
        run(**change)


def test_other_first_weights_are_refused(run, toy):
    run()
    with pytest.raises(TrainingError, match="first_weights"):
        run(toy(seed=3))


def test_defect_04_a_checkpoint_that_lacks_weights_is_never_loaded_in_silence(run, toy, tmp_path):
    with pytest.raises(Killed):
        run(interrupt(toy, 20))
    folder = tmp_path / "run" / "checkpoints"
    newest = artifact.open_artifact(folder / "round-000003")
    state = torch.load(newest.file("state.ckpt"), weights_only=True)
    del state["state_dict"]["method.net.0.weight"]
    save_checkpoint(folder, 4, lambda file: torch.save(state, file), identity=newest.config, keep=2)
    with pytest.raises(RuntimeError, match=r"Missing key.*net\.0\.weight"):
        run()


def test_a_checkpoint_cannot_run_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("code was run",))

    save_checkpoint(tmp_path, 1, lambda file: torch.save({"x": Evil()}, file), identity={}, keep=2)
    with pytest.raises(pickle.UnpicklingError):
        read_state(newest_checkpoint(tmp_path, {}))
