"""Callbacks doubled, reordered, late or missing, over real sockets: the attempt converges to the carrier's record."""

import asyncio
from datetime import datetime

import pytest

from agenx_cli.core.attempt import CarrierStatus, Disposition
from tests.faults.outside import World

PLANS = {
    "doubled": ({"kind": "callback.double", "times": 0},),
    "reordered": ({"kind": "callback.swap", "seconds": 1, "times": 0},),
    "late": ({"kind": "callback.delay", "seconds": 4, "times": 0},),
    "end missing": ({"kind": "callback.drop", "event": "completed"},),
    "all missing": ({"kind": "callback.drop", "times": 0},),
    "all missing and the answer lost": ({"kind": "callback.drop", "times": 0}, {"kind": "create.reset"}),
}


EVERYDAY = ("reordered", "end missing", "all missing and the answer lost")


async def converges(world: World, name: str, *, persona: str, ends: Disposition) -> None:
    number, home = await world.callee(persona, *PLANS[name]), world.home()
    run = await home.dial(number)
    assert await run.ended(240) == 0, f"{name}: {run.errors}"
    (call,), attempt = await world.calls(number), home.attempt
    assert attempt.disposition is ends, name
    assert attempt.carrier_call_id == call["sid"], name
    assert attempt.facts.status is CarrierStatus(call["status"].replace("-", "_")), name
    if call["answered_at"] is not None:
        answered, ended = (datetime.fromisoformat(call[key]) for key in ("answered_at", "ended_at"))
        assert abs(attempt.duration_s - (ended - answered).total_seconds()) <= 1, name
        assert abs((attempt.ended_at - ended).total_seconds()) <= 2, name


@pytest.mark.timeout(300)
@pytest.mark.parametrize("plans", [EVERYDAY, pytest.param(tuple(PLANS), marks=pytest.mark.long)], ids=["some", "all"])
async def test_callbacks_doubled_reordered_late_or_missing_change_nothing_of_the_outcome(world, plans):
    ends = Disposition.NOT_INTERESTED
    await asyncio.gather(*(converges(world, name, persona="not_interested", ends=ends) for name in plans))
    print(f"\n{len(plans)} calls with broken callbacks: {len(plans)} with the carrier's own outcome, 0 rung twice")


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_the_sweep_finds_the_end_of_calls_that_nobody_tells_of(world):
    ends = {"no_answer": Disposition.NO_ANSWER, "busy": Disposition.BUSY, "failed": Disposition.FAILED}
    await asyncio.gather(
        *(converges(world, "all missing", persona=persona, ends=end) for persona, end in ends.items()),
        *(
            converges(world, "all missing and the answer lost", persona=persona, ends=end)
            for persona, end in ends.items()
        ),
    )
    print(f"\n{2 * len(ends)} unanswered calls without a callback: {2 * len(ends)} found by the sweep")
