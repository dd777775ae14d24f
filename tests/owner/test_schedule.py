"""What a budget buys: monotone, within the time, and refused where it buys nothing."""

import dataclasses
import json

import pytest

from cemfp.owner.schedule import (
    ENOUGH_STARTED,
    ENOUGH_STEPS,
    BudgetError,
    Rates,
    Schedule,
    schedule,
)

# A training of 10 s to start and 0.1 s a step, 100 steps an epoch: 24 epochs are enough, 250 s.
RATES = Rates(start=10.0, step=0.1, steps_per_epoch=100, crafting=0.01, size=1e6)
HOUR = 3600.0


def test_an_hour_by_hand():
    # 24 epochs (2,400 steps): 250 s a training. (2, 1, 1): 7 nets and 1.3 trainings of thieves are
    # 2,075 s, crafting 4 members x 0.01 s x 300 steps x 2 radii 24 s, shared 30 s: 2,129 s.
    # (2, 2, 2) would be 10 nets: 2,879 s; (3, 3, 3) 15 nets: 4,129 s, too much.
    plan = schedule(RATES, HOUR)
    assert (plan.surrogates, plan.references, plan.unseen) == ((2, 2), (2, 2), 2)
    assert plan.epochs == 24 and plan.steps == 300
    # 721 s are left: pruning (0.4 trainings) and another net (1) fit, adversarial training not.
    assert plan.thefts == ("quantize", "ftal", "black-box", "prune", "retrain")
    assert plan.seconds == pytest.approx(2_879 + 1.4 * 250, abs=2)


@pytest.mark.parametrize("asked", [False, True])
def test_more_time_never_buys_less(asked):
    plans = [schedule(RATES, hours * HOUR, asked=asked) for hours in (0.4, 0.7, 1, 2, 5, 20)]
    for budget, plan in zip((0.4, 0.7, 1, 2, 5, 20), plans, strict=True):
        assert plan.seconds <= budget * HOUR
    assert [plan.nets for plan in plans] == sorted(plan.nets for plan in plans)
    assert [plan.epochs for plan in plans] == sorted(plan.epochs for plan in plans)
    assert plans[-1].nets > 50 and "advtrain" in plans[-1].thefts


def test_nobody_has_the_weights_of_a_black_box():
    assert schedule(RATES, 20 * HOUR, asked=True).thefts == (
        "black-box", "retrain", "label-smoothing", "advtrain",
    )  # fmt: skip


def test_a_theft_that_takes_too_long_leaves_room_for_a_cheaper_one():
    costly = dataclasses.replace(RATES, other=10.0)
    assert schedule(costly, HOUR, asked=True).thefts == ("black-box", "label-smoothing")


def test_short_trainings_only_for_the_fewest_nets():
    plan = schedule(RATES, 0.3 * HOUR)
    assert plan.nets <= 7 and 8 <= plan.epochs < 24


def test_a_budget_for_less_than_four_nets_is_refused_with_the_time_it_takes():
    with pytest.raises(BudgetError, match=r"at least 5 nets of 8 epochs, about 10:\d\d") as caught:
        schedule(RATES, 60.0)
    assert "Received: 01:00" in str(caught.value) and "--budget" in str(caught.value)
    needed = "".join(str(caught.value).split("about ")[1][:5])
    minutes, seconds = map(int, needed.split(":"))
    assert schedule(RATES, 60.0 * minutes + seconds + 1).nets == 5


def test_counts_that_are_given():
    plan = schedule(RATES, 5 * HOUR, surrogates=6, references=9)
    assert plan.surrogates == (4, 2) and plan.references == (6, 3)
    one = schedule(RATES, 5 * HOUR, surrogates=2)
    assert one.surrogates == (1, 1) and sum(one.references) > 4
    with pytest.raises(BudgetError):
        schedule(RATES, HOUR, surrogates=20, references=20)


def test_crafting_takes_no_more_than_its_share():
    slow = dataclasses.replace(RATES, crafting=1.0)
    # 4 members x 1 s x 2 radii are 8 s a step: a quarter of an hour allows 112 steps, so 60.
    assert schedule(slow, 2 * HOUR).steps == 200 and schedule(slow, HOUR).steps == 60
    assert schedule(slow, HOUR, radii=(0.1,)).radii == (0.1,)


def test_nets_that_start_from_public_weights_need_fewer_epochs():
    fresh, started = (schedule(RATES, 5 * HOUR, enough=n) for n in (ENOUGH_STEPS, ENOUGH_STARTED))
    assert started.epochs < fresh.epochs and sum(started.surrogates) >= sum(fresh.surrogates)


def test_a_schedule_survives_its_json():
    plan = schedule(RATES, HOUR)
    assert Schedule.from_json(json.loads(json.dumps(dataclasses.asdict(plan)))) == plan
