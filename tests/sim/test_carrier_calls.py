"""A simulated call from the queue to its end: callbacks, verdicts, documents, calls in, and the fault plan."""

import asyncio
from itertools import pairwise
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from starlette.responses import Response
from twilio.request_validator import RequestValidator

from agenx_cli.sim.sound import Listener, Said
from tests.sim.world import CALLEE, open_world

FROM = "+14155550100"


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def world(doors, tmp_path):
    async with open_world(doors, tmp_path) as world:
        yield world
        validator = RequestValidator(world.exchange.account.token)
        for hook in world.hooks:
            signature = hook.headers["x-twilio-signature"]
            form = dict(hook.params) if hook.method == "POST" else {}
            assert validator.validate(hook.url, form, signature), hook
            assert hook.headers["i-twilio-idempotency-token"]


def document(text, kind="text/xml"):
    return Response(f"<Response>{text}</Response>", media_type=kind)


def heard_by(phone):
    listener = Listener()
    return [heard.text for heard in listener.hear(bytes(phone.heard)) + listener.flush() if isinstance(heard, Said)]


async def test_a_call_is_reported_from_initiated_to_completed_with_all_its_parameters(world):
    sid = await world.place("<Response><Say>Hola</Say></Response>")
    hooks = await world.seen(4)
    in_order = sorted(hooks, key=lambda hook: int(hook["SequenceNumber"]))
    assert [hook["CallStatus"] for hook in in_order] == ["initiated", "ringing", "in-progress", "completed"]
    assert [hook["SequenceNumber"] for hook in in_order] == ["0", "1", "2", "3"]
    assert {hook["CallSid"] for hook in hooks} == {sid}
    assert {hook["CallbackSource"] for hook in hooks} == {"call-progress-events"}
    end = in_order[-1]
    assert (end["CallDuration"], end["Duration"], end["SipResponseCode"]) == ("1", "1", "200")
    assert (end["Direction"], end["To"], end["Called"], end["ToCity"], end["ToCountry"]) == (
        "outbound-api",
        CALLEE,
        CALLEE,
        "",
        "ES",
    )
    assert "CallDuration" not in dict(in_order[0].params)


async def test_by_default_only_the_end_is_reported(world):
    await world.place(StatusCallbackEvent=None)
    end = await world.over()
    assert end["SequenceNumber"] == "0"
    assert len(world.of("/status/")) == 1


async def test_say_is_heard_word_for_word_and_logged(world):
    sid = await world.place(
        "<Response><Say>Buenos días, soy una asistente</Say><Play>https://h.example/a.wav</Play></Response>"
    )
    await world.over()
    assert heard_by(world.phone()) == ["Buenos días, soy una asistente"]
    shown = await world.shown(sid)
    assert [entry[1:] for entry in shown["log"]] == [
        ["Say", "Buenos días, soy una asistente"],
        ["Play", "https://h.example/a.wav"],
    ]


async def test_a_call_nobody_takes_ends_as_the_network_says(world):
    cases = [
        ({}, {"kind": "call.busy"}, "busy", "486"),
        ({"answers": False}, None, "no-answer", "487"),
        ({}, {"kind": "call.no_answer"}, "no-answer", "487"),
        ({"ring_ms": 5_000}, None, "no-answer", "487"),
        ({}, {"kind": "call.failed", "code": 503}, "failed", "503"),
    ]
    placed = []
    for n, (wish, fault, status, sip) in enumerate(cases):
        number = f"+3460000001{n}"
        world.wishes[number] = wish
        if fault:
            await world.fault(**fault, to=number)
        placed.append((await world.place(To=number, Timeout="1"), status, sip))
    for sid, status, sip in placed:
        end = await world.over(sid)
        facts = [end[name] for name in ("CallStatus", "SipResponseCode", "CallDuration", "Duration")]
        assert facts == [status, sip, "0", "0"]
        fetched = (await world.client.get(f"{world.api}/Calls/{sid}.json")).json()
        assert (fetched["status"], fetched["duration"], fetched["price"]) == (status, "0", None)


