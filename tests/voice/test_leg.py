"""The socket to the voice model, against a real server on this machine."""

import asyncio
import base64
import json
import logging
import socket
import ssl

import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.frames import Close

from agenx_cli.core.signals import (
    AskReply,
    ModelLost,
    ReplyAudio,
    ReplyStarted,
    SpeechStarted,
    Truncate,
)
from agenx_cli.errors import LocalProtocolError, SettingsError, VoiceError
from agenx_cli.voice.openai.events import MAX_EVENT
from agenx_cli.voice.openai.leg import QUEUE_LIMIT, OpenAIVoice, Patience
from agenx_cli.voice.openai.profiles import OPENAI
from agenx_cli.voice.openai.refusals import closing, from_network
from tests.contracts_openai import check_client_event
from tests.voice.server import CREATED, PCMU, UPDATED, serving
from tests.voice.test_events import config, delta

STARTED = {"type": "input_audio_buffer.speech_started", "event_id": "e", "item_id": "u", "audio_start_ms": 5}
KEY = "sk-test-0123456789"


class Heard:
    """What the leg told us; a test waits for the event it expects."""

    def __init__(self):
        self.events = []
        self._more = asyncio.Event()

    def __call__(self, event):
        self.events.append(event)
        self._more.set()

    async def wait_for(self, number):
        async with asyncio.timeout(5):
            while len(self.events) < number:
                self._more.clear()
                await self._more.wait()
        return self.events


def voice(server, **changes):
    return OpenAIVoice(OPENAI, KEY, server.url, **changes)


async def greeted(talk):
    await talk.greet()
    await talk.stay()


async def legs_left():
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("voice leg")]


# --- opening


async def test_a_session_is_configured_before_connect_returns():
    updates = []

    async def script(talk):
        updates.append(await talk.greet())
        await talk.stay()

    async with serving(script) as server:
        heard = Heard()
        leg = await voice(server).connect(config(), heard)
        await leg.close()
    (update,) = updates
    check_client_event(update)
    assert update["session"]["instructions"] == "Idioma: español."
    assert heard.events == []
    assert await legs_left() == []


async def test_the_upgrade_carries_the_key_and_the_model_and_no_beta_header():
    async with serving(greeted) as server:
        leg = await voice(server).connect(config(), Heard())
        await leg.close()
        (request,) = server.requests
    assert request.path == "/v1/realtime?model=gpt-realtime-2.1"
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert "OpenAI-Beta" not in request.headers
    assert "Sec-WebSocket-Protocol" not in request.headers
    assert "Sec-WebSocket-Extensions" not in request.headers


async def test_nothing_is_sent_before_the_server_greets():
    async def script(talk):
        await talk.say({"type": "rate_limits.updated", "event_id": "e", "rate_limits": []})
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await talk.hear()
        await greeted(talk)

    async with serving(script) as server:
        leg = await voice(server).connect(config(), Heard())
        await leg.close()


@pytest.mark.parametrize("side", ["input", "output"])
async def test_a_model_that_does_not_speak_mu_law_is_refused(side):
    audio = {"input": PCMU, "output": PCMU} | {side: {"format": {"type": "audio/pcm", "rate": 24000}}}

    async def script(talk):
        await talk.say(CREATED)
        await talk.hear()
        await talk.say({"type": "session.updated", "event_id": "e", "session": {"audio": audio}})
        await talk.stay()

    async with serving(script) as server:
        with pytest.raises(VoiceError, match="audio/pcm") as refused:
            await voice(server).connect(config(), Heard())
    assert refused.value.fix


async def test_a_refused_configuration_says_what_the_server_said():
    error = {"type": "invalid_request_error", "code": "invalid_value", "message": "Invalid voice: 'bob'."}

    async def script(talk):
        await talk.say(CREATED)
        update = await talk.hear()
        await talk.say({"type": "error", "event_id": "e", "error": error | {"event_id": update["event_id"]}})
        await talk.stay()

    async with serving(script) as server:
        with pytest.raises(VoiceError, match="Invalid voice: 'bob'") as refused:
            await voice(server).connect(config(), Heard())
    assert (refused.value.code, refused.value.retryable, refused.value.exit_code) == ("invalid_value", False, 6)


@pytest.mark.parametrize(
    ("code", "exit_code", "retryable"),
    [("invalid_api_key", 4, False), ("insufficient_quota", 6, False), ("rate_limit_exceeded", 6, True)],
)
async def test_a_refusal_tells_what_would_mend_it(code, exit_code, retryable):
    async def script(talk):
        await talk.say({"type": "error", "event_id": "e", "error": {"code": code, "message": f"no {KEY}"}})
        await talk.stay()

    async with serving(script) as server:
        with pytest.raises(VoiceError) as refused:
            await voice(server).connect(config(), Heard())
    assert (refused.value.exit_code, refused.value.retryable) == (exit_code, retryable)
    assert KEY not in str(refused.value)


