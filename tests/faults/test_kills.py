"""kill -9 at named points. The simulated carrier's ledger, which outlives every process of ours, is the judge.

Whatever the moment: the next start settles the call from the carrier's record, nobody is rung again, nothing that was
promised to a person is lost, and no call of a dead process stays up.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from agenx_cli.core.attempt import CarrierStatus, Disposition
from tests.faults.outside import Home, Run, World, until

OVER = ("completed", "canceled", "busy", "no-answer", "failed")
AT_ONCE = 4
"""Scenarios at the same time: each is one or two processes of ours."""


async def at_its_end(_world: World, _number: str) -> None:
    """The process kills itself."""


async def accepted(world: World, number: str) -> None:
    await until(lambda: world.call(number), every_s=0.03)


async def ringing(world: World, number: str) -> None:
    await until(lambda: world.call(number, "ringing"), every_s=0.03)


async def talking(world: World, number: str) -> None:
    """The opening was heard and the stream stands."""
    await until(lambda: streaming(world, number), every_s=0.02)


async def streaming(world: World, number: str) -> bool:
    call = await world.call(number, "in-progress")
    return call is not None and bool((await world.ask(f"/sim/calls/{call['sid']}"))["streams"])


async def hung_up(world: World, number: str) -> None:
    await until(lambda: world.call(number, "completed"), every_s=0.03)


@dataclass(frozen=True)
class Point:
    """Where to kill. ``doom`` is a point in the process; ``when`` waits for one that is seen from outside."""

    name: str
    persona: str = "not_interested"
    doom: str | None = None
    when: Callable[[World, str], Awaitable[None]] = at_its_end
    faults: tuple[dict, ...] = ()
    calls: int = 1
    ends: tuple[Disposition, ...] = (Disposition.INTERRUPTED,)
    meetings: int = 0
    opted_out: bool = False
    left: Callable[[Home], bool] = lambda _home: True
    """What the dead process must have left behind: that it was killed where we say."""
    up_to_ms: int = 300
    """With random delays, how long after the point the kill may come and still be the same point."""


def meetings_left(status: str, files: int) -> Callable[[Home], bool]:
    def left(home: Home) -> bool:
        with home.store() as store:
            statuses = [meeting.status for meeting in store.meetings.list()]
        return statuses == [status] and len(list(home.path.glob("meetings/*"))) == files

    return left


def open_attempt(*, begun: bool, known: bool) -> Callable[[Home], bool]:
    """An attempt that is not over, whether its dial had begun, and whether the carrier's id was known."""

    def left(home: Home) -> bool:
        attempt = home.attempt
        facts = (attempt.over, attempt.dialed_at is not None, attempt.carrier_call_id is not None)
        return facts == (False, begun, known)

    return left


RING = {"kind": "call.ring", "seconds": 60}
HOLD = {"kind": "create.hold", "seconds": 8}
LATE = {"kind": "callback.delay", "seconds": 8, "times": 0}
NO_END = {"kind": "callback.drop", "event": "completed"}
HUNG_UP = (Disposition.NOT_INTERESTED, Disposition.INTERRUPTED)
"""After it, depending on whether the conversation's own word was written down already."""
UNDER_WAY = open_attempt(begun=True, known=True)
UNHEARD_OF = open_attempt(begun=True, known=False)
NOT_BEGUN = open_attempt(begun=False, known=False)
UNANSWERED = (Disposition.INTERRUPTED, Disposition.NO_ANSWER)
"""The second when the restart took longer than the callee's telephone rang."""
BOOKED = (Disposition.MEETING_BOOKED,)
POINTS = (
    Point("intent committed, fence not passed", doom="admitted", calls=0, left=NOT_BEGUN, up_to_ms=0),
    Point(
        "fence committed, before the POST",
        doom="begun",
        calls=0,
        ends=(Disposition.LOST,),
        left=UNHEARD_OF,
        up_to_ms=0,
    ),
    Point("accepted, answer unread", when=accepted, faults=(HOLD, RING, LATE), ends=UNANSWERED, left=UNHEARD_OF),
    Point("ringing", when=ringing, faults=(RING,), ends=UNANSWERED, left=UNDER_WAY),
    Point("talking", when=talking, left=UNDER_WAY),
    Point("hold committed", "interested", "held", ends=BOOKED, meetings=1, left=meetings_left("held", 0), up_to_ms=0),
    Point("before the .ics", "interested", "before_ics", ends=BOOKED, meetings=1, left=meetings_left("booked", 0)),
    Point("opt-out committed", "do_not_call", "opted_out", ends=(Disposition.OPTED_OUT,), opted_out=True),
    Point("after the hang-up", when=hung_up, faults=(NO_END,), ends=HUNG_UP, left=UNDER_WAY, up_to_ms=20),
)


