"""The carrier's REST API as a customer meets it: over HTTP, through Twilio's SDK, judged by Twilio's OpenAPI."""

import asyncio
import json

import httpx2
import pytest
import pytest_asyncio
from twilio.base.exceptions import TwilioRestException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client

from tests import contracts_twilio
from tests.sim.world import CALLEE, open_world

FROM = "+14155550100"


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def world(doors, tmp_path):
    async with open_world(doors, tmp_path) as world:
        yield world
        crossed = tmp_path / "wire" / "rest.jsonl"
        for line in crossed.read_text(encoding="utf-8").splitlines() if crossed.exists() else ():
            record = json.loads(line)
            path, status = record["path"], record["status"]
            if status < 400:
                contracts_twilio.check_request(record["method"], path, record["query"], record["body"])
            contracts_twilio.check_answer(record["method"], path, status, record["answer"])


async def test_a_create_is_answered_201_queued_with_the_dates_still_null(world):
    answer = await world.create(Twiml="<Response/>")
    call = answer.json()
    assert (answer.status_code, call["status"], call["direction"]) == (201, "queued", "outbound-api")
    empty = ("date_created", "start_time", "end_time", "duration", "price", "answered_by")
    assert {name: call[name] for name in empty} == dict.fromkeys(empty)
    assert (call["to"], call["from_formatted"], call["queue_time"]) == (CALLEE, "(415) 555-0100", "0")
    assert answer.headers["Twilio-Request-Id"].startswith("RQ")


async def test_twilios_own_sdk_places_fetches_lists_and_ends_a_call(world):
    world.wishes[CALLEE] = {"ring_ms": 5_000}
    async with AsyncTwilioHttpClient(timeout=5) as http:
        http_request = http.request

        async def local(method, url, **more):
            return await http_request(method, url.replace("https://api.twilio.com", world.url), **more)

        http.request = local
        account = world.exchange.account
        client = Client(account.sid, account.token, http_client=http)
        made = await client.calls.create_async(
            to=CALLEE,
            from_=FROM,
            twiml="<Response/>",
            machine_detection="DetectMessageEnd",
            async_amd="true",
            async_amd_status_callback="https://h.example/amd",
            status_callback=f"{world.customer}/status/a1",
            status_callback_event=["initiated", "completed"],
            timeout=25,
            time_limit=60,
        )
        fetched = await client.calls(made.sid).fetch_async()
        listed = await client.calls.list_async(to=CALLEE, from_=FROM, limit=5)
        ended = await client.calls(made.sid).update_async(status="completed")
        assert (made.status, fetched.date_created is None, [call.sid for call in listed]) == (
            "queued",
            False,
            [made.sid],
        )
        assert ended.status == "canceled"
        with pytest.raises(TwilioRestException) as again:
            await client.calls(made.sid).update_async(status="completed")
        assert (again.value.code, again.value.status) == (21220, 400)


BAD_CREATES = [
    ({"To": None}, 400, 21201),
    ({"To": "600000001"}, 400, 21211),
    ({"From": None}, 400, 21213),
    ({"From": "nobody"}, 400, 21212),
    ({"From": "+14155550199"}, 400, 21210),
    ({"Twiml": None}, 400, 21205),
    ({"Url": "nonsense"}, 400, 21205),
    ({"Twiml": "x" * 4001}, 400, 32018),
    ({"StatusCallback": "https://under_score.example/"}, 400, 21609),
    ({"StatusCallbackEvent": "answering"}, 400, 21626),
    ({"Timeout": "601"}, 400, 20001),
    ({"MachineDetection": "Perhaps"}, 400, 20001),
    ({"AsyncAmd": "yes"}, 400, 20001),
    ({"Reference": "a1"}, 400, 20001),
    ({"Record": "true"}, 400, 20001),
]


async def test_a_bad_create_is_refused_with_twilios_code_and_nothing_is_placed(world):
    for change, status, code in BAD_CREATES:
        answer = await world.create(**{"Twiml": "<Response/>", **change})
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await world.client.get("/ledger")).json()["calls"] == []


async def test_wrong_credentials_a_foreign_account_and_no_credentials_are_refused(world):
    async with httpx2.AsyncClient(base_url=world.url, trust_env=False, verify=False) as nobody:
        bare = await nobody.get(f"{world.api}/Balance.json")
        wrong = await nobody.get(f"{world.api}/Balance.json", auth=(world.exchange.account.sid, "0" * 32))
        broken = await nobody.get(f"{world.api}/Balance.json", headers={"Authorization": "Basic ñ".encode()})
    foreign = await world.client.get(f"/2010-04-01/Accounts/AC{'0' * 32}/Balance.json")
    for answer in (bare, wrong, broken, foreign):
        assert (answer.status_code, answer.json()["code"]) == (401, 20003)
    assert bare.headers["WWW-Authenticate"].startswith("Basic")