async def test_a_session_closed_while_it_opens_is_an_error_with_the_reason():
    async def script(talk):
        await talk.socket.close(4000, "invalid_request_error.beta_api_shape_disabled")

    async with serving(script) as server:
        with pytest.raises(VoiceError, match="beta_api_shape_disabled") as refused:
            await voice(server).connect(config(), Heard())
    assert refused.value.code == "4000"


async def test_a_connection_that_breaks_while_it_opens_is_an_error():
    async def script(talk):
        talk.socket.transport.abort()

    async with serving(script) as server:
        with pytest.raises(VoiceError, match="broke off") as refused:
            await voice(server).connect(config(), Heard())
    assert refused.value.code is None


async def test_garbage_while_opening_is_an_error():
    async def script(talk):
        await talk.say("{")
        await talk.stay()

    async with serving(script) as server:
        with pytest.raises(VoiceError, match="not JSON"):
            await voice(server).connect(config(), Heard())


async def test_a_server_that_never_confirms_is_given_up():
    async def script(talk):
        await talk.say(CREATED)
        await talk.stay()

    async with serving(script) as server:
        with pytest.raises(VoiceError, match="did not confirm") as refused:
            await voice(server, patience=Patience(configure_s=0.1)).connect(config(), Heard())
    assert refused.value.retryable


async def test_a_session_that_is_no_longer_wanted_while_it_opens_leaves_nothing():
    asked = asyncio.Event()

    async def script(talk):
        await talk.say(CREATED)
        await talk.hear()
        asked.set()
        await talk.stay()

    async with serving(script) as server, asyncio.timeout(5):
        opening = asyncio.create_task(voice(server).connect(config(), Heard()))
        await asked.wait()
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await server.done.wait()
    assert await legs_left() == []


@pytest.mark.parametrize(("status", "exit_code"), [(401, 4), (403, 4), (404, 6), (400, 6), (302, 6)])
async def test_a_refused_upgrade_is_final_and_names_a_fix(status, exit_code):
    async with serving(greeted) as server:
        server.refuse(status, body=f"Incorrect API key {KEY}", Location="ws://127.0.0.1:1/stolen")
        with pytest.raises(VoiceError, match=f"HTTP {status}") as refused:
            await voice(server).connect(config(), Heard())
        assert len(server.requests) == 1
    assert refused.value.exit_code == exit_code
    assert not refused.value.retryable
    assert refused.value.fix
    assert KEY not in str(refused.value)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_an_overloaded_server_is_asked_again_while_the_telephone_rings(status):
    async with serving(greeted) as server:
        server.refuse(status)
        leg = await voice(server).connect(config(), Heard())
        await leg.close()
        assert len(server.requests) == 2


async def test_an_overloaded_server_is_not_asked_for_ever():
    async with serving(greeted) as server:
        server.refuse(429, times=50)
        with pytest.raises(VoiceError, match="HTTP 429") as refused:
            await voice(server, patience=Patience(upgrade_s=0.4)).connect(config(), Heard())
        assert len(server.requests) == 2
    assert refused.value.retryable


async def test_a_server_that_asks_for_a_longer_pause_than_we_have_is_given_up_at_once():
    async with serving(greeted) as server:
        server.refuse(429, Retry_After="3600")
        with pytest.raises(VoiceError) as refused:
            await voice(server).connect(config(), Heard())
        assert len(server.requests) == 1
    assert refused.value.retry_after == 60.0


async def test_a_pause_that_is_no_number_is_ignored():
    async with serving(greeted) as server:
        server.refuse(503, Retry_After="Fri, 01 Jan 2027 00:00:00 GMT")
        leg = await voice(server).connect(config(), Heard())
        await leg.close()


async def test_nobody_there_is_a_fault_of_the_network():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        with pytest.raises(VoiceError, match="cannot be reached") as refused:
            await OpenAIVoice(OPENAI, KEY, url, patience=Patience(upgrade_s=0.3)).connect(config(), Heard())
    assert refused.value.retryable
    assert "127.0.0.1" in refused.value.message


