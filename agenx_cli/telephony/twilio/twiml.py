"""The few TwiML documents that agenx speaks, built with Twilio's own classes (so that values are escaped).

A call's document runs from top to bottom: the opening is said, then ``<Connect><Stream>`` hands the call to our
bridge until *our* side closes the socket (https://www.twilio.com/docs/voice/twiml/connect). Whatever stands after it
is therefore the fallback: an apology and a hang-up, heard only when the bridge let go. A document that travels with
the dial request may have 4,000 characters (error 32018).
"""

import re
from urllib.parse import urlsplit

from twilio.twiml.voice_response import Connect, VoiceResponse

from agenx_cli.errors import LocalProtocolError

MAX_CHARACTERS = 4000
_MAX_PARAMETER = 500

_SAY_VOICES = {
    "en-AU": "Polly.Olivia-Neural",
    "en-GB": "Polly.Amy-Neural",
    "en-US": "Polly.Joanna-Neural",
    "es-ES": "Polly.Lucia-Neural",
    "es-MX": "Polly.Mia-Neural",
    "es-US": "Polly.Lupe-Neural",
}
"""Voices of ``<Say>`` by locale; any other locale gets the carrier's own default for its language."""

# What XML 1.0 cannot carry at all, escaped or not.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def connect_document(
    *,
    opening: str,
    locale: str,
    stream_url: str,
    attempt: str,
    ticket: str,
    apology: str,
    stream_status_url: str | None = None,
) -> str:
    """The document of a call that is answered, outbound or inbound.

    ``opening`` is said first and discloses the AI (nothing is said when it is empty); ``stream_url`` is wss (ws on
    loopback) without a query, as Twilio strips it; ``attempt`` and the single-use ``ticket`` ride as parameters.
    Raises LocalProtocolError when the document would be refused; the opening is the only part of any length.
    """
    _check_stream_url(stream_url)
    response = VoiceResponse()
    _say(response, opening, locale)
    connect = Connect()
    stream = connect.stream(url=stream_url, status_callback=stream_status_url)
    for name, value in (("attempt", attempt), ("ticket", ticket)):
        if not value or len(name) + len(value) >= _MAX_PARAMETER:
            raise LocalProtocolError(f"the stream's parameter {name} must have 1 to {_MAX_PARAMETER} characters")
        stream.parameter(name=name, value=_clean(value))
    response.append(connect)
    _say(response, apology, locale)
    response.hangup()
    return _checked(response, spoken=len(opening))


def hangup_document() -> str:
    """End the call without a word."""
    response = VoiceResponse()
    response.hangup()
    return str(response)


def reject_document(*, busy: bool = False) -> str:
    """Do not answer an inbound call: it is not billed. The caller hears a busy tone or "not in service"."""
    response = VoiceResponse()
    response.reject(reason="busy" if busy else "rejected")
    return str(response)


def empty_document() -> str:
    """Nothing to do: the answer to a webhook that only tells us something."""
    return str(VoiceResponse())


def _say(response: VoiceResponse, text: str, locale: str) -> None:
    words = " ".join(_clean(text).split())
    if words:
        response.say(words, language=locale, voice=_SAY_VOICES.get(locale))


def _clean(text: str) -> str:
    return _NOT_XML.sub(" ", text)


def _check_stream_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"wss", "ws"} or not parts.hostname:
        raise LocalProtocolError("the stream's address must be wss://")
    if parts.query or parts.fragment:
        raise LocalProtocolError("the stream's address must have no query: the carrier strips it (31920)")


def _checked(response: VoiceResponse, *, spoken: int) -> str:
    document = str(response)
    if len(document) > MAX_CHARACTERS:
        over = len(document) - MAX_CHARACTERS
        raise LocalProtocolError(
            f"the call's document has {len(document)} characters; the carrier takes {MAX_CHARACTERS}",
            fix=f"shorten the playbook's opening ({spoken} characters now) by at least {over}",
        )
    return document