async def test_a_number_can_be_pinned_to_the_networks_answers(world):
    placed = {}
    for n, (persona, status) in enumerate({"busy": "busy", "failed": "failed", "no_answer": "no-answer"}.items()):
        number = f"+3460000001{n}"
        await world.client.post("/sim/persona", json={"number": number, "persona": persona})
        placed[await world.place(To=number, Timeout="1")] = status
    assert {sid: (await world.over(sid))["CallStatus"] for sid in placed} == placed


async def test_calls_start_one_after_another_at_the_accounts_pace(doors, tmp_path):
    async with open_world(doors, tmp_path, cps=4.0) as world:
        sids = [await world.place() for _ in range(3)]
        for sid in sids:
            await world.over(sid)
        starts = [world.exchange.calls[sid].started_at for sid in sids]
        gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(starts)]
        assert all(0.2 < gap < 0.6 for gap in gaps)


async def test_the_time_limit_ends_the_call(world):
    await world.place('<Response><Pause length="20"/></Response>', TimeLimit="1")
    end = await world.over()
    assert (end["CallStatus"], end["CallDuration"]) == ("completed", "2") or end["CallDuration"] == "1"


async def test_a_callee_who_hangs_up_ends_the_call(world):
    world.wishes[CALLEE] = {"leaves_at": 100}
    sid = await world.place('<Response><Pause length="20"/></Response>')
    assert (await world.over(sid))["CallStatus"] == "completed"


async def test_the_verdict_comes_in_a_callback_of_its_own(world):
    cases = [
        ({}, "DetectMessageEnd", "human", "human"),
        ({"answered_by": "machine"}, "Enable", "machine_start", "machine"),
        ({"answered_by": "machine"}, "DetectMessageEnd", "machine_end_beep", "machine"),
        ({"answered_by": "odd"}, "Enable", "unknown", None),
    ]
    expected = {}
    for n, (wish, detection, said, recorded) in enumerate(cases):
        world.wishes[f"+3460000001{n}"] = wish
        sid = await world.place(
            '<Response><Pause length="20"/></Response>',
            To=f"+3460000001{n}",
            MachineDetection=detection,
            AsyncAmd="true",
            AsyncAmdStatusCallback=f"{world.customer}/amd/a1",
        )
        expected[sid] = (said, recorded)
    for hook in await world.seen(len(cases), path="/amd/"):
        said, recorded = expected.pop(hook["CallSid"])
        assert hook["AnsweredBy"] == said
        assert hook["MachineDetectionDuration"] == ("200" if said == "machine_end_beep" else "100")
        fetched = (await world.client.get(f"{world.api}/Calls/{hook['CallSid']}.json")).json()
        assert fetched["answered_by"] == recorded
    assert not expected


async def test_without_asyncamd_the_document_waits_for_the_verdict(world):
    world.wishes[CALLEE] = {"verdict_ms": 400}
    sid = await world.place("<Response><Say>Hola</Say></Response>", MachineDetection="Enable")
    assert (await world.over(sid))["AnsweredBy"] == "human"
    ((at_ms, *_),) = (await world.shown(sid))["log"]
    assert at_ms >= 380


async def test_a_verdict_may_never_come_or_come_late(world):
    await world.fault(kind="amd.none", to="+34600000010")
    await world.fault(kind="amd.late", to="+34600000011", seconds=0.3)
    amd = {"MachineDetection": "Enable", "AsyncAmd": "true", "AsyncAmdStatusCallback": f"{world.customer}/amd/a1"}
    twiml = '<Response><Pause length="1"/></Response>'
    never = await world.place(twiml, To="+34600000010", **amd)
    late = await world.place(twiml, To="+34600000011", **amd)
    await world.over(never)
    await world.over(late)
    assert [hook["CallSid"] for hook in world.of("/amd/")] == [late]


# --- callbacks mistreated


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (
            {"kind": "callback.double", "event": "ringing"},
            ["completed", "in-progress", "initiated", "ringing", "ringing"],
        ),
        ({"kind": "callback.drop", "event": "ringing"}, ["completed", "in-progress", "initiated"]),
        ({"kind": "callback.drop", "times": 0}, []),
        (
            {"kind": "callback.delay", "event": "initiated", "seconds": 0.2},
            ["completed", "in-progress", "initiated", "ringing"],
        ),
    ],
)
async def test_callbacks_are_doubled_dropped_and_delayed(world, fault, expected):
    await world.fault(**fault)
    sid = await world.place('<Response><Pause length="0"/></Response>')
    life = world.exchange.lives[sid]
    async with asyncio.timeout(5):
        await life._over.wait()
    await world.seen(len(expected))
    assert sorted(hook["CallStatus"] for hook in world.of("/status/")) == expected


