"""It must show 4: everything that crossed a wire in the captured run, judged by what the vendors publish."""

import json
import re
from base64 import b64decode
from collections import Counter, defaultdict
from itertools import pairwise
from urllib.parse import parse_qsl, urlsplit

import pytest
from twilio.request_validator import RequestValidator

from tests import contracts_twilio
from tests.acceptance.world import read_lines
from tests.contracts_openai import check_client_event, check_server_event

pytestmark = [pytest.mark.realtime, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def wire(captured):
    return lambda name: read_lines(captured.folder / "world" / "wire" / f"{name}.jsonl")


@pytest.fixture(scope="module")
def env(captured):
    return json.loads((captured.folder / "env.json").read_text(encoding="utf-8"))


def test_every_realtime_event_is_one_of_the_openai_package(wire):
    counted, errors = Counter(), Counter()
    for record in wire("voice"):
        check = {"client": check_client_event, "server": check_server_event}[record["dir"]]
        event = record["event"]
        check(event)
        counted[record["dir"], event["type"]] += 1
        if event["type"] == "error":
            errors[event["error"]["code"]] += 1
    sessions = len({record["session"] for record in wire("voice")})
    for side in ("client", "server"):
        kinds = {kind: number for (by, kind), number in counted.items() if by == side}
        print(f"{sum(kinds.values())} {side} events of {len(kinds)} kinds in {sessions} sessions: {kinds}")
        assert sum(kinds.values()) > 1000
    assert counted["client", "response.cancel"] + counted["client", "conversation.item.truncate"] > 0
    print(f"errors of the server: {dict(errors)}")
    assert set(errors) <= {"response_cancel_not_active"}, "a cancellation may cross the reply's own end, nothing else"


def test_every_rest_request_and_answer_is_twilios(wire):
    judged = Counter()
    for record in wire("rest"):
        contracts_twilio.check_request(record["method"], record["path"], record["query"], record["body"])
        contracts_twilio.check_answer(record["method"], record["path"], record["status"], record["answer"])
        path = re.sub(r"(AC|CA|PN)[0-9a-f]{32}", r"\1…", record["path"])
        judged[f"{record['method']} {path} {record['status']}"] += 1
    print(f"{sum(judged.values())} REST requests and answers: {dict(judged)}")
    assert {line.split()[0] for line in judged} == {"GET", "POST"}
    assert sum(judged.values()) >= 30


def test_every_webhook_carries_twilios_signature(wire, env):
    validator = RequestValidator(env["TWILIO_AUTH_TOKEN"])
    counted = Counter()
    for record in wire("webhooks"):
        form = dict(parse_qsl(record["body"], keep_blank_values=True))
        url, signature = record["url"].partition("#")[0], record["headers"]["X-Twilio-Signature"]
        assert validator.validate(url, form, signature), record["url"]
        assert record["status"] < 300
        counted[re.sub(r"/[0-9a-f]{20,}", "/…", urlsplit(url).path)] += 1
    print(f"{sum(counted.values())} webhooks: {dict(counted)}")
    assert {"/incoming-call", "/twilio/status/…", "/twilio/amd/…", "/twilio/stream/…"} <= set(counted)


SID = "streamSid"
NUMBERED = {"event", "sequenceNumber", SID}
FROM_CARRIER = {
    "connected": ({"event", "protocol", "version"}, None, None),
    "start": (
        NUMBERED | {"start"},
        "start",
        {"accountSid", SID, "callSid", "tracks", "mediaFormat", "customParameters"},
    ),
    "media": (NUMBERED | {"media"}, "media", {"track", "chunk", "timestamp", "payload"}),
    "mark": (NUMBERED | {"mark"}, "mark", {"name"}),
    "stop": (NUMBERED | {"stop"}, "stop", {"accountSid", "callSid"}),
}
FROM_BRIDGE = {
    "media": ({"event", SID, "media"}, "media", {"payload"}),
    "mark": ({"event", SID, "mark"}, "mark", {"name"}),
    "clear": ({"event", SID}, None, None),
}
"""The documented messages: their fields, and the fields of their part.

https://www.twilio.com/docs/voice/media-streams/websocket-messages
"""


def test_every_media_frame_has_the_documented_shape(wire):
    counted, streams = Counter(), defaultdict(list)
    for record in wire("media"):
        frame = json.loads(record["message"])
        shapes = {"carrier": FROM_CARRIER, "bridge": FROM_BRIDGE}[record["from"]]
        fields, part, within = shapes[frame["event"]]
        assert set(frame) == fields
        if part is not None:
            assert set(frame[part]) == within
        if frame["event"] == "media":
            audio = b64decode(frame["media"]["payload"], validate=True)
            assert audio
            assert record["from"] == "bridge" or len(audio) == 160
        counted[record["from"], frame["event"]] += 1
        streams[record["call"]].append((record["from"], frame))
    for frames in streams.values():
        check_order([frame for side, frame in frames if side == "carrier"])
        marks = Counter(
            frame["mark"]["name"] for side, frame in frames if frame["event"] == "mark" and side == "bridge"
        )
        assert max(marks.values(), default=1) == 1, "each of our marks has a name of its own"
    for side in ("carrier", "bridge"):
        kinds = {kind: number for (by, kind), number in counted.items() if by == side}
        print(f"{sum(kinds.values())} frames of the {side} in {len(streams)} streams: {kinds}")
    assert counted["carrier", "media"] > 5000
    assert counted["bridge", "clear"] >= 1
    assert len(streams) >= 18


def check_order(frames):
    """``connected``, ``start``, then numbers without a gap, and a stop at the end or a stream that we closed."""
    assert [frame["event"] for frame in frames[:2]] == ["connected", "start"]
    numbers = [int(frame["sequenceNumber"]) for frame in frames[1:]]
    assert numbers == list(range(1, len(frames)))
    stamps = [int(frame["media"]["timestamp"]) for frame in frames if frame["event"] == "media"]
    assert all(earlier < later for earlier, later in pairwise(stamps))
    assert "stop" not in [frame["event"] for frame in frames[:-1]]
