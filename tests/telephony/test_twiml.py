from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenx_cli.errors import LocalProtocolError
from agenx_cli.telephony.twilio import twiml

ASKED = {
    "opening": "Hola, soy una asistente de IA de Agenx AI.",
    "locale": "es-ES",
    "stream_url": "wss://h.example/media-stream",
    "attempt": "a1",
    "ticket": "t1",
    "apology": "Disculpe, tenemos un problema técnico.",
}


def document(**changed) -> ET.Element:
    return ET.fromstring(twiml.connect_document(**ASKED | changed))


def test_a_call_says_the_opening_then_connects_then_apologises_and_hangs_up():
    root = document(stream_status_url="https://h.example/twilio/stream/a1")
    assert [verb.tag for verb in root] == ["Say", "Connect", "Say", "Hangup"]
    assert root[0].text == ASKED["opening"]
    assert root[0].attrib == {"language": "es-ES", "voice": "Polly.Lucia-Neural"}
    assert root[1].attrib == {}
    stream = root[1][0]
    assert stream.attrib == {"url": ASKED["stream_url"], "statusCallback": "https://h.example/twilio/stream/a1"}
    assert [(p.tag, p.attrib["name"], p.attrib["value"]) for p in stream] == [
        ("Parameter", "attempt", "a1"),
        ("Parameter", "ticket", "t1"),
    ]


def test_without_an_opening_nothing_is_said_first():
    assert [verb.tag for verb in document(opening=" \n ")] == ["Connect", "Say", "Hangup"]


def test_a_locale_without_a_known_voice_leaves_the_choice_to_the_carrier():
    assert document(locale="pl-PL")[0].attrib == {"language": "pl-PL"}


def test_an_opening_that_does_not_fit_says_by_how_much():
    with pytest.raises(LocalProtocolError) as caught:
        document(opening="a" * 4000)
    assert "4000" in caught.value.message
    assert "4000 characters now" in caught.value.fix
    over = int(caught.value.fix.rsplit(" ", 1)[1])
    text = twiml.connect_document(**ASKED | {"opening": "a" * (4000 - over)})
    assert len(text) == twiml.MAX_CHARACTERS


@pytest.mark.parametrize(
    "changed",
    [
        {"stream_url": "https://h.example/media-stream"},
        {"stream_url": "wss:///media-stream"},
        {"stream_url": "wss://h.example/media-stream?ticket=1"},
        {"stream_url": "wss://h.example/media-stream#x"},
        {"ticket": ""},
        {"ticket": "t" * 494},
        {"attempt": "a" * 500},
    ],
)
def test_what_the_carrier_would_refuse_is_our_own_mistake(changed):
    with pytest.raises(LocalProtocolError):
        document(**changed)


def test_the_small_documents():
    assert twiml.hangup_document().endswith("<Response><Hangup /></Response>")
    assert '<Reject reason="busy" />' in twiml.reject_document(busy=True)
    assert '<Reject reason="rejected" />' in twiml.reject_document()
    assert twiml.empty_document().endswith("<Response />")


@given(st.text(max_size=200))
def test_whatever_a_lead_file_says_stays_text(opening):
    root = document(opening=opening, attempt="a")
    assert root[-3].tag == "Connect"
    said = [verb.text for verb in root if verb.tag == "Say"]
    assert said[-1] == ASKED["apology"]
    printable = " ".join(twiml._clean(opening).split())
    assert said[:-1] == ([printable] if printable else [])