async def test_a_swapped_callback_comes_after_the_one_that_followed_it(world):
    await world.fault(kind="callback.swap", event="ringing")
    await world.place('<Response><Pause length="1"/></Response>')
    hooks = await world.seen(4)
    order = [hook["CallStatus"] for hook in hooks]
    assert order.index("ringing") > order.index("in-progress")


async def test_a_swapped_callback_with_none_after_it_comes_in_the_end(world):
    await world.fault(kind="callback.swap", event="completed", seconds=0.2)
    await world.place()
    assert (await world.over())["CallStatus"] == "completed"


async def test_retries_follow_the_fragment_and_keep_the_idempotency_token(world):
    answers = iter([500, 500, 200])

    world.documents["/flaky"] = lambda: Response(status_code=next(answers))
    await world.place(StatusCallback=f"{world.customer}/flaky#rc=3&rp=5xx", StatusCallbackEvent=None)
    hooks = await world.seen(3, path="/flaky")
    assert len({hook.headers["i-twilio-idempotency-token"] for hook in hooks}) == 1
    world.documents["/sore"] = Response(status_code=500)
    await world.place(StatusCallback=f"{world.customer}/sore", StatusCallbackEvent=None)
    await world.seen(1, path="/sore")
    await world.place(StatusCallback="http://127.0.0.1:9/none", StatusCallbackEvent=None, To="+34600000002")
    async with asyncio.timeout(5):
        while len(world.exchange.callbacks.failed) < 2:  # noqa: ASYNC110 - the failure is nobody's event
            await asyncio.sleep(0.01)
    assert {code for _, _, code in world.exchange.callbacks.failed} == {11200, 11205}
    assert len(world.of("/sore")) == 1


async def test_a_get_callback_carries_its_parameters_in_the_signed_address(world):
    await world.place(StatusCallbackMethod="GET", StatusCallback=f"{world.customer}/status/a1?x=1")
    (hook, *_) = await world.seen(1)
    assert hook.method == "GET"
    assert hook.query.startswith("x=1&AccountSid=")


# --- documents


async def test_a_document_is_fetched_on_answer_and_redirected(world):
    world.documents["/first"] = document("<Redirect>second?n=1</Redirect><Say>never</Say>")
    world.documents["/second"] = document("<Say>Adiós</Say><Hangup/><Say>never</Say>", "application/xml")
    await world.place(None, Url=f"{world.customer}/first")
    await world.over()
    assert heard_by(world.phone()) == ["Adiós"]
    (first,) = world.of("/first")
    assert (first["CallStatus"], first["Direction"]) == ("in-progress", "outbound-api")
    assert world.of("/second")[0].query == "n=1"


async def test_a_wrong_document_ends_the_call_with_an_apology_and_an_error_code(world):
    wrong = {
        "+34600000010": ("<Response><Sing/></Response>", 12200),
        "+34600000011": ("nonsense", 12100),
        "+34600000012": ("<Response><Say>Hi</Say>", 12100),
    }
    sids = {number: await world.place(twiml, To=number) for number, (twiml, _) in wrong.items()}
    for number, (_, code) in wrong.items():
        await world.over(sids[number])
        assert "application error" in heard_by(world.phone(number))[0]
        assert world.exchange.calls[sids[number]].error_codes == [code]
    calls = (await world.client.get("/ledger")).json()["calls"]
    assert [call["error_codes"] for call in calls] == [[12200], [12100], [12100]]