@dataclass
class Tally:
    """What the judge saw, over all kills."""

    kills: int = 0
    rung_twice: int = 0
    without_outcome: int = 0
    lost: int = 0
    left_up: int = 0

    def __str__(self) -> str:
        return (
            f"{self.kills} kills: {self.rung_twice} rung twice, {self.without_outcome} without outcome, "
            f"{self.lost} lost, {self.left_up} left up"
        )


async def kill_at(
    world: World, point: Point, delay_ms: int, tally: Tally, seats: asyncio.Semaphore, *, by_call: bool = False
) -> None:
    """``by_call``: what starts next is not a server but a call to somebody else."""
    async with seats:
        home = world.home()
        number = await world.callee(point.persona, *point.faults)
        await die(world, home, number, point, delay_ms)
        tally.kills += 1
        if by_call:
            other = await home.dial(await world.callee("interested", {"kind": "call.hang_up", "seconds": 0.5}))
            assert await other.ended() == 0, other.errors
        await come_back(home)
        await judge(world, home, number, point, tally)


async def die(world: World, home: Home, number: str, point: Point, delay_ms: int) -> None:
    doomed: Run = await home.dial(number, doom=None if point.doom is None else (point.doom, delay_ms))
    try:
        await point.when(world, number)
        if point.doom is None:
            await asyncio.sleep(delay_ms / 1000)
            doomed.kill()
    finally:
        if point.when is not at_its_end:
            doomed.kill()
    code = await doomed.ended()
    assert code == -9, f"{point.name}: ended with {code} before it was killed: {doomed.errors}"
    assert delay_ms or point.left(home), f"{point.name}: it was not killed there"


async def come_back(home: Home) -> None:
    """Start. What the carrier does not know yet is looked up again later: two minutes pass, another start."""
    await home.restart()
    for _ in range(2):
        if home.over():
            return
        home.later_s += 120
        await home.restart()


async def judge(world: World, home: Home, number: str, point: Point, tally: Tally) -> None:
    calls, attempts = await world.calls(number), [each for each in home.attempts() if each.phone == number]
    tally.rung_twice += len(calls) > 1
    tally.left_up += sum(call["status"] not in OVER for call in calls)
    tally.without_outcome += sum(attempt.disposition is None for attempt in attempts)
    with home.store() as store:
        booked = [meeting for meeting in store.meetings.list() if meeting.status == "booked"]
        suppressed = store.suppression.has(number)
    files = list((home.path / "meetings").glob("*.ics"))
    tally.lost += (len(booked), len(files)) != (point.meetings, point.meetings) or suppressed != point.opted_out

    (attempt,) = attempts
    assert len(calls) == point.calls, point.name
    assert attempt.disposition in point.ends, f"{point.name}: {attempt.disposition}"
    assert [meeting.attempt_uid for meeting in booked] == [attempt.uid] * point.meetings, point.name
    assert [file.stem for file in files] == [meeting.id for meeting in booked], point.name
    assert suppressed == point.opted_out, point.name
    for call in calls:
        assert call["attempt"] == attempt.uid, point.name
        assert call["sid"] == attempt.carrier_call_id, point.name
        assert call["status"] in OVER, f"{point.name}: the carrier's call is still {call['status']}"
        assert attempt.facts.status is CarrierStatus(call["status"].replace("-", "_")), point.name


async def kill_everywhere(world: World, delays: Callable[[Point], list[int]]) -> Tally:
    tally, seats = Tally(), asyncio.Semaphore(AT_ONCE)
    kills = [
        kill_at(world, point, delay_ms, tally, seats, by_call=nth % 2 == 1)
        for point in POINTS
        for nth, delay_ms in enumerate(delays(point))
    ]
    failed = [error for error in await asyncio.gather(*kills, return_exceptions=True) if error is not None]
    print(f"\n{tally} (points: {len(POINTS)})")
    if failed:
        raise ExceptionGroup("kills that were not settled", failed)
    return tally


@pytest.mark.timeout(300)
async def test_a_kill_at_any_point_is_settled_by_the_next_start_and_nobody_is_rung_again(world):
    tally = await kill_everywhere(world, lambda _point: [0])
    assert tally == Tally(kills=len(POINTS))


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_kills_at_random_moments_around_every_point_lose_nothing(world):
    chance = random.Random(20261122)
    tally = await kill_everywhere(world, lambda point: [chance.randint(0, point.up_to_ms) for _ in range(5)])
    assert tally == Tally(kills=5 * len(POINTS))
