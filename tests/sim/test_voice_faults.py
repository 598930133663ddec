"""The faults of the simulated voice model, each by its plan."""

import json
import urllib.error
import urllib.request
from asyncio import to_thread

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from agenx_cli.sim.voice.app import voice_app
from tests.sim.talk import SPANISH, TOOLS
from tests.sim.voice_client import KEY, MODEL, serving, session


async def test_the_upgrade_is_refused_as_often_as_planned():
    async with serving(faults={"refuse_status": 429, "refuse_count": 1}) as origin:
        headers = {"Authorization": f"Bearer {KEY}"}
        with pytest.raises(InvalidStatus) as refusal:
            await connect(f"ws://{origin}/v1/realtime?model={MODEL}", additional_headers=headers)
        assert refusal.value.response.status_code == 429
        async with session(origin) as client:
            await client.configure()


@pytest.mark.parametrize("code", ["rate_limit_exceeded", "server_error", "insufficient_quota"])
async def test_a_response_fails_and_the_next_one_does_not(code):
    async with (
        serving(faults={"fail_code": code, "fail_count": 1, "fail_skip": 1}) as origin,
        session(origin) as client,
    ):
        statuses = []
        await client.configure()
        for _ in range(3):
            await client.send("response.create")
            done = (await client.until("response.done"))["response"]
            statuses.append(done["status"])
            if done["status"] == "failed":
                assert done["status_details"]["error"]["code"] == code
                assert done["output"] == []
        assert statuses == ["completed", "failed", "completed"]


async def test_the_connection_closes_at_the_planned_event():
    async with serving(faults={"close_code": 1011, "close_at_event": 2, "close_count": 1}) as origin:
        async with session(origin) as client:
            await client.send("session.update", session={"type": "realtime"})
            await client.until("session.updated")
            with pytest.raises(ConnectionClosed) as closed:
                await client.next()
            assert closed.value.rcvd.code == 1011
        async with session(origin) as client:
            await client.configure()


async def test_a_session_expires_with_an_error_and_1001():
    async with serving(faults={"expire_after_ms": 50}) as origin, session(origin) as client:
        error = (await client.until("error"))["error"]
        assert (error["code"], error["message"]) == (
            "session_expired",
            "Your session hit the maximum duration of 60 minutes.",
        )
        with pytest.raises(ConnectionClosed) as closed:
            await client.next()
        assert closed.value.rcvd.code == 1001


async def test_a_reply_may_come_as_text():
    async with serving(faults={"text_only_count": 1}) as origin, session(origin) as client:
        await client.configure()
        await client.send("response.create")
        done = (await client.until("response.done"))["response"]
        assert done["output"][0]["content"][0]["type"] == "output_text"


async def test_the_echo_may_say_pcm():
    async with serving(faults={"echo_pcm_count": 1}) as origin, session(origin) as client:
        told = await client.configure()
        assert told["audio"]["output"]["format"]["type"] == "audio/pcm"


@pytest.mark.parametrize(
    ("fault", "name", "readable"),
    [("unknown_tool_count", "lookup_the_weather", True), ("bad_arguments_count", "opt_out", False)],
)
async def test_a_function_call_may_be_wrong(fault, name, readable):
    async with serving(faults={fault: 1}) as origin, session(origin) as client:
        await client.configure(instructions=SPANISH, tools=list(TOOLS.values()))
        await client.say("No me vuelvan a llamar.")
        await client.until("input_audio_buffer.committed")
        await client.send("response.create")
        call = (await client.until("response.done"))["response"]["output"][0]
        assert call["name"] == name
        try:
            json.loads(call["arguments"])
        except ValueError:
            assert not readable
        else:
            assert readable


async def test_the_plan_changes_while_the_server_runs_and_a_wrong_one_is_refused():
    async with serving() as origin:

        def post(plan):
            request = urllib.request.Request(f"http://{origin}/sim/voice/faults", json.dumps(plan).encode())
            try:
                with urllib.request.urlopen(request) as answer:
                    return answer.status, json.load(answer)
            except urllib.error.HTTPError as refusal:
                return refusal.code, json.load(refusal)

        status, plan = await to_thread(post, {"first_audio_ms": 5, "open_delay_ms": 1})
        assert (status, plan["first_audio_ms"], plan["fail_code"]) == (200, 5, None)
        assert (await to_thread(post, {"first_audio": 5}))[0] == 400
        assert (await to_thread(post, {"fail_code": "sunspots"}))[0] == 400
        async with session(origin) as client:
            await client.configure()


def test_an_impossible_plan_is_refused_at_the_start():
    with pytest.raises(ValueError, match="Unknown parameter"):
        voice_app(api_key=KEY, faults={"sunspots": 1})


async def test_every_event_is_logged_as_it_crossed():
    log = []
    async with serving(log=log.append) as origin, session(origin) as client:
        await client.configure()
        await client.raw("not json")
        await client.until("error")
        sent = [entry["event"] for entry in log if entry["dir"] == "server"]
        assert sent == client.events
        assert [entry["event"].get("type") for entry in log if entry["dir"] == "client"] == ["session.update", None]
        assert len({entry["session"] for entry in log}) == 1


async def test_the_same_seed_gives_the_same_words_and_lengths():
    async def lengths():
        async with serving(seed=3) as origin, session(origin) as client:
            await client.configure()
            await client.send("response.create")
            await client.until("response.done")
            return [len(e["delta"]) for e in client.events if e["type"] == "response.output_audio.delta"]

    assert await lengths() == await lengths()