@pytest.mark.parametrize(
    ("answer", "code"),
    [(Response(status_code=500), 11200), (Response("hello", media_type="text/plain"), 12300), (Response(""), 12300)],
)
async def test_a_document_that_cannot_be_had_is_an_error_and_the_fallback_is_asked(world, answer, code):
    world.documents["/first"] = answer
    world.documents["/fallback"] = document("<Say>Lo sentimos</Say>")
    sid = await world.place(None, Url=f"{world.customer}/first", FallbackUrl=f"{world.customer}/fallback")
    await world.over()
    assert heard_by(world.phone()) == ["Lo sentimos"]
    assert world.of("/fallback")[0]["ErrorCode"] == str(code)
    assert world.exchange.calls[sid].error_codes == [code]


async def test_another_document_replaces_the_running_one_at_once(world):
    sid = await world.place('<Response><Pause length="20"/></Response>')
    await world.seen(3)
    path = f"{world.api}/Calls/{sid}.json"
    twiml = "<Response><Say>Le paso</Say><Hangup/></Response>"
    assert (await world.client.post(path, data={"Twiml": twiml})).status_code == 200
    await world.over()
    assert heard_by(world.phone()) == ["Le paso"]
    assert (await world.client.post(path, data={"Twiml": twiml})).json()["code"] == 21220


async def test_a_call_is_ended_and_its_limit_changed_by_rest(world):
    sid = await world.place('<Response><Pause length="20"/></Response>')
    path = f"{world.api}/Calls/{sid}.json"
    await world.seen(3)
    assert (await world.client.post(path, data={"Status": "canceled"})).json()["code"] == 21220
    assert (await world.client.post(path, data={"Status": "completed"})).json()["status"] == "completed"
    assert (await world.over())["CallStatus"] == "completed"
    short = await world.place('<Response><Pause length="20"/></Response>')
    await world.seen(7)
    await world.client.post(f"{world.api}/Calls/{short}.json", data={"TimeLimit": "1"})
    assert (await world.over(short))["CallStatus"] == "completed"


async def test_gather_takes_digits_to_its_action(world):
    world.documents["/digits"] = document("<Say>Gracias</Say>")
    twiml = (
        f'<Response><Gather numDigits="2" action="{world.customer}/digits"><Say>Marque dos cifras por favor ahora mismo'
        "</Say></Gather><Say>never</Say></Response>"
    )
    sid = await world.place(twiml)
    await world.seen(3)
    assert (await world.client.post(f"/sim/calls/{sid}/digits", json={"digits": "42"})).status_code == 200
    await world.over()
    assert world.of("/digits")[0]["Digits"] == "42"
    assert heard_by(world.phone())[-1] == "Gracias"


async def test_gather_without_digits_goes_on_and_a_finish_key_is_not_a_digit(world):
    await world.place('<Response><Gather timeout="0"><Say>¿Sí?</Say></Gather><Say>Adiós</Say></Response>')
    await world.over()
    assert heard_by(world.phone()) == ["¿Sí?", "Adiós"]
    world.documents["/digits"] = document("<Hangup/>")
    sid = await world.place(f'<Response><Gather action="{world.customer}/digits"/></Response>', To="+34600000002")
    await world.seen(7)
    await world.client.post(f"/sim/calls/{sid}/digits", json={"digits": "7#"})
    assert (await world.seen(1, path="/digits"))[0]["Digits"] == "7"


async def test_dial_joins_a_second_phone_until_it_leaves(world):
    word = bytes(range(1, 161))
    world.wishes["+34600000009"] = {"ring_ms": 40, "leaves_at": 200, "says": {100: word}}
    world.wishes[CALLEE] = {"says": dict.fromkeys(range(0, 600, 20), word[::-1])}
    world.documents["/after"] = document("<Hangup/>")
    await world.place(f'<Response><Dial action="{world.customer}/after">+34600000009</Dial></Response>')
    await world.over()
    assert word in bytes(world.phone().heard)
    assert word[::-1] in bytes(world.phone("+34600000009").heard)
    (after,) = world.of("/after")
    assert after["DialCallStatus"] == "completed"
    calls = (await world.client.get("/ledger")).json()["calls"]
    assert {call["direction"] for call in calls} == {"outbound-api", "outbound-dial"}
    assert {call["status"] for call in calls} == {"completed"}