async def test_an_api_key_is_as_good_as_the_token(world):
    account = world.exchange.account
    answer = await world.client.get(f"{world.api}/Balance.json", auth=(account.api_key, account.api_secret))
    assert answer.json()["balance"] == "25.00"


async def test_unknown_paths_calls_and_methods_are_refused(world):
    api = world.api
    assert (await world.client.get(f"{api}/Faxes.json")).json()["code"] == 20404
    assert (await world.client.get(f"{api}/Calls/CA{'0' * 32}.json")).json()["code"] == 20404
    assert (await world.client.delete(f"{api}/Calls.json")).status_code == 405
    wrong_body = await world.client.post(f"{api}/Calls.json", json={"To": CALLEE})
    assert wrong_body.json()["code"] == 20001


async def test_lists_are_newest_first_filtered_and_paged(world):
    world.wishes["+34600000002"] = {"ring_ms": 5_000}
    first = await world.place()
    second = await world.place(To="+34600000002")
    await world.over()
    third = await world.place()
    listed = (await world.client.get(f"{world.api}/Calls.json", params={"To": CALLEE})).json()
    assert [call["sid"] for call in listed["calls"]] == [third, first]
    page = (await world.client.get(f"{world.api}/Calls.json", params={"PageSize": 2})).json()
    assert [call["sid"] for call in page["calls"]] == [third, second]
    more = (await world.client.get(page["next_page_uri"])).json()
    assert [call["sid"] for call in more["calls"]] == [first]
    assert more["next_page_uri"] is None
    done = (await world.client.get(f"{world.api}/Calls.json", params={"Status": "completed"})).json()
    assert first in [call["sid"] for call in done["calls"]]
    today = {"StartTime>": world.exchange.now().strftime("%Y-%m-%d")}
    assert (await world.client.get(f"{world.api}/Calls.json", params=today)).json()["calls"]
    late = {"EndTime<": "2020-01-01T00:00:00Z"}
    assert (await world.client.get(f"{world.api}/Calls.json", params=late)).json()["calls"] == []
    assert (await world.client.get(f"{world.api}/Calls.json", params={"StartTime": "soon"})).status_code == 400
    assert (await world.client.get(f"{world.api}/Calls.json", params={"Status": "gone"})).status_code == 400


async def test_a_queued_call_has_no_start_and_is_found_without_a_time_filter(doors, tmp_path):
    async with open_world(doors, tmp_path, cps=0.5) as world:
        await world.create(Twiml="<Response/>")
        queued = (await world.create(Twiml="<Response/>", To="+34600000002")).json()
        assert 1_500 < int(queued["queue_time"]) <= 2_000
        listed = (await world.client.get(f"{world.api}/Calls.json", params={"To": "+34600000002"})).json()
        assert [(call["status"], call["start_time"]) for call in listed["calls"]] == [("queued", None)]
        answer = await world.client.post(f"{world.api}/Calls/{queued['sid']}.json", data={"Status": "canceled"})
        assert answer.json()["status"] == "canceled"
        assert (await world.over(queued["sid"]))["CallStatus"] == "canceled"


async def test_the_concurrency_cap_refuses_what_is_over_it(world):
    world.wishes[CALLEE] = {"ring_ms": 5_000}
    await world.client.post("/sim/account", json={"concurrency": 1})
    assert (await world.create(Twiml="<Response/>")).status_code == 201
    assert (await world.create(Twiml="<Response/>")).json()["code"] == 10004


async def test_the_number_is_listed_and_its_webhook_set_and_emptied(world):
    listed = (await world.client.get(f"{world.api}/IncomingPhoneNumbers.json", params={"PhoneNumber": FROM})).json()
    (number,) = listed["incoming_phone_numbers"]
    assert (number["voice_url"], number["capabilities"]["voice"]) == ("", True)
    path = f"{world.api}/IncomingPhoneNumbers/{number['sid']}.json"
    changed = await world.client.post(path, data={"VoiceUrl": "https://h.example/incoming-call", "VoiceMethod": "POST"})
    assert changed.json()["voice_url"] == "https://h.example/incoming-call"
    assert (await world.client.post(path, data={"VoiceUrl": ""})).json()["voice_url"] == ""
    assert (await world.client.post(path, data={"VoiceUrl": "nonsense"})).json()["code"] == 21502
    assert (await world.client.get(path)).json()["voice_url"] == ""
    assert (await world.client.get(path.replace(number["sid"], "PN" + "0" * 32))).status_code == 404


async def test_the_account_is_shown_without_its_token(world):
    shown = (await world.client.get(f"{world.api}.json")).json()
    assert (shown["status"], shown["auth_token"]) == ("active", None)


