"""Ctrl-C and SIGTERM in the middle of a call: first a goodbye, then at once; never an open line behind."""

import asyncio

import pytest

from agenx_cli.core.attempt import Disposition
from tests.faults.outside import World, until

pytestmark = pytest.mark.usefixtures("posix_signals")
HANG_UP_WITHIN_S = 2.0
OVER = ("completed", "canceled")


async def one_signal(world: World, signal: str, code: int) -> None:
    """A goodbye is said before the line is closed."""
    number, home = await world.callee("silent"), world.home()
    run = await home.dial(number)
    await run.speaking()
    run.signal(signal)
    assert await run.ended() == code, run.errors
    heard = await world.heard(number)
    assert "goodbye" in run.errors
    assert len(heard) > 1, "the opening, and something behind it"
    assert "adiós" in heard[-1].lower() or "hasta" in heard[-1].lower(), heard
    assert await world.call(number, "completed")
    assert home.attempt.over


async def two_signals(world: World) -> None:
    """The second one does not wait for the goodbye."""
    number, home = await world.callee("silent"), world.home()
    run = await home.dial(number)
    await run.speaking()
    run.signal("SIGINT")
    await until(lambda: "goodbye" in run.errors, every_s=0.01)
    run.signal("SIGINT")
    await until(lambda: world.call(number, *OVER), HANG_UP_WITHIN_S)
    assert await run.ended() == 130, run.errors
    assert home.attempt.over


async def while_ringing(world: World) -> None:
    """There is nobody to say goodbye to."""
    number, home = await world.callee("silent", {"kind": "call.ring", "seconds": 60}), world.home()
    run = await home.dial(number)
    await run.until(lambda event: event.get("phase") == "ringing")
    run.signal("SIGINT")
    await until(lambda: world.call(number, "canceled"), HANG_UP_WITHIN_S)
    assert await run.ended() == 130, run.errors
    assert home.attempt.disposition is Disposition.CANCELED


@pytest.mark.timeout(300)
async def test_a_signal_says_goodbye_and_a_second_one_hangs_up(world):
    await asyncio.gather(
        one_signal(world, "SIGINT", 130),
        one_signal(world, "SIGTERM", 143),
        two_signals(world),
        while_ringing(world),
    )


async def ringing_in(world: World, *personas: str):
    """A server with that many live calls."""
    server = await world.home().run("serve", "-o", "jsonl")
    await server.until(lambda event: event.get("event") == "ready")
    await world.tell("/sim/inbound", calls=len(personas), every_s=0.1, personas=list(personas))
    await until(lambda: sum(event.get("phase") == "talking" for event in server.events) == len(personas))
    return server


async def inbound(world: World) -> list[dict]:
    return [call for call in (await world.ask("/ledger"))["calls"] if call["direction"] == "inbound"]


@pytest.mark.timeout(300)
async def test_a_server_that_is_told_to_end_lets_live_calls_finish_and_takes_no_new_ones(own_world):
    server = await ringing_in(own_world, "not_interested")
    server.signal("SIGTERM")
    await until(lambda: "Draining: 1 live call" in server.errors)
    await own_world.tell("/sim/inbound", calls=1, every_s=0, personas=["interested"])
    assert await server.ended() == 0, server.errors
    assert server.document["by_disposition"] == {"not_interested": 1}
    first, *rejected = await inbound(own_world)
    assert first["status"] == "completed"
    assert [call["answered_at"] for call in rejected] == [None]


@pytest.mark.timeout(300)
async def test_a_server_that_is_told_twice_hangs_up_every_call_within_two_seconds(own_world):
    server = await ringing_in(own_world, "interested", "silent", "interested")
    server.signal("SIGINT")
    await until(lambda: "Draining" in server.errors, every_s=0.01)
    server.signal("SIGINT")

    async def all_over() -> bool:
        return all(call["status"] in OVER for call in await inbound(own_world))

    await until(all_over, HANG_UP_WITHIN_S)
    assert await server.ended() == 130, server.errors
    print("\n3 live calls, second signal: 3 hung up within 2 s")
