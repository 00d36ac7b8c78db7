from __future__ import annotations

import pytest

from assets.training.forecast import LONG, TIMED, Forecast, duration, steps_foreseen

KNOBS = ["fewer `stage.steps` (now 1000)", "`stage.precision: float32`"]


class Clock:
    """Time that passes only when it is told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def run(seconds_of, steps=1000, start=0):
    clock, done = Clock(), []
    for step in steps_foreseen(range(start, steps), "training", KNOBS, clock=clock):
        clock.now += seconds_of(step)
        done.append(step)
    return done


def test_every_step_is_yielded_once_and_the_first_is_not_counted(capsys):
    assert run(lambda step: 60.0 if step == 0 else 0.36) == list(range(1000))
    assert capsys.readouterr().out == "training takes about 6 min (1000 steps of 0.36 s)\n"


def test_it_is_said_as_soon_as_a_few_steps_were_timed(capsys):
    heard = {}
    clock = Clock()
    for step in steps_foreseen(range(1000), "training", KNOBS, clock=clock):
        heard[step] = capsys.readouterr().out
        clock.now += 0.5
    assert [step for step, text in heard.items() if text] == [TIMED + 1]


def test_one_slow_step_does_not_make_a_forecast(capsys):
    run(lambda step: 9.0 if step == 3 else 0.36)
    assert "about 6 min" in capsys.readouterr().out


def test_more_than_an_hour_is_said_at_once_with_what_makes_it_shorter(capsys):
    line = None
    forecast = Forecast("training", 800, KNOBS)
    calls = 0
    while line is None:
        line = forecast.after(20.0)
        calls += 1
    assert calls == 2  # one to get ready, one that is timed
    assert line.startswith("training takes about 4.4 h (800 steps of 20 s); what makes it shorter:")
    assert all(knob in line for knob in KNOBS)
    assert forecast.after(20.0) is None


def test_less_than_an_hour_names_no_knobs_and_a_moment_is_not_announced(capsys):
    run(lambda _: LONG / 1000 * 0.9)
    assert "shorter" not in capsys.readouterr().out
    run(lambda _: 0.001)
    assert capsys.readouterr().out == ""


def test_passes_over_all_data_are_called_epochs():
    forecast = Forecast("training", 80, KNOBS, "epochs")
    said = [forecast.after(4.0) for _ in range(TIMED + 1)]
    assert "training takes about 5 min (80 epochs of 4 s)" in said


def test_a_training_taken_up_foresees_what_is_left(capsys):
    run(lambda _: 1.0, start=400)
    assert "training takes about 10 min (600 steps of 1 s)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(42, "about 42 s"), (360, "about 6 min"), (5000, "about 83 min"), (15840, "about 4.4 h")],
)
def test_spans_of_time_are_said_as_people_say_them(seconds, text):
    assert duration(seconds) == text
