"""Ctrl-C and SIGTERM: the step at hand is finished and saved."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from joint_run import Cut, train

from cardiobind.training import weights_digest
from cardiobind.training.stopping import StopRequest, stop_requests
from clusters import start_all

SCRIPT = Path(__file__).with_name("stopped_run.py")


def asking(toy, number, at_step, *, where="step"):
    class Asking(toy):
        def training_step(self, batch):
            if where == "step" and self.steps == at_step:
                os.kill(os.getpid(), number)
            return super().training_step(batch)

        def evaluate_batch(self, batch):
            if where == "validation":
                os.kill(os.getpid(), number)
            return super().evaluate_batch(batch)

    Asking.__name__ = "Toy"
    return Asking()


def names(tmp_path):
    return sorted(p.name for p in (tmp_path / "run" / "checkpoints").iterdir())


@pytest.mark.parametrize("at_step", [0, 7, 11, 23])
def test_sigterm_saves_and_stops(run, toy, tmp_path, at_step):
    whole, expected = run(work="whole")
    asked = asking(toy, signal.SIGTERM, at_step)
    with pytest.raises(SystemExit) as stopped:
        run(asked, checkpoint_interval_s=60.0)
    assert stopped.value.code == 143
    assert asked.steps == at_step + 1
    in_round = {0: "round-000000-step-000000001", 7: "round-000001-step-000000008"}
    assert names(tmp_path) == [in_round.get(at_step, f"round-{(at_step + 1) // 6:06d}")]
    resumed, history = run()
    assert resumed.steps == 24 - (at_step + 1)
    assert history.rows == expected.rows
    assert weights_digest(resumed.state_dict()) == weights_digest(whole.state_dict())


def test_ctrl_c_saves_and_stops(run, toy, tmp_path, caplog):
    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(KeyboardInterrupt):
        run(asking(toy, signal.SIGINT, 7), checkpoint_interval_s=60.0)
    assert names(tmp_path) == ["round-000001-step-000000008"]
    assert "stopped after step 8, which is saved" in caplog.text
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_what_comes_during_validation_waits_for_its_end(run, toy, tmp_path):
    with pytest.raises(SystemExit):
        run(asking(toy, signal.SIGTERM, 0, where="validation"), checkpoint_interval_s=60.0)
    assert names(tmp_path) == ["round-000001"]


def test_an_error_after_the_signal_is_the_signals(run, toy):
    class Broken(toy):
        def training_step(self, batch):
            os.kill(os.getpid(), signal.SIGINT)
            raise RuntimeError("DataLoader worker exited unexpectedly")

    with pytest.raises(KeyboardInterrupt):
        run(Broken())


def test_a_second_ctrl_c_does_not_wait(monkeypatch):
    now = [10.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    request = StopRequest()
    request.ask(signal.SIGINT, None)
    request.ask(signal.SIGINT, None)
    now[0] = 12.0
    with pytest.raises(KeyboardInterrupt):
        request.ask(signal.SIGINT, None)


def test_a_thread_may_train(run):
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(run, epochs=1).result()[1].steps == 6


def test_nothing_is_asked_without_a_signal():
    with stop_requests() as request:
        assert request.signal is None


@pytest.mark.slow
def test_sigterm_to_one_of_two_processes_stops_both(tmp_path):
    processes = start_all(SCRIPT, str(tmp_path), world=2)
    while not (tmp_path / "run" / "history.jsonl").exists() or not (tmp_path / "run" / "history.jsonl").read_text():
        assert all(p.poll() is None for p in processes)
        time.sleep(0.05)
    processes[1].terminate()
    printed = [p.communicate(timeout=120)[0] for p in processes]
    assert [p.returncode for p in processes] == [143, 143], printed
    assert list((tmp_path / "run" / "checkpoints").glob("round-*"))


@pytest.mark.slow
@pytest.mark.parametrize(("what", "codes"), [("sleep", [-15, 1]), ("exit", [143, 143])])
def test_nobody_waits_for_a_leader_that_was_stopped_at_what_it_does_alone(tmp_path, what, codes):
    processes = start_all(Path(__file__).with_name("leader_run.py"), str(tmp_path), what, world=2)
    while not (tmp_path / "begun").exists():
        assert all(p.poll() is None for p in processes)
        time.sleep(0.05)
    if what == "sleep":
        processes[0].terminate()
    printed = [p.communicate(timeout=60)[0] for p in processes]
    assert [p.returncode for p in processes] == codes, printed
    assert ("another process has ended" in printed[1]) == (what == "sleep")


def test_an_interrupted_run_of_the_joint_toy_goes_on(tmp_path):
    with pytest.raises(Cut):
        train(tmp_path, "run", cut_after=7)
    assert len(train(tmp_path, "run")["gradients"]) == 8
