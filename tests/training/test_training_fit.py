"""The loop: best weights, stopping, order, randomness, guards and logs."""

from __future__ import annotations

import json
import signal
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from cardiobind.errors import InputError, TrainingError
from cardiobind.training import weights_digest


def test_training_learns(run):
    _, history = run(epochs=30, learning_rate=0.03)
    assert history.best_value < 0.5 * history.rows[0]["validation_error"]
    assert history.weights == "best"


def test_defect_01_best_round_and_not_the_last_is_kept(run, toy, tmp_path):
    seen = {}

    class Recording(toy):
        def summarise(self, outputs):
            seen[len(seen) + 1] = weights_digest(self.state_dict())
            return super().summarise(outputs)

    method = Recording()
    method.values = [3.0, 1.0, 2.0, 4.0]
    _, history = run(method)
    assert (history.best_round, history.best_value) == (2, 1.0)
    assert weights_digest(method.state_dict()) == seen[2]
    assert len(set(seen.values())) == 4
    assert not method.training


def test_a_tie_keeps_the_earlier_round(run, toy):
    method = toy()
    method.values = [2.0, 1.0, 1.0, 1.0]
    assert run(method)[1].best_round == 2


def test_without_validation_the_last_weights_are_held_and_the_history_says_so(run):
    method, history = run(validation=0)
    longer, _ = run(validation=0, work="again", epochs=4)
    assert history.weights == "last"
    assert history.best_round is None
    assert weights_digest(method.state_dict()) == weights_digest(longer.state_dict())
    assert not any(name.startswith("validation") for name in history.rows[0])


def test_an_undefined_monitor_never_chooses(run, toy):
    method = toy()
    method.values = [float("nan")] * 4
    assert run(method)[1].weights == "last"
    method = toy()
    method.values = [float("nan"), 2.0, float("nan"), 3.0]
    assert run(method, work="b")[1].best_round == 2


def test_patience_counts_rounds_without_enough_improvement(run, toy):
    method = toy()
    method.values = [5.0, 4.0, 3.95, 3.92, 1.0, 0.5]
    _, history = run(method, epochs=6, patience=2, min_delta=0.1)
    assert history.stopped_early
    assert len(history.rows) == 4
    assert history.best_round == 4


def test_patience_needs_a_validation_set(run):
    with pytest.raises(TrainingError, match="validation"):
        run(validation=0, patience=2)


def test_an_empty_training_set_is_refused(run):
    with pytest.raises(InputError, match="no subject"):
        run(size=0)


