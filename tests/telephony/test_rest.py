import base64
import logging
import socket
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from agenx_cli.core.attempt import AnsweredBy, CarrierStatus
from agenx_cli.errors import CarrierError
from agenx_cli.ports import CarrierCall, CarrierNumber, DialRequest, MaybePlaced, NotPlaced, Placed
from agenx_cli.telephony.twilio.dial import dial_form
from agenx_cli.telephony.twilio.http import Requests
from agenx_cli.telephony.twilio.records import Balance, CarrierAccount
from agenx_cli.telephony.twilio.rest import TwilioCarrier
from agenx_cli.telephony.twilio.verdicts import CODES, STATUSES, verdict
from tests.telephony.twilio_server import (
    AC,
    CA,
    PN,
    TwilioServer,
    call,
    error,
    number,
    page,
    resets,
    says,
    sleeps,
    truncates,
)

TO = "+34600000001"
FROM = "+34910000001"
DIAL = DialRequest(
    attempt_uid="a1",
    to=TO,
    from_=FROM,
    twiml="<Response><Hangup/></Response>",
    status_url="https://h.example/twilio/status/a1",
    amd_url="https://h.example/twilio/amd/a1",
    ring_s=25,
    time_limit_s=630,
)


@asynccontextmanager
async def twilio(*script, **options):
    options = {"wait_s": 0.01} | options
    async with TwilioServer(list(script)) as server:
        carrier = TwilioCarrier(account_sid=AC, auth_token="secret", base_url=server.url, **options)
        try:
            yield server, carrier
        finally:
            await carrier.close()


# --- placing


async def test_a_dial_is_one_post_with_everything_in_it():
    async with twilio(says(201, call(queue_time="1500"))) as (server, carrier):
        assert await carrier.place(DIAL) == Placed(CA, queue_ms=1500)
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", f"/2010-04-01/Accounts/{AC}/Calls.json")
    assert base64.b64decode(asked.headers["authorization"].removeprefix("Basic ")).decode() == f"{AC}:secret"
    assert asked.form == {
        "To": [TO],
        "From": [FROM],
        "Twiml": ["<Response><Hangup/></Response>"],
        "Timeout": ["25"],
        "TimeLimit": ["630"],
        "StatusCallback": ["https://h.example/twilio/status/a1#rc=3&rp=4xx,5xx,ct,rt"],
        "StatusCallbackMethod": ["POST"],
        "StatusCallbackEvent": ["initiated", "ringing", "answered", "completed"],
        "MachineDetection": ["DetectMessageEnd"],
        "AsyncAmd": ["true"],
        "AsyncAmdStatusCallback": ["https://h.example/twilio/amd/a1#rc=3&rp=4xx,5xx,ct,rt"],
        "AsyncAmdStatusCallbackMethod": ["POST"],
    }
    shown: dict[str, list[str]] = {}
    for name, value in dial_form(DIAL):
        shown.setdefault(name, []).append(value)
    assert shown == asked.form


async def test_without_amd_nothing_of_it_is_asked_for():
    plain = DialRequest("a1", TO, FROM, "<Response/>", "https://h.example/s", None, 25, 630)
    assert not [name for name, _ in dial_form(plain) if "Amd" in name or "Machine" in name]


async def test_an_api_key_signs_in_instead_of_the_token():
    async with twilio(says(201, call()), api_key="SK1", api_secret="s2") as (server, carrier):
        await carrier.place(DIAL)
    sent = base64.b64decode(server.asked[0].headers["authorization"].removeprefix("Basic ")).decode()
    assert sent == "SK1:s2"
    assert AC in server.asked[0].path


@pytest.mark.parametrize(
    "answer",
    [
        resets,
        truncates,
        sleeps(3),
        says(500, "oh"),
        error(503, 20503),
        says(502, "<html>bad gateway</html>"),
        says(408, {}),
        says(201, '{"sid": "CA1'),
        says(201, "[]"),
        says(201, {}),
        says(201, {"sid": 7}),
        says(201, {"sid": CA, "date_created": 7}),
        says(200, "<html>welcome to the hotel</html>"),
        says(302, "", Location="https://login.example"),
        says(400, "<html>no</html>"),
        says(404, ""),
    ],
)
async def test_when_nobody_knows_the_dial_is_not_repeated(answer):
    async with twilio(answer, place_s=0.3) as (server, carrier):
        outcome = await carrier.place(DIAL)
        assert isinstance(outcome, MaybePlaced), outcome
        assert TO not in outcome.why
    assert server.posts() == 1


async def test_without_a_connection_nothing_was_placed():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        carrier = TwilioCarrier(account_sid=AC, auth_token="x", base_url=f"http://127.0.0.1:{taken.getsockname()[1]}")
        outcome = await carrier.place(DIAL)
        await carrier.close()
    assert isinstance(outcome, NotPlaced)
    assert (outcome.code, outcome.action) == ("network", "retry")


