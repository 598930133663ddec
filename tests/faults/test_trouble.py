"""What goes wrong in the middle of a call: the callee always hears a sentence, the line never stays open."""

import asyncio
import socket
from dataclasses import dataclass

import pytest

from agenx_cli.core.attempt import Disposition
from tests.faults.outside import Home, Run, World, until

APOLOGY = "Disculpe, tenemos un problema técnico."


async def test_a_port_in_use_is_said_before_anybody_is_rung(world):
    home, other = world.home(), world.home()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        run = await home.dial(await world.callee("interested"), "--port", port)
        served = await other.run("serve", "--no-set-webhook", PORT=port)
        for one in (run, served):
            assert await one.ended() == 3, one.errors
            assert f"port {port} on 127.0.0.1 is in use" in one.errors
            assert "fix:" in one.errors
    assert home.attempts() == ()


# --- the model


@dataclass(frozen=True)
class Refusal:
    name: str
    code: int
    says: str
    env: dict[str, str]
    faults: dict[str, object]


REFUSALS = (
    Refusal("401", 4, "OPENAI_API_KEY", {"OPENAI_API_KEY": "sk-wrong"}, {}),
    Refusal("no such model", 6, "AGENX_MODEL", {"AGENX_MODEL": "gpt-none"}, {}),
    Refusal("audio/pcm", 6, "μ-law", {}, {"echo_pcm_count": 1}),
)
"""At once: only one of them gets as far as having its format confirmed."""
STATUSES = (
    Refusal("404", 6, "AGENX_MODEL", {}, {"refuse_status": 404, "refuse_count": 1}),
    Refusal("429", 6, "too many sessions", {}, {"refuse_status": 429, "refuse_count": 100}),
    Refusal("503", 6, "is failing", {}, {"refuse_status": 503, "refuse_count": 100}),
)
"""One after the other: they strike whoever comes."""


async def refused(world: World, refusal: Refusal) -> None:
    if refusal.faults:
        await world.tell("/sim/voice/faults", **refusal.faults)
    number, home = await world.callee("not_interested"), world.home()
    run = await home.dial(number, **refusal.env)
    assert await run.ended() == refusal.code, f"{refusal.name}: {run.errors}"
    said = run.errors[run.errors.index("error:") :]
    assert refusal.says in said, said
    assert "fix:" in said, said
    assert "sk-wrong" not in run.errors
    heard = await world.heard(number)
    assert [line.startswith(APOLOGY) for line in heard] == [False, True], f"{refusal.name}: {heard}"
    assert home.attempt.disposition is Disposition.FAILED
    assert home.attempt.error
    assert await world.call(number, "completed")


@pytest.mark.timeout(300)
async def test_a_model_that_refuses_the_session_costs_an_apology_and_ends_with_its_own_exit_code(own_world):
    await asyncio.gather(*(refused(own_world, each) for each in REFUSALS))
    print(f"\n{len(REFUSALS)} sessions refused: {len(REFUSALS)} apologies heard, 0 lines left up")


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_a_provider_that_answers_the_upgrade_with_a_status_costs_an_apology_too(own_world):
    for refusal in STATUSES:
        await refused(own_world, refusal)
    print(f"\n{len(STATUSES)} upgrades refused: {len(STATUSES)} apologies heard, 0 lines left up")


async def talked(world: World, home: Home, persona: str) -> tuple[str, Run]:
    number = await world.callee(persona)
    run = await home.dial(number)
    await run.talking()
    return number, run


@pytest.mark.timeout(300)
async def test_a_model_lost_in_the_middle_costs_an_apology_and_leaves_no_line_open(own_world):
    await own_world.tell("/sim/voice/faults", close_code=1011, close_at_event=40, close_count=1)
    home = own_world.home()
    number, run = await talked(own_world, home, "interested")
    assert await run.ended() == 6, run.errors
    assert "fix:" in run.errors[run.errors.index("error:") :]
    heard = await own_world.heard(number)
    assert heard[-1].startswith(APOLOGY), heard
    call = await own_world.call(number, "completed")
    assert call is not None
    assert home.attempt.disposition is Disposition.FAILED
    assert "lost" in home.attempt.error


async def gone_mid_word(world: World) -> None:
    home = world.home()
    number, run = await talked(world, home, "interested")
    await run.until(lambda event: event.get("speaker") == "assistant" and event["at_ms"] > 0)
    call = await world.call(number)
    await world.tell(f"/sim/calls/{call['sid']}/hangup")
    assert await run.ended() == 0, run.errors
    assert home.attempt.disposition is Disposition.HUNG_UP
    assert run.document["transcript"], "what was said until then is kept"
    assert "error:" not in run.errors


async def gone_during_the_opening(world: World) -> None:
    number, home = await world.callee("interested", {"kind": "call.hang_up", "seconds": 0.7}), world.home()
    run = await home.dial(number)
    assert await run.ended() == 0, run.errors
    assert home.attempt.disposition is Disposition.HUNG_UP
    assert await until(lambda: world.call(number, "completed"))


async def stream_cut(world: World) -> None:
    number, home = await world.callee("interested", {"kind": "stream.cut", "seconds": 2}), world.home()
    run = await home.dial(number)
    assert await run.ended() == 0, run.errors
    assert await world.call(number, "completed")
    assert home.attempt.over


@pytest.mark.timeout(300)
async def test_a_callee_who_is_gone_in_the_middle_of_a_word_is_an_outcome(world):
    await asyncio.gather(gone_mid_word(world), gone_during_the_opening(world), stream_cut(world))
