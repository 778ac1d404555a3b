"""Checkpoints: kept, damaged, resumed."""

from __future__ import annotations

import logging
import pickle

import pytest
import torch

from cardiobind import artifact, rng
from cardiobind.errors import TrainingError
from cardiobind.training import engine, precision, weights_digest
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


def truncate(data, at):
    return data[:at]


def flip(data, at):
    return data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :]


def lengthen(data, at):
    return data[:at] + b"!" + data[at:]


@pytest.mark.parametrize("change", [truncate, flip, lengthen, None])
@pytest.mark.parametrize("name", ["state.ckpt", "manifest.json"])
def test_damage_to_any_file_falls_back_on_the_checkpoint_before(tmp_path, caplog, name, change):
    for i in range(12):
        folder = tmp_path / str(i)
        for round_ in (1, 2):
            save_checkpoint(
                folder, round_, lambda file, r=round_: torch.save({"round": r, "x": torch.arange(40.0)}, file),
                identity={"seed": 1}, keep=2,
            )  # fmt: skip
        file = folder / "round-000002" / name
        if change is None:
            file.unlink()
        else:
            data = file.read_bytes()
            at = int(rng.generator(0, "damage", name, change.__name__, i).integers(len(data)))
            file.write_bytes(change(data, at))
        assert read_state(newest_checkpoint(folder, {"seed": 1}))["round"] == 1
        assert (folder / "damaged-round-000002").is_dir()
    assert caplog.text.count("round-000002 is damaged") == 12


def test_resume_within_a_round_is_exact(run, toy, monkeypatch, tmp_path):
    monkeypatch.setattr(engine, "_SAVES_COST", 0.0)
    settings = {"round_steps": 9, "checkpoint_interval_s": 1e-9}
    whole, expected = run(work="whole", round_steps=9)
    for at_step in (1, 2, 5, 9, 1):
        with pytest.raises(Killed):
            run(interrupt(toy, at_step), **settings)
    assert checkpoints(tmp_path)[-1] == "round-000002"
    resumed, history = run(**settings)
    assert resumed.steps == 24 - 18
    assert history.rows == expected.rows
    assert weights_digest(resumed.state_dict()) == weights_digest(whole.state_dict())


def test_the_cadence_of_checkpoints_does_not_change_the_result(run, monkeypatch):
    monkeypatch.setattr(engine, "_SAVES_COST", 0.0)
    digests = {
        weights_digest(run(work=f"every-{s}", checkpoint_interval_s=s, checkpoints_kept=k)[0].state_dict())
        for s, k in ((0.0, 2), (1e-9, 5), (60.0, 2))
    }
    assert len(digests) == 1


def test_a_short_checkpoint_interval_does_not_spend_the_time_on_the_disk(run, tmp_path):
    run(checkpoint_interval_s=1e-9, checkpoints_kept=50, epochs=1)
    assert len(checkpoints(tmp_path)) < 6


def test_all_damaged_starts_afresh(run, toy, tmp_path):
    whole, _ = run(work="whole")
    run()
    for name in checkpoints(tmp_path):
        damage_flipped(tmp_path / "run" / "checkpoints" / name)
    again, _ = run()
    assert again.steps == 24
    assert weights_digest(again.state_dict()) == weights_digest(whole.state_dict())


@pytest.mark.parametrize(
    ("change", "named"),
    [({"seed": 2}, "seed"), ({"learning_rate": 0.5}, r"learning_rate 0\.5"), ({"size": 51}, "subjects")],
)
def test_the_folder_of_another_run_is_refused(run, change, named):
    run()
    with pytest.raises(TrainingError, match=f"another run[\\s\\S]*{named}"):
        run(**change)


def bf16_is(fast, monkeypatch):
    monkeypatch.setattr(precision, "_cpu_multiplies_bf16", lambda: "AMX" if fast else None)


def test_a_run_goes_on_in_the_precision_that_was_chosen_when_it_began(run, toy, monkeypatch, caplog):
    bf16_is(True, monkeypatch)
    whole, expected = run(work="whole", precision="auto", accelerator="cpu")
    with pytest.raises(Killed):
        run(interrupt(toy, 15), precision="auto", accelerator="cpu")
    bf16_is(False, monkeypatch)
    resumed, history = run(precision="auto", accelerator="cpu")
    assert history.precision == expected.precision == "bf16-mixed"
    assert "goes on in bf16-mixed" in caplog.text
    assert weights_digest(resumed.state_dict()) == weights_digest(whole.state_dict())
    with pytest.raises(TrainingError, match=r"expected: precision 32-true\s+got: precision bf16-mixed"):
        run(precision="32-true", accelerator="cpu")


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
