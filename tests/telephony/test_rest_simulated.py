"""The REST adapter against the simulated carrier, which was written from the protocol page alone."""

import json
import subprocess
import sys

import pytest

from agenx_cli.core.attempt import CarrierStatus
from agenx_cli.errors import CarrierError
from agenx_cli.ports import DialRequest, NotPlaced, Placed
from agenx_cli.telephony.twilio import twiml
from agenx_cli.telephony.twilio.rest import TwilioCarrier

TO = "+34600000007"
NOWHERE = "http://127.0.0.1:9/twilio/status/a1"


@pytest.fixture(scope="module")
def world():
    command = [sys.executable, "-m", "agenx_cli", "sim", "serve", "--json", "--with-parent", "--cps", "0.1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield json.loads(process.stdout.readline())["env"]
        process.stdin.close()


@pytest.fixture
async def carrier(world):
    made = TwilioCarrier(
        account_sid=world["TWILIO_ACCOUNT_SID"],
        auth_token=world["TWILIO_AUTH_TOKEN"],
        base_url=world["AGENX_TWILIO_API_URL"],
        wait_s=0.01,
    )
    yield made
    await made.close()


def dial(to: str, from_: str) -> DialRequest:
    return DialRequest(
        attempt_uid="a1",
        to=to,
        from_=from_,
        twiml=twiml.hangup_document(),
        status_url=NOWHERE,
        amd_url=NOWHERE,
        ring_s=25,
        time_limit_s=60,
    )


async def test_a_call_is_placed_found_queued_and_ended(carrier, world):
    ours = world["TWILIO_PHONE_NUMBER"]
    first = await carrier.place(dial(TO, ours))
    second = await carrier.place(dial(TO, ours))  # a tenth of a call a second: this one waits in the queue
    assert isinstance(first, Placed)
    assert isinstance(second, Placed)
    assert second.queue_ms > 0
    found = await carrier.find(to=TO, from_=ours)
    assert {call.call_id for call in found} == {first.call_id, second.call_id}
    assert all(call.created_at.tzinfo and call.direction == "outbound-api" for call in found)
    for placed in (first, second):
        await carrier.hang_up(placed.call_id)
        await carrier.hang_up(placed.call_id)
        over = await carrier.fetch(placed.call_id)
        assert over.status in {CarrierStatus.CANCELED, CarrierStatus.COMPLETED}


async def test_a_refused_dial_says_what_to_do(carrier, world):
    bad = await carrier.place(dial("+1", world["TWILIO_PHONE_NUMBER"]))
    assert isinstance(bad, NotPlaced)
    assert (bad.code, bad.action) == ("21211", "give_up_lead")
    not_ours = await carrier.place(dial(TO, "+34910000099"))
    assert isinstance(not_ours, NotPlaced)
    assert not_ours.action == "stop"


async def test_an_unknown_call_is_none_and_wrong_credentials_are_told(carrier, world):
    assert await carrier.fetch("CA" + "0" * 32) is None
    await carrier.hang_up("CA" + "0" * 32)
    stranger = TwilioCarrier(
        account_sid=world["TWILIO_ACCOUNT_SID"], auth_token="0" * 32, base_url=world["AGENX_TWILIO_API_URL"]
    )
    with pytest.raises(CarrierError) as caught:
        await stranger.account()
    await stranger.close()
    assert caught.value.exit_code == 4


async def test_our_number_is_read_and_pointed_elsewhere(carrier, world):
    number = await carrier.number(world["TWILIO_PHONE_NUMBER"])
    assert number.voice
    assert number.application is None
    await carrier.set_voice_url(number.number_id, "http://127.0.0.1:9/incoming-call", "POST")
    again = await carrier.number(world["TWILIO_PHONE_NUMBER"])
    assert (again.voice_url, again.voice_method) == ("http://127.0.0.1:9/incoming-call", "POST")
    assert await carrier.number("+34910000099") is None
    assert (await carrier.account()).status == "active"
    assert (await carrier.balance()).amount > 0
