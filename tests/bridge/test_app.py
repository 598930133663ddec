"""The public routes over HTTP: what each takes, what each refuses, and what a stranger can learn."""

import asyncio
import itertools
import sqlite3
import xml.etree.ElementTree as ET
from urllib.parse import urlencode

import pytest

from agenx_cli.bridge.app import NONCE_MAX
from tests.bridge.door import ACCOUNT, CALLER, OUR_NUMBER, a_house, many, sign

POSTS = [
    "/incoming-call",
    "/twilio/status/out1",
    "/twilio/amd/out1",
    "/twilio/stream/out1",
    "/twilio/after/out1",
    "/twilio/sms",
]
RINGS = {"CallSid": "CAin", "AccountSid": ACCOUNT, "From": CALLER, "To": OUR_NUMBER, "CallStatus": "ringing"}


@pytest.fixture
async def house(tmp_path):
    async with a_house(tmp_path) as standing:
        yield standing


def everything(house):
    """All that is on record, but for the bookkeeping of the database itself."""
    with sqlite3.connect(house.store.attempts._database.path) as file:
        tables = [row[0] for row in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: file.execute(f"SELECT * FROM {table}").fetchall() for table in tables}


# --- strangers


async def test_an_unsigned_request_is_refused_before_anything_is_looked_up(house):
    house.outbound(call_id="CA1")
    before = everything(house)
    forms = [RINGS, {}, {"CallSid": "CA1", "CallStatus": "completed"}, {"Body": "STOP", "From": CALLER}]
    for path, form in itertools.product(POSTS, forms):
        for signature in ("", "x", "\x7f", "é".encode(), "A" * 10_000):
            answer = await house.post(path, form, signature=signature)
            assert (answer.status_code, answer.text) == (403, '{"detail":"Forbidden"}')
    assert everything(house) == before


async def test_a_stranger_cannot_tell_an_attempt_that_exists_from_one_that_does_not(house):
    uid, _ = house.outbound()
    answers = [await house.post(f"/twilio/status/{name}", {"CallSid": "CA1"}, signature="x") for name in (uid, "none")]
    assert answers[0].content == answers[1].content
    assert dict(answers[0].headers) | {"date": ""} == dict(answers[1].headers) | {"date": ""}


async def test_other_methods_are_no_way_in_and_there_are_no_other_routes(house):
    methods = ["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"]
    for method, path in itertools.product(methods, [*POSTS, "/media-stream"]):
        assert (await house.http.request(method, path)).status_code in {404, 405}, (method, path)
    others = [
        "/docs",
        "/redoc",
        "/openapi.json",
        "/calls",
        "/status",
        "/metrics",
        "/static/x",
        "/twilio/",
        "/twilio/status",
    ]
    for method, path in itertools.product(["GET", "POST"], others):
        assert (await house.http.request(method, path)).status_code == 404, (method, path)


def test_only_these_routes_are_there():
    from agenx_cli.bridge.app import public_app

    app = public_app(None, None)
    paths = {route.path for route in app.routes}
    assert paths == {
        "/", "/healthz", "/readyz", "/incoming-call", "/media-stream", "/twilio/sms",
        *(f"/twilio/{what}/{{attempt_uid}}" for what in ("status", "amd", "stream", "after")),
    }  # fmt: skip


async def test_a_path_that_is_nearly_right_is_not_redirected(house):
    for path in ("/incoming-call/", "/healthz/", "/twilio/sms/"):
        answer = await house.http.post(path, headers={"Host": "evil.example"})
        assert (answer.status_code, "location" in answer.headers) == (404, False), path


async def test_the_doors_say_little(house):
    assert (await house.http.get("/")).json() == {"service": "agenx"}
    assert (await house.http.get("/healthz")).json() == {"status": "ok", "nonce": ""}
    answer = await house.http.get("/healthz", params={"nonce": "n" * 5_000})
    assert answer.json()["nonce"] == "n" * NONCE_MAX
    assert answer.headers["content-type"] == "application/json"
    assert "server" not in answer.headers
    assert (await house.http.get("/readyz")).status_code == 200
    house.desk.draining = True
    assert (await house.http.get("/readyz")).json() == {"status": "draining"}
    assert (await house.http.get("/readyz")).status_code == 503


# --- whose address it is

