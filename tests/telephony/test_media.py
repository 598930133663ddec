import base64
import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenx_cli.errors import LocalProtocolError, RemoteProtocolError
from agenx_cli.telephony.twilio import media
from agenx_cli.telephony.twilio.media import Connected, Dtmf, Mark, Media, Started, Stopped, Unknown, decode

MZ = "MZ" + "a" * 32
CA = "CA" + "b" * 32
AC = "AC" + "c" * 32


def start_frame(**changed) -> dict:
    start = {
        "accountSid": AC,
        "streamSid": MZ,
        "callSid": CA,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"attempt": "42", "ticket": "s"},
    }
    return {"event": "start", "sequenceNumber": "1", "start": start | changed, "streamSid": MZ}


def media_frame(**changed) -> dict:
    body = {"track": "inbound", "chunk": "1", "timestamp": "5", "payload": base64.b64encode(b"\xff" * 160).decode()}
    return {"event": "media", "sequenceNumber": "2", "media": body | changed, "streamSid": MZ}


def without(frame: dict, *path: str) -> dict:
    copy = json.loads(json.dumps(frame))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return copy


DOCUMENTED = [
    ({"event": "connected", "protocol": "Call", "version": "1.0.0"}, Connected("Call")),
    (start_frame(), Started(MZ, CA, AC, {"attempt": "42", "ticket": "s"})),
    (media_frame(), Media(MZ, base64.b64encode(b"\xff" * 160).decode(), b"\xff" * 160, 5)),
    (
        {"event": "dtmf", "streamSid": MZ, "sequenceNumber": "5", "dtmf": {"track": "inbound_track", "digit": "#"}},
        Dtmf(MZ, "#"),
    ),
    ({"event": "mark", "sequenceNumber": "4", "streamSid": MZ, "mark": {"name": "my label"}}, Mark(MZ, "my label")),
    (
        {"event": "stop", "sequenceNumber": "5", "stop": {"accountSid": AC, "callSid": CA}, "streamSid": MZ},
        Stopped(MZ, CA),
    ),
]


@pytest.mark.parametrize(("frame", "value"), DOCUMENTED)
def test_each_documented_frame_is_read_from_text_and_from_bytes(frame, value):
    text = json.dumps(frame)
    assert decode(text) == value
    assert decode(text.encode()) == value


def test_a_frame_of_the_future_is_unknown_and_no_error():
    assert decode('{"event":"hologram","x":1}') == Unknown("hologram")


def test_media_of_another_track_is_not_the_callee():
    assert decode(json.dumps(media_frame(track="outbound"))) == Unknown("media of another track")


def test_media_without_audio_is_nothing_to_be_told_of():
    assert decode(json.dumps(media_frame(payload=""))) == Unknown("media without audio")


def test_a_stream_without_parameters_starts_too():
    assert decode(json.dumps(without(start_frame(), "start", "customParameters"))) == Started(MZ, CA, AC, {})


def test_ticket_and_audio_stay_out_of_reprs():
    assert "ticket" not in repr(decode(json.dumps(start_frame())))
    assert "payload" not in repr(decode(json.dumps(media_frame())))


BROKEN = [
    "",
    "no",
    "[]",
    "1",
    "{}",
    '{"event":1}',
    "\ud800",
    b"\xff\xfe",
    "[" * 5000,
    '{"event":"media"}',
    '{"event":"mark","streamSid":"MZ1","mark":{"name":7}}',
    '{"event":"dtmf","streamSid":"MZ1","dtmf":{"digit":"12"}}',
    '{"event":"stop","streamSid":"MZ1","stop":{}}',
    '{"event":"stop","streamSid":"M Z","stop":{"callSid":"CA1"}}',
    json.dumps(media_frame(payload="####")),
    json.dumps(media_frame(payload="é")),
    json.dumps(media_frame(payload="QQ")),
    json.dumps(media_frame(timestamp="-1")),
    json.dumps(media_frame(timestamp="²")),
    json.dumps(media_frame(timestamp="9" * 16)),
    json.dumps(media_frame(timestamp=5)),
    json.dumps(start_frame(mediaFormat={"encoding": "audio/x-mulaw", "sampleRate": 16000, "channels": 1})),
    json.dumps(start_frame(streamSid="MZother")),
    json.dumps(start_frame(customParameters=["a"])),
    json.dumps(start_frame(customParameters={"attempt": 42})),
    *[
        json.dumps(without(start_frame(), "start", key))
        for key in ("callSid", "accountSid", "streamSid", "mediaFormat")
    ],
]


@pytest.mark.parametrize("frame", BROKEN)
def test_anything_else_is_refused_as_their_mistake(frame):
    with pytest.raises(RemoteProtocolError):
        decode(frame)


def test_a_frame_over_64_kib_is_refused_and_one_below_is_read():
    room = media.MAX_FRAME_BYTES - len(json.dumps(media_frame(payload="")))
    fits = json.dumps(media_frame(payload="A" * (room - room % 4)))
    assert isinstance(decode(fits), Media)
    too_big = json.dumps(media_frame(payload="A" * (room + 4)))
    with pytest.raises(RemoteProtocolError, match="the most we take"):
        decode(too_big)
    with pytest.raises(RemoteProtocolError, match="the most we take"):
        decode("€" * (media.MAX_FRAME_BYTES // 3 + 1))


def test_our_three_frames_have_the_official_shape():
    assert json.loads(media.media(MZ, b"\x00\xff")) == {"event": "media", "streamSid": MZ, "media": {"payload": "AP8="}}
    assert json.loads(media.mark(MZ, 'a"b')) == {"event": "mark", "streamSid": MZ, "mark": {"name": 'a"b'}}
    assert json.loads(media.clear(MZ)) == {"event": "clear", "streamSid": MZ}


def test_what_would_end_the_stream_is_our_own_mistake():
    for build in (
        lambda: media.media(MZ, b""),
        lambda: media.mark(MZ, ""),
        lambda: media.clear(""),
        lambda: media.media('"}', b"x"),
    ):
        with pytest.raises(LocalProtocolError):
            build()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def value_or_refusal(frame):
    with contextlib.suppress(RemoteProtocolError):
        assert isinstance(decode(frame), media.Frame)


@given(st.binary() | st.text())
def test_any_bytes_give_a_value_or_a_refusal(frame):
    value_or_refusal(frame)


@given(st.sampled_from([frame for frame, _ in DOCUMENTED]), st.data())
def test_any_damage_to_a_good_frame_gives_a_value_or_a_refusal(frame, data):
    copy = json.loads(json.dumps(frame))
    inner = copy
    while True:
        key = data.draw(st.sampled_from(sorted(inner)))
        if isinstance(inner[key], dict) and inner[key] and data.draw(st.booleans()):
            inner = inner[key]
            continue
        inner[key] = data.draw(json_values)
        break
    value_or_refusal(json.dumps(copy))


@given(st.binary(min_size=1, max_size=2000))
def test_audio_crosses_unchanged(audio):
    sent = json.loads(media.media(MZ, audio))
    back = decode(json.dumps(media_frame(payload=sent["media"]["payload"])))
    assert back.audio == audio
