"""Why a session was refused or ended, in words for a person, told apart by what mends it (§8).

No sentence repeats what the server says about a key: some servers quote it.
"""

import ssl
from types import MappingProxyType

from websockets.exceptions import ConnectionClosed, InvalidMessage
from websockets.http11 import Response

from agenx_cli.core.signals import ModelFault
from agenx_cli.errors import VoiceError
from agenx_cli.voice.openai.profiles import Profile

RETRY_AFTER_MAX_S = 60.0
CLOSINGS = MappingProxyType(
    {
        1000: "it ended the session",
        1001: "it went away, or the session reached its longest duration",
        1006: "the connection broke off",
        1009: "a message was too big",
        1011: "it had an internal error",
        1012: "it is being restarted",
        1013: "it is overloaded",
        4000: "it refused what we said",
    }
)
KEY_REFUSED = frozenset({"invalid_api_key", "account_deactivated", "ip_not_authorized"})
FIXES = MappingProxyType(
    {
        "insufficient_quota": "add credit to the account, or raise its limit",
        "model_not_found": "choose a model that this account may use (AGENX_MODEL)",
        "invalid_api_key": "set OPENAI_API_KEY to a key that is valid",
        "audio_format": "choose a model that speaks G.711 μ-law (AGENX_MODEL)",
        "beta_api_shape_disabled": "update agenx: this is a fault of ours",
    }
)
PASSING = frozenset({"rate_limit_exceeded", "server_error"})


def from_status(response: Response, profile: Profile, model: str) -> VoiceError:
    """The upgrade was answered with an HTTP status instead."""
    status = response.status_code
    code = str(status)
    if status in (401, 403):
        return VoiceError(
            f"the voice model's provider does not accept the API key (HTTP {status})",
            provider=profile.name,
            code=code,
            credentials=True,
            fix="set OPENAI_API_KEY to a valid key whose project may use the Realtime API",
        )
    if status == 404:
        return VoiceError(
            f"there is no model {model!r} at this address, or the account may not use it (HTTP 404)",
            provider=profile.name,
            code=code,
            fix="check AGENX_MODEL and OPENAI_BASE_URL",
        )
    if status == 429 or status >= 500:
        why = "has too many sessions of this account open" if status == 429 else "is failing"
        return VoiceError(
            f"the voice model {why} (HTTP {status})",
            provider=profile.name,
            code=code,
            retryable=True,
            retry_after=_retry_after(response),
            fix="wait a little, then try again",
        )
    return VoiceError(
        f"the voice model refused the connection (HTTP {status})",
        provider=profile.name,
        code=code,
        fix="check AGENX_MODEL and OPENAI_BASE_URL",
    )


def _retry_after(response: Response) -> float | None:
    """Seconds the server asks us to wait, if it says so in seconds."""
    asked = response.headers.get_all("Retry-After")
    if not asked or not asked[0].isdecimal() or len(asked[0]) > 6:
        return None
    return min(float(asked[0]), RETRY_AFTER_MAX_S)


def from_network(exc: Exception, profile: Profile, host: str) -> VoiceError:
    """No answer to the upgrade at all, or none that is HTTP. ``host`` is safe to show."""
    fix = "check the network and OPENAI_BASE_URL"
    retryable = True
    if isinstance(exc, ssl.SSLCertVerificationError):
        what, retryable = "has a certificate that cannot be trusted", False
    elif isinstance(exc, TimeoutError):
        what = "did not answer in time"
    elif isinstance(exc, OSError):
        what = "cannot be reached"
    elif isinstance(exc, InvalidMessage):
        what = "broke off the connection while it was being opened"
    else:
        what, retryable = "does not speak WebSocket there", False
    return VoiceError(
        f"the voice model at {host} {what}", provider=profile.name, code="network", retryable=retryable, fix=fix
    )


def fault(refused: ModelFault, profile: Profile) -> VoiceError:
    """The server refused our session, in its own words."""
    bad_key = refused.code in KEY_REFUSED
    return VoiceError(
        "the voice model's provider does not accept the API key"
        if bad_key
        else f"the voice model refused the session: {refused.message}",
        provider=profile.name,
        code=refused.code,
        retryable=refused.code in PASSING,
        credentials=bad_key,
        fix=FIXES.get(refused.code or ""),
    )


def closing(exc: ConnectionClosed) -> str:
    """Why the socket closed, in words, with code and the other side's own reason where there is one."""
    if exc.rcvd is None:
        if exc.sent is not None and exc.sent.code == 1009:
            return f"{CLOSINGS[1009]} (1009)"
        return f"{CLOSINGS[1006]} (1006)"
    words = CLOSINGS.get(exc.rcvd.code, "it closed the connection")
    said = f": {exc.rcvd.reason[:120]}" if exc.rcvd.reason else ""
    return f"{words} ({int(exc.rcvd.code)}{said})"
