"""The carrier's media stream against a WebSocket server of a customer."""

import asyncio
import json
from base64 import b64decode, b64encode
from itertools import pairwise

import pytest
import pytest_asyncio
from twilio.request_validator import RequestValidator

from agenx_cli.sim.sound import Listener, Said, speak
from tests.sim.world import CALLEE, frames_until, open_world

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def world(doors, tmp_path):
    async with open_world(doors, tmp_path) as world:
        yield world


def stream(world, *, after="", connect="", noun="", url=None):
    return (
        f'<Response><Connect {connect}><Stream url="{url or world.ws + "/ms"}" {noun}>'
        f'<Parameter name="attempt" value="a1"/></Stream></Connect>{after}</Response>'
    )


def media(sid, audio):
    return json.dumps({"event": "media", "streamSid": sid, "media": {"payload": b64encode(audio).decode()}})


def mark(sid, name):
    return json.dumps({"event": "mark", "streamSid": sid, "mark": {"name": name}})


async def begin(socket):
    """connected, start; the stream's sid."""
    (connected,) = await frames_until(socket, "connected")
    assert "streamSid" not in connected
    (start,) = await frames_until(socket, "start")
    return start


async def test_the_stream_opens_signed_with_its_parameters_and_a_frame_every_20_ms(world):
    word = bytes(range(1, 161))
    world.wishes[CALLEE] = {"says": {200: word}}
    got = {}

    async def talk(socket):
        got["start"] = await begin(socket)
        got["media"] = [json.loads(await socket.receive_text()) for _ in range(30)]

    world.bridge["talk"] = talk
    sid = await world.place(stream(world))
    await world.over()
    start, frames = got["start"], got["media"]
    assert start["start"]["customParameters"] == {"attempt": "a1"}
    assert start["start"]["callSid"] == sid
    assert start["start"]["mediaFormat"] == {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    assert [frame["sequenceNumber"] for frame in frames] == [str(n) for n in range(2, 32)]
    assert [frame["media"]["chunk"] for frame in frames] == [str(n) for n in range(1, 31)]
    stamps = [int(frame["media"]["timestamp"]) for frame in frames]
    assert all(later - earlier == 20 for earlier, later in pairwise(stamps))
    payloads = [b64decode(frame["media"]["payload"]) for frame in frames]
    assert word in payloads
    assert all(len(payload) == 160 for payload in payloads)
    ((url, headers),) = world.handshakes
    assert RequestValidator(world.exchange.account.token).validate(url, {}, headers["x-twilio-signature"])


async def test_what_the_customer_sends_is_heard_sample_for_sample_and_marks_follow_it(world):
    speech = speak("Hola, ¿hablo con Ana?")
    got = {}

    async def talk(socket):
        sid = (await begin(socket))["streamSid"]
        await socket.send_text(mark(sid, "nothing yet"))
        for n in range(0, len(speech), 333):
            await socket.send_text(media(sid, speech[n : n + 333]))
        await socket.send_text(mark(sid, "end"))
        frames = await frames_until(socket, "mark")
        got["before"] = len([frame for frame in frames if frame["event"] == "media"])
        frames += await frames_until(socket, "mark")
        got["marks"] = [frame["mark"]["name"] for frame in frames if frame["event"] == "mark"]
        got["frames"] = len([frame for frame in frames if frame["event"] == "media"])

    world.bridge["talk"] = talk
    sid = await world.place(stream(world))
    await world.over()
    assert got["marks"] == ["nothing yet", "end"]
    assert got["before"] <= 2
    assert got["frames"] * 160 >= len(speech)
    listener = Listener()
    assert Said("Hola, ¿hablo con Ana?", complete=True) in listener.hear(bytes(world.phone().heard)) + listener.flush()
    (record,) = (await world.shown(sid))["streams"]
    assert record["written"] == sum(span["length"] for span in record["played"]) == len(speech)
    assert (record["closed_by"], record["error_code"]) == ("bridge", None)


async def test_clear_drops_what_waits_gives_marks_back_and_what_comes_after_is_heard(world):
    got = {}

    async def talk(socket):
        sid = (await begin(socket))["streamSid"]
        await socket.send_text(media(sid, b"\x11" * 16_000))
        await socket.send_text(mark(sid, "cut"))
        for _ in range(5):
            await frames_until(socket, "media")
        await socket.send_text(json.dumps({"event": "clear", "streamSid": sid}))
        await frames_until(socket, "mark")
        await socket.send_text(media(sid, b"\x22" * 80))
        await socket.send_text(mark(sid, "after"))
        await frames_until(socket, "mark")

    world.bridge["talk"] = talk
    sid = await world.place(stream(world))
    await world.over()
    (record,) = (await world.shown(sid))["streams"]
    (cleared,) = record["cleared"]
    first, second = record["played"]
    assert first["length"] + cleared["dropped"] == 16_000
    assert (first["offset"], cleared["offset"], second["offset"]) == (0, first["length"], 16_000)
    assert second["length"] == 80
    heard = bytes(world.phone().heard)
    assert heard.count(b"\x11") == first["length"]
    assert b"\x22" * 80 + b"\xff" in heard
    assert got == {}


async def test_a_key_pressed_during_the_stream_is_a_dtmf_frame(world):
    got = {}

    async def talk(socket):
        call = (await begin(socket))["start"]["callSid"]
        await world.client.post(f"/sim/calls/{call}/digits", json={"digits": "5"})
        got["dtmf"] = (await frames_until(socket, "dtmf"))[-1]

    world.bridge["talk"] = talk
    await world.place(stream(world))
    await world.over()
    assert got["dtmf"]["dtmf"] == {"track": "inbound_track", "digit": "5"}


async def test_when_the_customer_closes_the_next_verb_runs_or_the_action_is_asked(world):
    async def talk(socket):
        await begin(socket)
        await socket.close()

    world.bridge["talk"] = talk
    sid = await world.place(stream(world, after="<Say>Adiós</Say><Hangup/>"))
    await world.over(sid)
    assert ["Say", "Adiós"] in [entry[1:] for entry in (await world.shown(sid))["log"]]
    from starlette.responses import Response

    world.documents["/after"] = Response("<Response><Say>Luego</Say></Response>", media_type="text/xml")
    sid = await world.place(stream(world, connect=f'action="{world.customer}/after"', after="<Say>never</Say>"))
    await world.over(sid)
    (after,) = world.of("/after")
    assert after["StreamSid"].startswith("MZ")
    assert [entry[2] for entry in (await world.shown(sid))["log"] if entry[1] == "Say"] == ["Luego"]


async def test_when_the_callee_hangs_up_stop_comes_and_the_socket_is_closed(world):
    world.wishes[CALLEE] = {"leaves_at": 300}
    got = {}

    async def talk(socket):
        start = await begin(socket)
        got["stop"] = (await frames_until(socket, "stop"))[-1]
        got["sid"] = start["start"]["callSid"]
        got["close"] = await socket.receive()

    world.bridge["talk"] = talk
    sid = await world.place(stream(world, after="<Say>never</Say>"))
    await world.over()
    async with asyncio.timeout(3):
        while "close" not in got:  # noqa: ASYNC110 - the bridge's own end of the socket
            await asyncio.sleep(0.01)
    assert got["stop"]["stop"] == {"accountSid": world.exchange.account.sid, "callSid": sid}
    assert got["close"]["type"] == "websocket.disconnect"
    assert "never" not in str((await world.shown(sid))["log"])


async def test_an_update_ends_the_stream_and_runs_the_new_document(world):
    got = {}

    async def talk(socket):
        sid = (await begin(socket))["start"]["callSid"]
        twiml = "<Response><Say>Adiós</Say></Response>"
        await world.client.post(f"{world.api}/Calls/{sid}.json", data={"Twiml": twiml})
        got["stop"] = (await frames_until(socket, "stop"))[-1]

    world.bridge["talk"] = talk
    sid = await world.place(stream(world, after="<Say>never</Say>"))
    await world.over()
    assert got["stop"]["event"] == "stop"
    assert [entry[2] for entry in (await world.shown(sid))["log"] if entry[1] == "Say"] == ["Adiós"]


@pytest.mark.parametrize("bad", ["nonsense", '{"event": "media", "streamSid": "MZ0", "media": {"payload": "AAAA"}}'])
async def test_a_message_that_breaks_the_protocol_ends_the_stream_with_31924(world, bad):
    async def talk(socket):
        await begin(socket)
        await socket.send_text(bad)
        await frames_until(socket, "stop")

    world.bridge["talk"] = talk
    sid = await world.place(
        stream(world, after="<Say>Perdón</Say>", noun=f'name="n" statusCallback="{world.customer}/stream/a1"')
    )
    await world.over()
    events = await world.seen(2, path="/stream/")
    assert {hook["StreamEvent"] for hook in events} == {"stream-started", "stream-error"}
    assert world.exchange.calls[sid].error_codes == [31924]
    assert ["Say", "Perdón"] in [entry[1:] for entry in (await world.shown(sid))["log"]]


async def test_a_refused_upgrade_a_dead_server_and_a_query_string_are_31920(world):
    world.bridge["refuse"] = True
    for url in (None, "ws://127.0.0.1:9/ms", world.ws + "/ms?ticket=1"):
        sid = await world.place(stream(world, url=url, after="<Hangup/>"))
        await world.over(sid)
        assert world.exchange.calls[sid].error_codes == [31920]
        (record,) = (await world.shown(sid))["streams"]
        assert record["began_ms"] is None


async def test_a_broken_network_cuts_the_stream_without_a_stop(world):
    await world.fault(kind="stream.cut", seconds=0.1)
    got = []

    async def talk(socket):
        await begin(socket)
        while True:
            got.append(json.loads(await socket.receive_text())["event"])

    world.bridge["talk"] = talk
    sid = await world.place(stream(world, after="<Say>Perdón</Say>"))
    await world.over()
    assert "stop" not in got
    assert world.exchange.calls[sid].error_codes == [31921]


async def test_every_frame_is_in_the_wire_log_as_it_crossed(world, tmp_path):
    async def talk(socket):
        sid = (await begin(socket))["streamSid"]
        await socket.send_text(mark(sid, "ñ"))
        await frames_until(socket, "mark")

    world.bridge["talk"] = talk
    await world.place(stream(world))
    await world.over()
    lines = (tmp_path / "wire" / "media.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert {record["from"] for record in records} == {"bridge", "carrier"}
    assert [json.loads(record["message"])["event"] for record in records][:2] == ["connected", "start"]