@pytest.mark.parametrize(
    ("answer", "code", "action"),
    [
        (error(429, 20429), "20429", "retry"),
        (says(429, "slow down", Retry_After="3"), "429", "retry"),
        (error(400, 10004), "10004", "slow_down"),
        (error(401, 20003), "20003", "stop"),
        (says(401, ""), "401", "stop"),
        (says(403, "<html>"), "403", "stop"),
        (error(400, 21211), "21211", "give_up_lead"),
        (error(400, 21215), "21215", "give_up_country"),
        (error(400, 21212), "21212", "stop"),
        (error(400, 32018), "32018", "stop"),
        (error(400, 99999), "99999", "stop"),
        (
            says(400, {"type": "https://x", "title": "Trial", "status": 400, "code": 573002, "detail": "no"}),
            "573002",
            "give_up_lead",
        ),
    ],
)
async def test_a_refusal_is_definite_and_says_what_to_do(answer, code, action):
    async with twilio(answer) as (server, carrier):
        outcome = await carrier.place(DIAL)
    assert isinstance(outcome, NotPlaced)
    assert (outcome.code, outcome.action) == (code, action)
    assert TO not in outcome.message
    assert server.posts() == 1
    assert outcome.credentials == (code in {"20003", "401", "403"})
    assert outcome.retry_after == (3 if code == "429" else None)


async def test_each_dial_has_a_connection_of_its_own():
    async with twilio(says(201, call())) as (server, carrier):
        await carrier.place(DIAL)
        await carrier.place(DIAL)
    assert server.connections == 2


def test_every_refusal_says_what_mends_it():
    assert all(told.fix for told in (*CODES.values(), *STATUSES.values()))
    assert verdict(400, 1, "The number +1 (234) 555-0100 and 34600000001 x").message.endswith("number … and … x")
    assert verdict(400, None).fix is None
    assert verdict(400, 1).fix.endswith("/1")


# --- asking


async def test_a_call_is_read_in_our_words():
    over = call(
        status="no-answer",
        start_time="Tue, 24 Nov 2026 10:00:01 +0000",
        end_time="Tue, 24 Nov 2026 10:00:26 +0000",
        duration="25",
        price="-0.01300",
        answered_by="machine_start",
    )
    async with twilio(says(200, over)) as (_, carrier):
        assert await carrier.fetch(CA) == CarrierCall(
            call_id=CA,
            to=TO,
            from_=FROM,
            direction="outbound-api",
            status=CarrierStatus.NO_ANSWER,
            created_at=datetime(2026, 11, 24, 10, tzinfo=UTC),
            answered_by=AnsweredBy.MACHINE,
            started_at=datetime(2026, 11, 24, 10, 0, 1, tzinfo=UTC),
            ended_at=datetime(2026, 11, 24, 10, 0, 26, tzinfo=UTC),
            duration_s=25,
            price_usd=0.013,
        )


async def test_a_price_in_another_currency_is_not_taken_for_dollars():
    async with twilio(says(200, call(price="-0.01", price_unit="EUR"))) as (_, carrier):
        assert (await carrier.fetch(CA)).price_usd is None


async def test_a_call_that_twilio_does_not_know_is_none():
    async with twilio(error(404, 20404)) as (server, carrier):
        assert await carrier.fetch(CA) is None
    assert len(server.asked) == 1


async def test_asking_is_repeated_until_twilio_is_well_again():
    async with twilio(resets, says(500, ""), says(429, "", Retry_After="0"), says(200, call())) as (server, carrier):
        assert (await carrier.fetch(CA)).call_id == CA
    assert len(server.asked) == 4


async def test_asking_ends_with_an_error_that_may_be_tried_again():
    async with twilio(says(503, "")) as (server, carrier):
        with pytest.raises(CarrierError) as caught:
            await carrier.fetch(CA)
    assert len(server.asked) == 4
    assert caught.value.retryable
    assert caught.value.fix
    assert caught.value.exit_code == 6


async def test_refused_credentials_are_not_tried_again_and_exit_with_4():
    async with twilio(error(401, 20003)) as (server, carrier):
        with pytest.raises(CarrierError) as caught:
            await carrier.fetch(CA)
    assert len(server.asked) == 1
    assert caught.value.exit_code == 4
    assert "TWILIO_AUTH_TOKEN" in caught.value.fix


@pytest.mark.parametrize("changed", [{"status": "dreaming"}, {"date_created": None}, {"date_created": 5}])
async def test_a_record_of_another_shape_is_an_error_not_a_guess(changed):
    async with twilio(says(200, call(**changed))) as (_, carrier):
        with pytest.raises(CarrierError, match="cannot be read"):
            await carrier.fetch(CA)


