import base64
import random
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from agenx_cli.core.attempt import (
    AnsweredBy,
    CarrierProgress,
    CarrierStatus,
    MachineVerdict,
    StreamEnded,
    StreamStarted,
)
from agenx_cli.errors import RemoteProtocolError
from agenx_cli.telephony.twilio import webhooks
from agenx_cli.telephony.twilio.webhooks import (
    answered_by,
    incoming_call,
    machine_report,
    read_form,
    signature_ok,
    signed_as,
    status_report,
    stream_error,
    stream_report,
    upgrade_ok,
    upgrade_urls,
)

TOKEN = "0123456789abcdef0123456789abcdef"
URL = "https://h.example/twilio/status/a1"
CALL = "CA" + "1" * 32
NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
FORM = {"CallSid": CALL, "CallStatus": "completed", "SequenceNumber": "3", "To": "+34600000001", "Empty": ""}


def signed(url: str, form: dict[str, str], algorithm: str | None = None) -> str:
    return RequestValidator(TOKEN).compute_signature(url, form, algorithm)


# --- forms


def test_a_form_keeps_empty_and_repeated_values():
    form = read_form(b"a=1&b=&a=2&c=%C3%B1+x")
    assert dict(form) == {"a": "1", "b": "", "c": "ñ x"}
    assert form.getlist("a") == ["1", "2"]
    assert len(form) == 3
    assert repr(form) == "Form(a, b, c)"


@pytest.mark.parametrize(
    "body", [b"a=" + b"x" * webhooks.MAX_FORM_BYTES, b"&".join([b"a=1"] * 201), b"a=%FF", "a=ñ".encode(), b"\x80"]
)
def test_a_form_that_no_carrier_sends_is_refused(body):
    with pytest.raises(RemoteProtocolError):
        read_form(body)


@given(st.binary(max_size=300))
def test_any_body_gives_a_form_or_a_refusal(body):
    try:
        form = read_form(body)
    except RemoteProtocolError:
        return
    assert signature_ok(TOKEN, URL, form, signed(URL, form))


# --- signatures


def test_a_signature_of_twilios_own_making_is_right():
    form = read_form(urlencode(FORM).encode())
    assert signature_ok(TOKEN, URL, form, signed(URL, FORM))
    assert signature_ok(TOKEN, URL + "?x=1", form, signed(URL + "?x=1", FORM))


@pytest.mark.parametrize("asked", ["https://h.example/p", "https://h.example:443/p"])
@pytest.mark.parametrize("made", ["https://h.example/p", "https://h.example:443/p"])
def test_the_default_port_may_stand_there_or_not(asked, made):
    assert signature_ok(TOKEN, asked, FORM, signed(made, FORM))


def test_another_port_scheme_path_or_host_is_another_address():
    for made in (
        "http://h.example/p",
        "https://h.example:8443/p",
        "https://h.example/q",
        "https://g.example/p",
        "https://h.example/p/",
    ):
        assert not signature_ok(TOKEN, "https://h.example/p", FORM, signed(made, FORM))
    assert signature_ok(TOKEN, "http://127.0.0.1:5050/p", FORM, signed("http://127.0.0.1:5050/p", FORM))


def test_a_shared_key_signs_with_the_algorithm_its_header_names():
    settings = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"
    signature = signed(URL, FORM, "HMAC_SHA256")
    assert signature_ok(TOKEN, URL, FORM, signature, settings)
    assert not signature_ok(TOKEN, URL, FORM, signature)
    assert not signature_ok(TOKEN, URL, FORM, signature, "key=k,algorithm=HMAC_MD5")


@pytest.mark.parametrize("signature", [None, "", "é", "x", "\ud800"])
def test_a_missing_or_odd_signature_is_wrong(signature):
    assert not signature_ok(TOKEN, URL, FORM, signature)
    assert not upgrade_ok(TOKEN, "https://h.example", "/media-stream", signature)


def test_without_a_token_nothing_is_right():
    assert not signature_ok("", URL, FORM, RequestValidator("").compute_signature(URL, FORM))


def test_an_address_that_is_none_is_wrong():
    assert not signature_ok(TOKEN, "https://h.example:port/p", FORM, signed(URL, FORM))
    assert not signature_ok(TOKEN, URL + "\ud800", FORM, signed(URL, FORM))