@pytest.mark.parametrize(
    ("answer", "says"),
    [(b"", "broke off"), (b"SSH-2.0-OpenSSH\r\n", "broke off"), (None, "in time")],
)
async def test_a_server_of_another_kind_is_told_apart(answer, says):
    async def other(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(other, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        with pytest.raises(VoiceError, match=says):
            await OpenAIVoice(OPENAI, KEY, url, patience=Patience(upgrade_s=0.2)).connect(config(), Heard())


async def test_a_web_server_that_does_not_speak_websocket_is_told_apart():
    async def other(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(other, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        with pytest.raises(VoiceError, match="does not speak WebSocket") as refused:
            await OpenAIVoice(OPENAI, KEY, url).connect(config(), Heard())
    assert not refused.value.retryable


def test_a_certificate_that_cannot_be_trusted_is_not_tried_again():
    error = from_network(ssl.SSLCertVerificationError("self-signed"), OPENAI, "voice.example")
    assert not error.retryable
    assert "certificate" in error.message


@pytest.mark.parametrize("key", ["", "   ", "sk-1\r\nX-Evil: 1", "sk-ñ"])
async def test_a_key_that_is_no_key_never_reaches_a_socket(key):
    with pytest.raises(VoiceError) as refused:
        await OpenAIVoice(OPENAI, key, "http://127.0.0.1:9/v1").connect(config(), Heard())
    assert refused.value.exit_code == 4
    assert "OPENAI_API_KEY" in refused.value.fix


async def test_a_wrong_address_is_a_wrong_setting():
    with pytest.raises(SettingsError):
        await OpenAIVoice(OPENAI, KEY, "nowhere").connect(config(), Heard())


async def test_the_key_is_in_no_repr_and_in_no_log(caplog):
    caplog.set_level(logging.DEBUG)
    async with serving(greeted) as server:
        leg = await voice(server).connect(config(), Heard())
        await leg.close()
        text = repr(voice(server))
    assert KEY not in text + "".join(r.getMessage() for r in caplog.records if "server" not in r.name)


# --- living


async def test_events_arrive_in_order_and_frames_leave_in_order():
    frames = []
    all_here = asyncio.Event()

    async def script(talk):
        await talk.greet()
        await talk.say({"type": "response.created", "response": {"id": "r"}}, delta(), STARTED)
        frames.extend([await talk.hear() for _ in range(4)])
        all_here.set()
        await talk.stay()

    async with serving(script) as server:
        heard = Heard()
        leg = await voice(server).connect(config(), heard)
        payload = base64.b64encode(b"\x10" * 160).decode()
        leg.hear(payload)
        leg.send(AskReply("a1"))
        leg.hear(payload)
        leg.send(Truncate("a2", "i", 40))
        assert await heard.wait_for(3) == [
            ReplyStarted("r"),
            ReplyAudio("r", "i", b"\xff\xfe\xfd"),
            SpeechStarted("u", 5),
        ]
        async with asyncio.timeout(5):
            await all_here.wait()
        await leg.close()
    append = {"type": "input_audio_buffer.append", "audio": payload}
    assert frames[0] == frames[2] == append
    assert [frames[1]["event_id"], frames[3]["event_id"]] == ["a1", "a2"]


async def test_a_thousand_frames_make_no_task_and_lose_nothing():
    count = 900
    received = []
    all_here = asyncio.Event()

    async def script(talk):
        await talk.greet()
        received.extend([(await talk.hear())["audio"] for _ in range(count)])
        all_here.set()
        await talk.stay()

    async with serving(script) as server:
        leg = await voice(server).connect(config(), Heard())
        before = len(asyncio.all_tasks())
        sent = [base64.b64encode(i.to_bytes(4, "big") * 40).decode() for i in range(count)]
        for payload in sent:
            leg.hear(payload)
        assert len(asyncio.all_tasks()) == before
        async with asyncio.timeout(10):
            await all_here.wait()
        await leg.close()
    assert received == sent


async def test_what_cannot_be_sent_is_our_fault_and_is_raised_to_us():
    async with serving(greeted) as server:
        leg = await voice(server).connect(config(), Heard())
        with pytest.raises(LocalProtocolError):
            leg.hear('","x":"')
        with pytest.raises(LocalProtocolError):
            leg.send(Truncate("a", "i", 0))
        await leg.close()


@pytest.mark.parametrize(
    ("code", "reason", "says"),
    [
        (1000, "", "ended the session (1000)"),
        (1001, "Your session hit the maximum duration of 60 minutes.", "1001: Your session hit"),
        (1011, "", "internal error (1011)"),
        (4000, "invalid_request_error.x", "refused what we said (4000: invalid_request_error.x)"),
        (4321, "", "closed the connection (4321)"),
    ],
)
async def test_a_session_that_ends_by_itself_is_reported_once_and_last(code, reason, says):
    async def script(talk):
        await talk.greet()
        await talk.say(STARTED)
        await talk.socket.close(code, reason)

    async with serving(script) as server:
        heard = Heard()
        leg = await voice(server).connect(config(), heard)
        started, lost = await heard.wait_for(2)
        assert started == SpeechStarted("u", 5)
        assert says in lost.reason
        leg.hear("AAAA")
        leg.send(AskReply("late"))
        await leg.close()
        await leg.close()
    assert len(heard.events) == 2
    assert await legs_left() == []


async def test_a_connection_that_breaks_off_is_reported():
    async def script(talk):
        await talk.greet()
        talk.socket.transport.abort()

    async with serving(script) as server:
        heard = Heard()
        leg = await voice(server).connect(config(), heard)
        assert await heard.wait_for(1) == [ModelLost("the connection broke off (1006)")]
        await leg.close()


def test_a_message_that_was_too_big_for_us_is_named_so():
    exc = ConnectionClosedError(None, Close(1009, "too big"), None)
    assert closing(exc) == "a message was too big (1009)"


@pytest.mark.parametrize("garbage", ["{", "[]", json.dumps(delta(delta="?"))])
async def test_a_model_that_breaks_the_protocol_is_lost(garbage):
    async def script(talk):
        await talk.greet()
        await talk.say(garbage, STARTED)
        await talk.stay()

    async with serving(script) as server:
        heard = Heard()
        leg = await voice(server).connect(config(), heard)
        (lost,) = await heard.wait_for(1)
        assert isinstance(lost, ModelLost)
        async with asyncio.timeout(5):
            await server.done.wait()
        await leg.close()
    assert len(heard.events) == 1
    assert await legs_left() == []


async def test_a_message_over_our_bound_ends_the_session():
    async def script(talk):
        await talk.greet()
        await talk.say(" " * (MAX_EVENT + 1))
        await talk.stay()

    async with serving(script) as server:
        heard = Heard()
        leg = await voice(server).connect(config(), heard)
        assert await heard.wait_for(1) == [ModelLost("a message was too big (1009)")]
        await leg.close()


async def test_a_model_that_takes_nothing_more_is_lost_instead_of_filling_the_memory():
    async with serving(greeted) as server:
        heard = Heard()
        leg = await voice(server).connect(config(), heard)
        for _ in range(QUEUE_LIMIT + 5):
            leg.hear("AAAA")
        assert heard.events == [ModelLost("the voice model no longer takes what it is sent")]
        await leg.close()
    assert await legs_left() == []


async def test_closing_is_quiet_and_may_be_asked_for_from_two_sides():
    async def script(talk):
        await talk.greet()
        await talk.stay()

    async with serving(script) as server:
        heard = Heard()
        leg = await voice(server).connect(config(), heard)
        await asyncio.gather(leg.close(), leg.close())
        leg.hear("AAAA")
        await leg.close()
    assert heard.events == []
    assert await legs_left() == []


async def test_closing_while_events_pour_in_lets_none_through_afterwards():
    async def script(talk):
        await talk.greet()
        await talk.say(*[STARTED] * 200)
        await talk.stay()

    async with serving(script) as server:
        heard = Heard()
        leg = await voice(server).connect(config(), heard)
        await heard.wait_for(1)
        closing_leg = asyncio.create_task(leg.close())
        await asyncio.sleep(0)
        known = len(heard.events)
        await closing_leg
    assert len(heard.events) == known


async def test_closing_does_not_wait_for_a_server_that_does_not_answer():
    release = asyncio.Event()

    async def script(talk):
        await talk.greet()
        talk.socket.transport.pause_reading()
        await release.wait()

    async with serving(script) as server:
        leg = await voice(server, patience=Patience(close_s=0.1)).connect(config(), Heard())
        async with asyncio.timeout(1.5):
            await leg.close()
        release.set()
    assert await legs_left() == []


async def test_a_fault_of_whoever_listens_is_not_swallowed():
    def broken(_):
        raise ZeroDivisionError

    async def script(talk):
        await talk.greet()
        await talk.say(STARTED)
        await talk.stay()

    async with serving(script) as server:
        leg = await voice(server).connect(config(), broken)
        async with asyncio.timeout(5):
            await server.done.wait()
        with pytest.raises(ZeroDivisionError):
            await leg.close()


async def test_unconfirmed_echoes_before_our_update_do_not_open_the_gate():
    async def script(talk):
        await talk.say(UPDATED)
        await greeted(talk)

    async with serving(script) as server:
        leg = await voice(server).connect(config(), Heard())
        await leg.close()