async def test_a_message_is_accepted_reported_and_kept(world):
    url = f"{world.customer}/sms"
    form = {"To": CALLEE, "From": FROM, "Body": "Hola", "StatusCallback": url}
    made = await world.client.post(f"{world.api}/Messages.json", data=form)
    assert made.status_code == 201
    hooks = await world.seen(2, path="/sms")
    assert {hook["MessageStatus"] for hook in hooks} == {"sent", "delivered"}
    fetched = await world.client.get(f"{world.api}/Messages/{made.json()['sid']}.json")
    assert fetched.json()["status"] == "delivered"
    assert (await world.client.get("/ledger")).json()["messages"][0]["body"] == "Hola"


BAD_MESSAGES = [
    ({"To": ""}, 21604),
    ({"From": ""}, 21603),
    ({"Body": ""}, 21602),
    ({"To": "x"}, 21211),
    ({"From": "+14155550199"}, 21606),
    ({"Body": "x" * 1601}, 21617),
]


async def test_a_bad_message_is_refused(world):
    for change, code in BAD_MESSAGES:
        form = {"To": CALLEE, "From": FROM, "Body": "Hola", **change}
        answer = await world.client.post(f"{world.api}/Messages.json", data=form)
        assert answer.json()["code"] == code


# --- faults of REST


async def test_a_reset_after_acceptance_leaves_no_answer_but_a_call(world):
    await world.fault(kind="create.reset")
    with pytest.raises(httpx2.TransportError):
        await world.create(Twiml="<Response/>")
    (call,) = (await world.client.get("/ledger")).json()["calls"]
    assert (call["to"], call["attempt"]) == (CALLEE, "a1")


@pytest.mark.parametrize(("kind", "status"), [("create.error", 500), ("create.truncated", 201)])
async def test_an_answer_may_be_lost_though_the_call_was_accepted(doors, tmp_path, kind, status):
    async with open_world(doors, tmp_path) as world:
        await world.fault(kind=kind, to=CALLEE)
        answer = await world.create(Twiml="<Response/>")
        assert answer.status_code == status
        if status == 201:
            with pytest.raises(json.JSONDecodeError):
                answer.json()
        assert len((await world.client.get("/ledger")).json()["calls"]) == 1


async def test_a_held_answer_comes_late_while_the_call_goes_on(world):
    await world.fault(kind="create.hold", seconds=0.4)
    waiting = asyncio.create_task(world.create(Twiml="<Response/>"))
    await world.seen(1)
    assert not waiting.done()
    assert (await waiting).status_code == 201


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [({"kind": "create.too_many"}, 429, 20429), ({"kind": "create.refuse", "code": 13227}, 400, 13227)],
)
async def test_a_refused_create_places_nothing(world, fault, status, code):
    await world.fault(**fault)
    answer = await world.create(Twiml="<Response/>")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await world.create(Twiml="<Response/>")).status_code == 201
    assert len((await world.client.get("/ledger")).json()["calls"]) == 1


async def test_other_requests_can_fail_too(world):
    for fault, status in (("rest.error", 500), ("rest.too_many", 429), ("rest.hold", 200)):
        await world.fault(kind=fault)
        assert (await world.client.get(f"{world.api}/Balance.json")).status_code == status


BAD_CONTROLS = [
    ("/sim/faults", "[]"),
    ("/sim/faults", '{"kind": "nonsense"}'),
    ("/sim/faults", '{"faults": 5}'),
    ("/sim/faults", '{"flaws": []}'),
    ("/sim/inbound", '{"calls": -1}'),
    ("/sim/inbound", '{"every_s": "x"}'),
    ("/sim/inbound", '{"personas": ["nobody"]}'),
    ("/sim/inbound", '{"personas": []}'),
    ("/sim/persona", '{"number": "+34600000001", "persona": "nobody"}'),
    ("/sim/persona", '{"number": "600", "persona": "busy"}'),
    ("/sim/account", '{"cps": 0}'),
    ("/sim/account", '{"concurrency": "many"}'),
    ("/sim/clock", '{"offset_s": -1}'),
    ("/sim/clock", '{"offset_s": null}'),
    ("/sim/clock", "nonsense"),
    ("/sim/calls/CA1/digits", '{"digits": "1"}'),
    ("/sim/calls/CA1/digits", '{"digits": "x"}'),
    ("/sim/calls/CA1/hangup", "{}"),
]


async def test_a_bad_control_request_gets_its_reason(world):
    for path, body in BAD_CONTROLS:
        answer = await world.client.post(path, content=body)
        assert answer.status_code == 400
        assert answer.json()["error"]


async def test_the_clock_moves_on_but_never_back(doors, tmp_path):
    async with open_world(doors, tmp_path, offset_s=100.0) as world:
        assert (await world.client.post("/sim/clock", json={"offset_s": 10_000})).status_code == 200
        assert (await world.client.post("/sim/clock", json={"offset_s": 9_999})).status_code == 400
        assert (await world.client.get("/sim/calls/CA1")).status_code == 404
