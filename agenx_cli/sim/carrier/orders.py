"""What a customer asks for in ``POST …/Calls.json``, checked as Twilio checks it."""

from dataclasses import dataclass

from agenx_cli.sim.carrier.amd import Detection
from agenx_cli.sim.carrier.forms import E164, Params
from agenx_cli.sim.carrier.records import Account
from agenx_cli.sim.carrier.refusals import Refusal

MAX_TWIML = 4_000
EVENTS = ("initiated", "ringing", "answered", "completed")
METHODS = ("GET", "POST")
MAX_CALL_S = 86_400

CREATE = frozenset(
    {
        *("ApplicationSid", "AsyncAmd", "AsyncAmdStatusCallback", "AsyncAmdStatusCallbackMethod", "Byoc", "CallReason"),
        *("CallToken", "CallerId", "ClientNotificationUrl", "FallbackMethod", "FallbackUrl", "From"),
        *("MachineDetection", "MachineDetectionSilenceTimeout", "MachineDetectionSpeechEndThreshold"),
        *("MachineDetectionSpeechThreshold", "MachineDetectionTimeout", "Method", "Record", "RecordingChannels"),
        *("RecordingStatusCallback", "RecordingStatusCallbackMethod", "RecordingTrack", "SendDigits"),
        *("SipAuthPassword", "SipAuthUsername", "StatusCallback", "StatusCallbackMethod", "TimeLimit", "Timeout"),
        *("To", "Trim", "Twiml", "Url"),
    }
)
CREATE_REPEATED = frozenset({"RecordingStatusCallbackEvent", "StatusCallbackEvent"})
_NOT_SIMULATED = (
    *("ApplicationSid", "Byoc", "CallToken", "ClientNotificationUrl", "Record", "RecordingStatusCallback"),
    *("SipAuthPassword", "SipAuthUsername"),
)
WARN_NO_AMD_URL = 21262


@dataclass(frozen=True, slots=True)
class Page:
    """Where a document comes from."""

    url: str
    method: str


@dataclass(frozen=True, slots=True)
class Report:
    """Where reports about a call go, and which."""

    url: str
    method: str
    events: frozenset[str]


@dataclass(frozen=True, slots=True)
class Order:
    """One call to place. Seconds."""

    to: str
    from_: str
    twiml: str
    page: Page | None
    fallback: Page | None
    report: Report | None
    timeout_s: int
    time_limit_s: int
    detection: Detection | None
    warnings: tuple[int, ...] = ()


def read_order(body: str, account: Account) -> Order:
    """Check a create request. Raises Refusal."""
    params = Params(body, known=CREATE, repeated=CREATE_REPEATED)
    for name in _NOT_SIMULATED:
        if params.text(name) not in ("", "false"):
            raise Refusal(20001, f"Parameter {name} is not available on this simulated account")
    detection = _detection(params)
    page = read_page(params, "Url", "Method")
    return Order(
        to=_callee(params),
        from_=_caller(params, account),
        twiml=read_twiml(params, page),
        page=page,
        fallback=read_page(params, "FallbackUrl", "FallbackMethod"),
        report=_report(params),
        timeout_s=params.whole("Timeout", 60, 1, 600),
        time_limit_s=params.whole("TimeLimit", 14_400, 1, MAX_CALL_S),
        detection=detection,
        warnings=(WARN_NO_AMD_URL,) if detection and detection.background and not detection.url else (),
    )


def read_page(params: Params, url: str, method: str) -> Page | None:
    """A URL with its method. Raises Refusal."""
    verb = params.choice(method, METHODS, "POST")
    address = params.url(url, code=21205)
    return Page(address, verb) if address else None


def read_twiml(params: Params, page: Page | None, *, needed: bool = True) -> str:
    """The inline document; none when there is a URL, which wins. Raises Refusal."""
    twiml = params.text("Twiml")
    if len(twiml) > MAX_TWIML:
        raise Refusal(32018)
    if needed and not twiml and page is None:
        raise Refusal(21205)
    return "" if page else twiml


def _callee(params: Params) -> str:
    to = params.text("To")
    if not to:
        raise Refusal(21201)
    if not E164.fullmatch(to):
        raise Refusal(21211)
    return to


def _caller(params: Params, account: Account) -> str:
    from_ = params.text("CallerId") or params.text("From")
    if not params.text("From"):
        raise Refusal(21213)
    if not E164.fullmatch(from_):
        raise Refusal(21212)
    number = account.number(from_)
    if number is None or not number.voice:
        raise Refusal(21210)
    return from_


def _report(params: Params) -> Report | None:
    events = params.all("StatusCallbackEvent")
    if wrong := [event for event in events if event not in EVENTS]:
        raise Refusal(21626, f"Invalid StatusCallbackEvent value {wrong[0]}")
    method = params.choice("StatusCallbackMethod", METHODS, "POST")
    url = params.url("StatusCallback", code=21609)
    return Report(url, method, frozenset(events or ("completed",))) if url else None


def _detection(params: Params) -> Detection | None:
    kind = params.choice("MachineDetection", ("Enable", "DetectMessageEnd"), "")
    background = params.flag("AsyncAmd")
    method = params.choice("AsyncAmdStatusCallbackMethod", METHODS, "POST")
    url = params.url("AsyncAmdStatusCallback", code=21609)
    timeout_s = params.whole("MachineDetectionTimeout", 30, 3, 59)
    params.whole("MachineDetectionSpeechThreshold", 2_400, 1_000, 6_000)
    params.whole("MachineDetectionSpeechEndThreshold", 1_200, 500, 5_000)
    params.whole("MachineDetectionSilenceTimeout", 5_000, 2_000, 10_000)
    if not kind or params.text("SendDigits"):
        return None
    return Detection(kind == "DetectMessageEnd", background, timeout_s, url, method)