SPOOFS = [
    {"Host": "evil.example"},
    {"Host": "evil.example/incoming-call?x="},
    {"Host": "calls.example.com:443"},
    {"Host": ""},
    {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http", "X-Forwarded-For": "10.0.0.1"},
    {"Forwarded": "host=evil.example;proto=http"},
    {"X-Original-URL": "/healthz", "X-Rewrite-URL": "/healthz", "X-HTTP-Method-Override": "GET"},
]


@pytest.mark.parametrize("headers", SPOOFS, ids=repr)
async def test_headers_about_the_address_change_nothing(house, headers):
    document = await house.post("/incoming-call", RINGS, headers=headers)
    assert document.status_code == 200
    (stream,) = ET.fromstring(document.text).iter("Stream")
    assert stream.get("url") == "wss://calls.example.com/media-stream"
    assert "evil" not in document.text
    for origin in ("https://evil.example", "http://calls.example.com", "http://evil.example"):
        assert (await house.post("/incoming-call", RINGS, origin=origin, headers=headers)).status_code == 403
    more = {name: value for name, value in headers.items() if name != "Host"}  # two of them are refused anyway
    for url in ("wss://evil.example/media-stream", "ws://calls.example.com/media-stream"):
        assert await house.upgrade(signature=sign(url, {}), headers=more) == 403


async def test_a_signature_for_one_path_is_worth_nothing_on_another(house):
    house.outbound(call_id="CA1")
    house.outbound(call_id="CA2")
    before = everything(house)
    form = {"CallSid": "CA2", "CallStatus": "completed", "SequenceNumber": "9"}
    paths = ("/twilio/status/out2", "/twilio/stream/out1", "/incoming-call", "/twilio/status/out1?x=1")
    hosts = ("x/twilio/status/out1?", "x/twilio/status/out1#", "x\\twilio", "user@x", "x")
    for path, host in itertools.product(paths, hosts):
        answer = await house.post(path, form, signed_for="/twilio/status/out1", headers={"Host": host})
        assert answer.status_code in {400, 403}
    assert everything(house) == before


async def test_a_query_is_part_of_what_is_signed(house):
    house.outbound(call_id="CA1")
    form = {"CallSid": "CA1", "CallStatus": "ringing"}
    assert (await house.post("/twilio/status/out1?a=%20b", form)).status_code == 204
    assert (await house.post("/twilio/status/out1?a=%20c", form, signed_for="/twilio/status/out1")).status_code == 403


# --- what is sent


async def test_a_body_that_is_too_long_is_refused_while_it_comes(house):
    for path, size in itertools.product(POSTS, (64 * 1024 + 1, 3_000_000)):
        answer = await house.post(path, body=b"a=" + b"b" * (size - 2), signature="x")
        assert answer.status_code == 413


async def test_a_body_of_unknown_length_is_measured_too(house):
    async def endless():
        for _ in range(200):
            yield b"a" * 1024

    answer = await house.http.post("/incoming-call", content=endless())
    assert answer.status_code == 413


BODIES = [
    urlencode([(f"f{n}", "x") for n in range(1_000)]).encode(),
    b"\xff\xfe\x00",
    b"CallSid=%ff%fe",
    b"%",
    b'{"CallSid": "CA1", "CallStatus": "completed"}',
    b"<xml/>",
    b'--x\r\nContent-Disposition: form-data; name="CallSid"\r\n\r\nCA1\r\n--x--\r\n',
]
TYPES = ["application/x-www-form-urlencoded", "application/json", "multipart/form-data; boundary=x", "", "é".encode()]


async def test_what_is_not_a_signed_form_is_refused_whatever_it_calls_itself(house):
    house.outbound()
    before = everything(house)
    for path, body, kind in itertools.product(POSTS, BODIES, TYPES):
        answer = await house.post(path, body=body, headers={"Content-Type": kind})
        assert answer.status_code in {400, 403}, (path, body[:40])
    assert everything(house) == before


async def test_a_form_of_a_thousand_fields_is_refused_even_when_it_is_signed(house):
    form = {**RINGS, **{f"f{n}": "x" for n in range(1_000)}}
    assert (await house.post("/incoming-call", form)).status_code == 403
    assert house.store.attempts.list() == ()


async def test_a_signed_form_that_says_nothing_we_know_is_refused_and_kept_out(house):
    uid, _ = house.outbound(call_id="CA1")
    before = everything(house)
    for form in (
        {},
        {"CallSid": "CA1"},
        {"CallSid": "CA1", "CallStatus": "exploded"},
        {"CallSid": "'; DROP TABLE attempts; --", "CallStatus": "ringing"},
        {"CallSid": "C" * 65, "CallStatus": "ringing"},
        {"CallSid": "CA\u0661", "CallStatus": "ringing"},
    ):
        assert (await house.post(f"/twilio/status/{uid}", form)).status_code == 400, form
    assert everything(house) == before


# --- callbacks of calls that are not what they seem


async def test_a_callback_for_an_attempt_that_does_not_exist_changes_nothing(house):
    before = everything(house)
    for uid in ("nobody", "..", "%2e%2e%2f", "%00", "%C3%A9", "%ff", "u" * 5_000):
        answer = await house.status(uid, "CA1")
        assert answer.status_code in {204, 403, 404}, uid
    assert everything(house) == before
    assert house.carrier.hung_up == {}


async def test_a_stray_call_is_hung_up_and_the_attempt_keeps_its_own(house):
    uid, _ = house.outbound(call_id="CA1")
    assert (await house.status(uid, "CA2", "in-progress")).status_code == 204
    assert house.carrier.hung_up == {"CA2": 1}
    assert house.store.attempts.get(uid).carrier_call_id == "CA1"


async def test_the_call_of_another_attempt_is_not_taken_over(house):
    one, _ = house.outbound(call_id="CA1")
    other, _ = house.outbound(call_id="CA2")
    before = everything(house)
    for path, form in (
        (f"/twilio/status/{one}", {"CallSid": "CA2", "CallStatus": "completed"}),
        (f"/twilio/amd/{one}", {"CallSid": "CA2", "AnsweredBy": "machine_start"}),
        (f"/twilio/stream/{one}", {"CallSid": "CA2", "StreamEvent": "stream-started"}),
    ):
        assert (await house.post(path, form)).status_code == 204
    assert everything(house) == before
    assert house.carrier.hung_up["CA1"] == 0
    print(f"another attempt's call: hung up {house.carrier.hung_up['CA2']} times, {other} unchanged")


@pytest.mark.parametrize("status", ["ringing", "in-progress", "completed", "busy", "failed"])
async def test_a_callback_replayed_a_hundred_times_is_one_callback(house, status):
    uid, _ = house.outbound(call_id="CA1")
    more = {"SequenceNumber": "3", "CallDuration": "17", "Timestamp": "Tue, 24 Nov 2026 10:00:10 +0000"}
    await house.status(uid, "CA1", status, **more)
    before = everything(house)
    answers = await many(100, lambda _: house.status(uid, "CA1", status, **more))
    assert {answer.status_code for answer in answers} == {204}
    assert everything(house) == before


async def test_a_call_that_rings_in_twice_is_one_attempt(house):
    documents = [(await house.post("/incoming-call", RINGS)).text for _ in range(20)]
    (attempt,) = house.store.attempts.list()
    assert (attempt.direction, attempt.carrier_call_id) == ("inbound", "CAin")
    tickets = [parameters(document)["ticket"] for document in documents]
    assert {parameters(document)["attempt"] for document in documents} == {attempt.uid}
    assert await house.stream(attempt.uid, tickets[0], "CAin") == b""
    assert house.voice.connects == 0


async def test_without_an_assistant_for_them_calls_that_ring_in_are_rejected(tmp_path):
    async with a_house(tmp_path, inbound=False) as house:
        assert "<Reject" in (await house.post("/incoming-call", RINGS)).text
        assert house.store.attempts.list() == ()


async def test_a_caller_whose_number_is_not_one_is_withheld_and_never_in_the_document(house):
    for number, caller in enumerate(("+34<Dial>+35190</Dial>", "sip:x@y", "", "anonymous", "+" + "9" * 40, "{{ x }}")):
        form = {**RINGS, "CallSid": f"CA{number}", "From": caller}
        document = (await house.post("/incoming-call", form)).text
        assert {child.tag for child in ET.fromstring(document).iter()} <= {
            "Response", "Say", "Connect", "Stream", "Parameter", "Hangup",
        }  # fmt: skip
        assert house.store.attempts.of_call(f"CA{number}").phone == ""


async def test_a_text_message_opts_out_only_when_it_is_signed(house):
    stop = {"Body": " stop ", "From": CALLER, "To": OUR_NUMBER}
    assert (await house.post("/twilio/sms", stop, signature="x")).status_code == 403
    assert not house.store.suppression.has(CALLER)
    assert (await house.post("/twilio/sms", stop)).status_code == 200
    assert house.store.suppression.has(CALLER)


# --- trouble of our own


async def test_a_database_that_fails_is_told_to_nobody_outside_and_the_next_request_is_served(house, caplog):
    uid, ticket = house.outbound(call_id="CA1")
    blocker = sqlite3.connect(house.store.attempts._database.path, isolation_level=None)
    blocker.execute("ALTER TABLE attempts RENAME TO gone")
    answers = [await house.status(uid, "CA1"), await house.post("/incoming-call", RINGS)]
    audio = await house.stream(uid, ticket, "CA1")
    blocker.execute("ALTER TABLE gone RENAME TO attempts")
    blocker.close()
    assert (answers[0].status_code, answers[0].text) == (503, "")
    assert ("<Reject" in answers[1].text, "attempts" in answers[1].text) == (True, False)
    assert (audio, house.voice.connects) == (b"", 0)
    assert (await house.status(uid, "CA1")).status_code == 204
    logged = [record for record in caplog.records if record.exc_info]
    assert logged == [], "a traceback in the log"


async def test_a_client_that_leaves_in_the_middle_harms_nobody(house):
    for sent in (
        b"POST /incoming-call HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\nCall",
        b"\x16\x03\x01",
        b"GET",
    ):
        _, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writer.write(sent)
        await writer.drain()
        writer.close()
    assert (await house.http.get("/healthz")).status_code == 200


def parameters(document):
    return {each.get("name"): each.get("value") for each in ET.fromstring(document).iter("Parameter")}