async def test_dial_to_nobody_goes_on(world):
    world.wishes["+34600000009"] = {"answers": False}
    await world.place('<Response><Dial timeout="5"><Number>+34600000009</Number></Dial></Response>', TimeLimit="1")
    await world.over()
    statuses = {call["direction"]: call["status"] for call in (await world.client.get("/ledger")).json()["calls"]}
    assert statuses == {"outbound-api": "completed", "outbound-dial": "canceled"}


async def test_two_lines_meet_in_a_conference_until_the_one_who_ends_it_leaves(world):
    word = bytes(range(1, 161))
    world.wishes[CALLEE] = {"says": {400: word}, "leaves_at": 700}
    room = "<Response><Dial><Conference {}>room</Conference></Dial></Response>"
    first = await world.place(room.format('endConferenceOnExit="true"'))
    second = await world.place(room.format(""), To="+34600000002")
    await world.over(first)
    await world.over(second)
    assert word in bytes(world.phone("+34600000002").heard)


# --- calls in


async def set_voice_url(world, **settings):
    number = world.exchange.account.numbers[0].sid
    await world.client.post(
        f"{world.api}/IncomingPhoneNumbers/{number}.json", content=urlencode(settings), headers=FORM
    )


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def test_people_ring_in_and_the_customers_document_answers(world):
    world.documents["/incoming-call"] = document("<Say>Hola</Say>")
    await set_voice_url(world, VoiceUrl=f"{world.customer}/incoming-call", StatusCallback=f"{world.customer}/status/in")
    assert (await world.client.post("/sim/inbound", json={"calls": 2, "every_s": 0.05})).json() == {"accepted": 2}
    hooks = await world.seen(2, path="/incoming-call")
    assert {(hook["Direction"], hook["CallStatus"], hook["To"]) for hook in hooks} == {("inbound", "ringing", FROM)}
    assert {hook["CallStatus"] for hook in await world.seen(2)} == {"completed"}
    calls = (await world.client.get("/ledger")).json()["calls"]
    assert {call["persona"] for call in calls} == {"interested", "voicemail"}
    assert all(call["answered_at"] for call in calls)


@pytest.mark.parametrize(
    ("answer", "settings", "status", "codes"),
    [
        (document('<Reject reason="busy"/>'), {}, "busy", []),
        (document("<Reject/>"), {}, "busy", []),
        (document("<Sing/>"), {}, "failed", [12200]),
        (Response(status_code=403), {}, "failed", [11200]),
        (document("<Say>x</Say>"), {"VoiceApplicationSid": "AP" + "0" * 32}, "failed", []),
    ],
)
async def test_a_call_in_that_is_not_taken_was_never_answered(world, answer, settings, status, codes):
    world.documents["/incoming-call"] = answer
    await set_voice_url(world, VoiceUrl=f"{world.customer}/incoming-call", **settings)
    await world.client.post("/sim/inbound", json={"personas": ["voicemail"]})
    async with asyncio.timeout(5):
        while not any(call.over for call in world.exchange.calls.values()):  # noqa: ASYNC110 - no webhook is due
            await asyncio.sleep(0.01)
    (call,) = world.exchange.calls.values()
    assert (call.status, call.answered_at, call.error_codes, call.persona) == (status, None, codes, "voicemail")


# --- the ledger


async def test_the_ledger_says_which_attempt_a_call_was_and_survives_the_carrier(doors, tmp_path):
    async with open_world(doors, tmp_path, offset_s=86_400.0) as world:
        world.wishes[CALLEE] = {"ring_ms": 20_000}
        done = await world.place(To="+34600000002")
        await world.over(done)
        live = await world.place(StatusCallback=f"{world.customer}/status/b2#rc=2")
    async with open_world(doors, tmp_path) as later:
        calls = {call["sid"]: call for call in (await later.client.get("/ledger")).json()["calls"]}
        assert [calls[sid]["attempt"] for sid in (done, live)] == ["a1", "b2"]
        assert [calls[sid]["status"] for sid in (done, live)] == ["completed", "failed"]
        assert calls[done]["answered_at"] < calls[done]["ended_at"]
        assert calls[done]["accepted_at"].endswith("+00:00")
        fetched = await later.client.get(f"{later.api}/Calls/{live}.json")
        assert fetched.json()["status"] == "failed"