@pytest.mark.parametrize(("size", "steps", "round_steps", "rounds"), [(50, 15, 4, 4), (50, 12, 12, 1), (5, 3, 1, 3)])
def test_rounds_cross_epochs_and_the_last_may_be_shorter(run, toy_data, size, steps, round_steps, rounds):
    data = toy_data(size)
    method, history = run(data=data, steps=steps, round_steps=round_steps)
    assert method.steps == steps == history.steps
    assert len(history.rows) == rounds
    per_epoch = max(1, size // 8)
    for epoch in range(steps // per_epoch):
        rows = [i for batch in data.seen[epoch * per_epoch : (epoch + 1) * per_epoch] for i in batch]
        assert len(set(rows)) == len(rows) == min(size, 8 * per_epoch)


def test_rounds_do_not_change_the_training(run):
    digests = {
        weights_digest(run(validation=0, steps=12, round_steps=r, work=f"r{r}")[0].state_dict()) for r in (1, 5, 12)
    }
    assert len(digests) == 1


def test_validation_does_not_disturb_training_and_is_the_same_each_time(run):
    with_validation, history = run()
    without, _ = run(work="b", validation=0)
    assert all(torch.equal(a, b) for a, b in zip(with_validation.noises, without.noises, strict=True))
    assert len({row["validation_noise"] for row in history.rows}) == 1
    assert len({n.sum().item() for n in with_validation.noises}) == len(with_validation.noises)


def test_seed_decides_and_the_callers_generator_does_not(run, toy):
    first, _ = run()
    method = toy()
    torch.manual_seed(123)
    second, _ = run(method, work="b")
    third, _ = run(work="c", seed=2)
    assert weights_digest(first.state_dict()) == weights_digest(second.state_dict())
    assert weights_digest(first.state_dict()) != weights_digest(third.state_dict())


def test_the_callers_generator_is_put_back(run, toy):
    method = toy()
    before = torch.get_rng_state()
    run(method)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("what", ["loss", "gradient", "input"])
def test_a_non_finite_value_stops_before_the_update(run, toy, what):
    reference = toy()
    run(reference, validation=0, steps=6, schedule="constant", warmup_fraction=0, work="reference")
    method = toy()
    method.poison_at = (what, 7)
    named = "gradient" if what == "gradient" else "loss"
    with pytest.raises(TrainingError, match=rf"{named} is not finite[\s\S]*step 7 \(epoch 2, batch 1\)"):
        run(method, validation=0, steps=9, schedule="constant", warmup_fraction=0)
    expected = reference.state_dict()
    for name, value in method.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_logs_hold_one_row_a_round(run, tmp_path):
    _, history = run()
    lines = [json.loads(line) for line in (tmp_path / "run" / "history.jsonl").read_text().splitlines()]
    assert lines == history.rows
    table = pd.read_csv(tmp_path / "run" / "history.csv")
    np.testing.assert_allclose(table["train_loss"], history.frame["train_loss"])
    assert {"round", "step", "learning_rate", "gradient_norm", "train_noise", "validation_error"} <= set(table)


def test_a_value_that_only_some_steps_log_is_averaged_over_those(run, toy, tmp_path):
    class Sometimes(toy):
        def training_step(self, batch):
            step = super().training_step(batch)
            return replace(step, logs={"step": torch.tensor(float(self.steps))} if self.steps in (2, 4, 8) else {})

    _, history = run(Sometimes(), steps=12, round_steps=3)
    assert [row.get("train_step") for row in history.rows] == [2.0, 4.0, 8.0, None]
    table = pd.read_csv(tmp_path / "run" / "history.csv")
    pd.testing.assert_frame_equal(table, history.frame)


def test_tensorboard_file_is_written_where_installed(run, tmp_path):
    pytest.importorskip("tensorboard")
    run()
    assert list((tmp_path / "run" / "tensorboard").glob("events*"))


def test_progress_reaches_the_end(run):
    calls = []

    class Seen:
        def update(self, title, step, total, loss, seconds_left):
            calls.append((title, step, total, loss, seconds_left))

    run(progress=Seen())
    title, step, total, loss, seconds_left = calls[-1]
    assert (title, step, total, seconds_left) == ("toy", 24, 24, 0.0)
    assert np.isfinite(loss)


def test_ctrl_c_interrupts_and_works_again_afterwards(run, toy):
    class Interrupted(toy):
        def training_step(self, batch):
            raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run(Interrupted())
        assert signal.getsignal(signal.SIGINT) is handler


def test_training_is_silent(run, capfd, recwarn):
    run()
    out, err = capfd.readouterr()
    assert out == ""
    assert err == ""
    assert [w for w in recwarn if "lightning" in str(w.filename)] == []


@pytest.mark.slow
def test_data_workers_do_not_change_the_result(run):
    alone, _ = run(epochs=1, validation=0)
    helped, _ = run(epochs=1, validation=0, work="b", data_workers=1)
    assert weights_digest(alone.state_dict()) == weights_digest(helped.state_dict())


@pytest.mark.slow
def test_a_run_goes_on_with_other_workers(run, toy):
    class Cut(toy):
        def training_step(self, batch):
            if self.steps == 8:
                raise ZeroDivisionError
            return super().training_step(batch)

    Cut.__name__ = "Toy"
    whole, expected = run(work="whole", epochs=2)
    with pytest.raises(ZeroDivisionError):
        run(Cut(), epochs=2)
    resumed, history = run(epochs=2, data_workers=2)
    assert resumed.steps == 6
    assert history.rows == expected.rows
    assert weights_digest(resumed.state_dict()) == weights_digest(whole.state_dict())