def test_a_signature_off_by_one_byte_is_never_accepted():
    right = signed(URL, FORM)
    raw = base64.b64decode(right)
    chance = random.Random(5)
    accepted = 0
    for _ in range(1000):
        if chance.random() < 0.5:
            at = chance.randrange(len(raw))
            wrong = raw[:at] + bytes([raw[at] ^ chance.randrange(1, 256)]) + raw[at + 1 :]
            text = base64.b64encode(wrong).decode()
        else:
            at = chance.randrange(len(right))
            text = right[:at] + chr(chance.choice([c for c in range(32, 127) if chr(c) != right[at]])) + right[at + 1 :]
        assert text != right
        accepted += signature_ok(TOKEN, URL, FORM, text)
        accepted += upgrade_ok(TOKEN, "https://h.example", "/twilio/status/a1", text)
    assert accepted == 0


@pytest.mark.parametrize(
    "made", ["wss://h.example/media-stream", "wss://h.example/media-stream/", "wss://h.example:443/media-stream"]
)
def test_the_upgrade_is_signed_over_one_of_the_forms_of_its_wss_address(made):
    assert upgrade_ok(TOKEN, "https://h.example", "/media-stream", signed(made, {}))
    assert upgrade_ok(TOKEN, "https://h.example:443", "/media-stream", signed(made, {}))


def test_the_upgrade_on_loopback_is_signed_over_ws():
    made = signed("ws://127.0.0.1:5050/media-stream", {})
    assert upgrade_ok(TOKEN, "http://127.0.0.1:5050", "/media-stream", made)
    assert not upgrade_ok(TOKEN, "https://127.0.0.1:5050", "/media-stream", made)


def test_which_form_of_its_address_an_upgrade_was_signed_over():
    made = signed("wss://h.example:443/media-stream", {})
    right = [url for url in upgrade_urls("https://h.example", "/media-stream") if signed_as(TOKEN, url, made)]
    assert right == ["wss://h.example:443/media-stream"]


def test_an_upgrade_signed_as_https_is_wrong():
    assert not upgrade_ok(TOKEN, "https://h.example", "/media-stream", signed("https://h.example/media-stream", {}))


# --- reports


def test_a_busy_callback_as_it_was_captured():
    form = read_form(
        b"Called=%2B26096&CallerCountry=GB&Direction=outbound-api&Timestamp=Sat%2C%2007%20May%202022%2014%3A30%3A14"
        b"%20%2B0000&CallbackSource=call-progress-events&SipResponseCode=486&SequenceNumber=2&CallSid=CA35c0&To=%2B2609"
        b"&ApiVersion=2010-04-01&CallStatus=busy&Duration=0&From=%2B4474&CallDuration=0&AccountSid=AC95"
    )
    report = status_report(form)
    assert report.call_id == "CA35c0"
    assert report.dedup_key == "CA35c0/2/busy"
    assert report.event == CarrierProgress(
        CarrierStatus.BUSY,
        at=datetime(2022, 5, 7, 14, 30, 14, tzinfo=UTC),
        sequence=2,
        sip_code=486,
        duration_s=0,
    )


def test_a_completed_callback_gives_seconds_not_billed_minutes_and_who_answered():
    report = status_report(
        {
            "CallSid": CALL,
            "CallStatus": "completed",
            "SequenceNumber": "3",
            "Duration": "1",
            "CallDuration": "49",
            "AnsweredBy": "human",
            "ErrorCode": "13224",
            "Timestamp": "Sun, 25 Mar 2018 09:53:19",
        }
    )
    assert report.event == CarrierProgress(
        CarrierStatus.COMPLETED,
        at=datetime(2018, 3, 25, 9, 53, 19, tzinfo=UTC),
        sequence=3,
        error_code="13224",
        duration_s=49,
        answered_by=AnsweredBy.HUMAN,
    )


@pytest.mark.parametrize(("word", "status"), webhooks.STATUSES.items())
def test_every_status_of_twilio_has_one_of_ours(word, status):
    assert status_report({"CallSid": CALL, "CallStatus": word}).event == CarrierProgress(status)
    assert {*webhooks.STATUSES.values()} == {*CarrierStatus}


@pytest.mark.parametrize(
    "form",
    [{}, {"CallSid": CALL}, {"CallSid": CALL, "CallStatus": "exploded"}, {"CallSid": "C A", "CallStatus": "busy"}],
)
def test_a_status_callback_without_call_or_status_is_refused(form):
    with pytest.raises(RemoteProtocolError):
        status_report(form)


