"""What the carrier answers to a dial, over real sockets: never a second call, and an exit code that says what to do."""

import asyncio
from dataclasses import dataclass

import pytest

from agenx_cli.core.attempt import Disposition
from tests.faults.outside import World

BRIEF = {"kind": "call.hang_up", "seconds": 0.5}
LOST_ANSWERS = ("create.reset", "create.hold", "create.error", "create.truncated")
"""A reset connection, 12 s of silence, 500, half a JSON; the call was accepted all the same."""


async def dial_with(world: World, kind: str) -> tuple[str, str]:
    """One dial whose answer gets lost; what the carrier rang and what is on record agree."""
    number = await world.callee("not_interested", {"kind": kind, "seconds": 12}, BRIEF)
    home = world.home()
    run = await home.dial(number)
    code = await run.ended()
    (call,), attempt = await world.calls(number), home.attempt
    assert code == 0, run.errors
    assert call["sid"] == attempt.carrier_call_id
    assert call["attempt"] == attempt.uid
    assert call["status"] == "completed"
    assert attempt.facts.uncertain or kind == "create.hold", "a call may be over before its answer is given up"
    return kind, str(attempt.disposition)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kinds", [LOST_ANSWERS[:2], pytest.param(LOST_ANSWERS, marks=pytest.mark.long)], ids=len)
async def test_a_call_whose_answer_is_lost_is_adopted_and_never_placed_again(world, kinds):
    ended = await asyncio.gather(*(dial_with(world, kind) for kind in kinds))
    print(f"\n{len(ended)} answers lost ({', '.join(kinds)}): {len(ended)} calls, 0 rung twice")
    assert {ending for _, ending in ended} == {Disposition.HUNG_UP}


@dataclass(frozen=True)
class Refusal:
    name: str
    code: int
    says: str
    fault: dict | None = None
    env: dict | None = None


REFUSALS = (
    Refusal("401", 4, "TWILIO_AUTH_TOKEN", env={"TWILIO_AUTH_TOKEN": "0" * 32}),
    Refusal("429", 6, "Twilio", {"kind": "create.too_many", "times": 0}),
    Refusal("400 our number", 6, "TWILIO_PHONE_NUMBER", {"kind": "create.refuse", "code": 21212}),
    Refusal("400 country", 6, "countr", {"kind": "create.refuse", "code": 21215}),
    Refusal("400 number", 6, "number", {"kind": "create.refuse", "code": 21211}),
)


async def refused(world: World, refusal: Refusal) -> None:
    number = await world.callee("not_interested", *([refusal.fault] if refusal.fault else []))
    home = world.home()
    run = await home.dial(number, **(refusal.env or {}))
    assert await run.ended() == refusal.code, f"{refusal.name}: {run.errors}"
    said = run.errors[run.errors.index("error:") :]
    assert refusal.says in said, said
    assert "fix:" in said, said
    assert number not in said
    assert await world.calls(number) == []
    assert home.attempt.disposition is Disposition.FAILED
    assert home.attempt.error, "the record says why"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("refusals", [REFUSALS[:3], pytest.param(REFUSALS, marks=pytest.mark.long)], ids=len)
async def test_a_dial_that_the_carrier_refuses_ends_with_its_own_exit_code_and_fix(world, refusals):
    await asyncio.gather(*(refused(world, refusal) for refusal in refusals))
    print(f"\n{len(refusals)} refusals: 0 calls at the carrier, {len(refusals)} with fix and exit code")


@pytest.mark.timeout(300)
async def test_a_carrier_that_cannot_be_reached_is_not_a_call(world, closed_port):
    home = world.home()
    run = await home.dial("+34600999001", AGENX_TWILIO_API_URL=f"http://127.0.0.1:{closed_port}")
    assert await run.ended() == 6, run.errors
    assert "cannot be reached" in run.errors
    assert "fix:" in run.errors
    assert home.attempt.disposition is Disposition.FAILED
    assert home.attempt.facts.not_placed == "network"