async def test_the_newest_calls_between_two_numbers_come_first_without_a_time_filter():
    older = call(sid="CA" + "a" * 32, date_created="Tue, 24 Nov 2026 09:00:00 +0000")
    async with twilio(says(200, page("calls", older, call()))) as (server, carrier):
        found = await carrier.find(to=TO, from_=FROM)
    assert [each.call_id for each in found] == [CA, "CA" + "a" * 32]
    assert server.asked[0].query == {"To": [TO], "From": [FROM], "PageSize": ["20"]}


@pytest.mark.parametrize("body", [{}, {"calls": 7, "page": 0}, {"a": [], "b": []}, {"calls": [7]}])
async def test_a_list_of_another_shape_is_an_error(body):
    async with twilio(says(200, body)) as (_, carrier):
        with pytest.raises(CarrierError, match="cannot be read"):
            await carrier.find(to=TO, from_=FROM)


# --- hanging up


@pytest.mark.parametrize("answer", [says(200, call(status="completed")), error(404, 20404), error(400, 21220)])
async def test_hanging_up_is_done_when_the_call_is_over(answer):
    async with twilio(answer) as (server, carrier):
        await carrier.hang_up(CA)
    (asked,) = server.asked
    assert (asked.path, asked.form) == (f"/2010-04-01/Accounts/{AC}/Calls/{CA}.json", {"Status": ["completed"]})


@pytest.mark.parametrize("second", [says(200, call(status="canceled")), error(400, 21220)])
async def test_a_call_that_only_rings_is_canceled_instead(second):
    async with twilio(error(400, 21218), second) as (server, carrier):
        await carrier.hang_up(CA)
    assert [asked.form["Status"] for asked in server.asked] == [["completed"], ["canceled"]]


async def test_a_call_that_cannot_be_ended_is_an_error():
    async with twilio(error(400, 21218)) as (server, carrier):
        with pytest.raises(CarrierError):
            await carrier.hang_up(CA)
        server.script = [error(401, 20003)]
        with pytest.raises(CarrierError):
            await carrier.hang_up(CA)
    assert server.posts() == 3


# --- our number and account


async def test_our_number_and_where_its_calls_go():
    async with twilio(says(200, page("incoming_phone_numbers", number()))) as (server, carrier):
        assert await carrier.number(FROM) == CarrierNumber(PN, FROM, True, "https://old.example/x", "GET")
        assert server.asked[0].query["PhoneNumber"] == [FROM]
        trunked = number(trunk_sid="TK1", voice_application_sid="AP1", voice_url=None, capabilities=None)
        server.script = [says(200, page("incoming_phone_numbers", trunked))]
        assert await carrier.number(FROM) == CarrierNumber(PN, FROM, False, "", "GET", "AP1", "TK1")
        server.script = [says(200, page("incoming_phone_numbers", number(phone_number=FROM + "9")))]
        assert await carrier.number(FROM) is None


async def test_setting_where_calls_go():
    async with twilio(says(200, number())) as (server, carrier):
        await carrier.set_voice_url(PN, "https://h.example/incoming-call", "POST")
    assert server.asked[0].form == {"VoiceUrl": ["https://h.example/incoming-call"], "VoiceMethod": ["POST"]}


async def test_the_account_its_money_and_its_countries():
    async with twilio(says(200, {"type": "Trial", "status": "active"})) as (server, carrier):
        assert await carrier.account() == CarrierAccount("trial", "active")
        server.script = [says(200, {"balance": "12.50", "currency": "EUR"})]
        assert await carrier.balance() == Balance(12.5, "EUR")
        server.script = [says(200, {"balance": None})]
        assert await carrier.balance() == Balance(None, "USD")
        server.script = [says(200, {"iso_code": "ES", "low_risk_numbers_enabled": False})]
        assert await carrier.may_call("ES") is False
        assert server.asked[-1].path == "/v1/DialingPermissions/Countries/ES"
        server.script = [says(200, {"iso_code": "ES"})]
        assert await carrier.may_call("ES") is None
        server.script = [error(404, 20404)]
        assert await carrier.may_call("ES") is None


# --- manners


async def test_nothing_that_is_logged_has_a_number_or_a_secret(caplog):
    caplog.set_level(logging.DEBUG)
    async with twilio(says(200, page("calls"))) as (server, carrier):
        await carrier.find(to=TO, from_=FROM)
        server.script = [resets]
        with pytest.raises(CarrierError):
            await carrier.find(to=TO, from_=FROM)
        assert "secret" not in repr(carrier)
    written = "".join(record.getMessage() + str(record.__dict__) for record in caplog.records)
    assert TO[3:] not in written
    assert "secret" not in written


def test_twilio_itself_is_asked_under_its_own_names():
    requests = Requests("https://api.twilio.com/", timeout_s=1, reuse=True)
    assert requests._url("https://voice.twilio.com/v1/x") == "https://voice.twilio.com/v1/x"
    proxied = Requests("https://proxy.example:8443/twilio", timeout_s=1, reuse=True)
    assert proxied._url("https://voice.twilio.com/v1/x?a=1") == "https://proxy.example:8443/twilio/v1/x?a=1"