def test_odd_numbers_and_moments_are_left_out_not_guessed():
    form = {"CallSid": CALL, "CallStatus": "busy", "SequenceNumber": "²", "CallDuration": "-1", "Timestamp": "soon"}
    report = status_report(form)
    assert report.event == CarrierProgress(CarrierStatus.BUSY)
    assert report.dedup_key == f"{CALL}//busy"


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("human", AnsweredBy.HUMAN),
        ("fax", AnsweredBy.FAX),
        ("unknown", AnsweredBy.UNKNOWN),
        ("machine_start", AnsweredBy.MACHINE),
        ("machine_end_beep", AnsweredBy.MACHINE),
        ("machine_end_silence", AnsweredBy.MACHINE),
        ("machine_end_other", AnsweredBy.MACHINE),
        ("robot", AnsweredBy.UNKNOWN),
        ("", AnsweredBy.UNKNOWN),
    ],
)
def test_who_answered_in_our_words(word, kind):
    assert answered_by(word) is kind
    report = machine_report({"CallSid": CALL, "AnsweredBy": word})
    assert report.event == MachineVerdict(kind)
    assert report.dedup_key == f"{CALL}/amd/{kind}"


def test_a_stream_that_starts_stops_or_breaks():
    def form(event):
        return {"CallSid": CALL, "StreamSid": "MZ1", "StreamEvent": event}

    assert stream_report(form("stream-started"), NOW).event == StreamStarted(NOW)
    assert stream_report(form("stream-stopped"), NOW).event == StreamEnded(NOW)
    assert stream_report(form("stream-error"), NOW).event == StreamEnded(NOW)
    assert stream_report(form("stream-dreams"), NOW) is None
    timed = form("stream-started") | {"Timestamp": "Tue, 24 Nov 2026 09:00:00 +0100"}
    assert stream_report(timed, NOW).event == StreamStarted(datetime(2026, 11, 24, 8, tzinfo=UTC))


def test_why_a_stream_broke():
    broken = {"StreamEvent": "stream-error"}
    assert stream_error({"StreamEvent": "stream-stopped"}) is None
    assert stream_error(broken) == "unknown"
    assert stream_error(broken | {"StreamError": "31924"}) == "31924"
    assert stream_error(broken | {"StreamErrorCode": "31920", "StreamError": "words"}) == "31920"


def test_an_incoming_call_names_our_number_and_maybe_theirs():
    form = {"CallSid": CALL, "AccountSid": "AC1", "To": "+34910000001", "From": "+34600000001"}
    call = incoming_call(form)
    assert (call.call_id, call.account_id, call.called, call.caller) == (CALL, "AC1", "+34910000001", "+34600000001")
    assert "+34" not in repr(call)
    for withheld in ("anonymous", "", "+", "client:x", "+1"):
        assert incoming_call(form | {"From": withheld}).caller is None
    for broken in ({"To": "sip:x"}, {"CallSid": ""}, {"AccountSid": "-"}):
        with pytest.raises(RemoteProtocolError):
            incoming_call(form | broken)


fields = st.sampled_from(
    ["CallSid", "CallStatus", "SequenceNumber", "Timestamp", "AnsweredBy", "StreamEvent", "To", "From", "AccountSid"]
)
texts = st.text(max_size=20) | st.sampled_from(
    ["CA1", "busy", "1", "Thu, 01 Jan 0001 00:00:00 +2359", "Fri, 31 Dec 9999 23:59:59 -2359", "+34600000001"]
)


@given(st.dictionaries(fields, texts), texts)
@example({"CallSid": "CA1", "CallStatus": "busy", "Timestamp": "Thu, 01 Jan 0001 00:00:00 +2359"}, "")
@example({"CallSid": "CA1", "CallStatus": "busy", "Timestamp": "Thu, 01 Jan 99999999999999999 00:00:00"}, "")
def test_any_form_gives_a_report_or_a_refusal(form, signature):
    for read in (status_report, machine_report, lambda f: stream_report(f, NOW), incoming_call, stream_error):
        try:
            read(form)
        except RemoteProtocolError:
            continue
    signature_ok(TOKEN, URL, form, signature, signature)
