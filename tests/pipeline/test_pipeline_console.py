"""What a person sees of a run."""

from __future__ import annotations

import io

import rich.console

from cardiobind.pipeline.console import PLAIN_WIDTH, Console


def _terminal() -> rich.console.Console:
    return rich.console.Console(file=io.StringIO(), force_terminal=True, width=140)


def _text(screen: rich.console.Console) -> str:
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


def test_a_bar_says_stage_step_loss_and_time_left() -> None:
    screen = _terminal()
    with Console(screen) as shown:
        shown.start("pretrain-ecg")
        shown.update("pre-train ecg", 3, 10, 0.25, 200.0)
        shown.update("pre-train ecg", 4, 10, 0.125, 9.0)
    for part in ("pre-train ecg", "4/10", "loss 0.1250", "9 s left"):
        assert part in _text(screen)


def test_a_stage_that_was_done_before_says_so() -> None:
    screen = _terminal()
    with Console(screen) as shown:
        shown.start("cohort")
        shown.finish("cohort", cached=True)
    assert "done before" in _text(screen)


def test_where_the_output_is_no_terminal_lines_are_wide_and_plain() -> None:
    screen = rich.console.Console(file=io.StringIO(), force_terminal=False)
    with Console(screen) as shown:
        shown.table(["Model", "AUROC"], [["aligned", "0.800 (0.700–0.900)"]], "Results")
    assert screen.width == PLAIN_WIDTH
    assert "0.800 (0.700–0.900)" in _text(screen)
