"""Outbound calls over the command line: every persona, the network's answers, and the commands beside a server."""

import json
import struct
import wave

import pytest

from tests.acceptance import runs
from tests.acceptance.world import PERSONAS, RIGHT

pytestmark = [pytest.mark.realtime, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def calls(captured):
    """What our store has of each number."""
    return json.loads((captured.folder / "calls.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def ledger(captured):
    return json.loads((captured.folder / "ledger.json").read_text(encoding="utf-8"))["calls"]


@pytest.mark.parametrize("persona", PERSONAS)
def test_a_call_to_each_persona_ends_as_it_should(captured, ledger, persona):
    call = captured[f"spanish-{persona}"].document
    (carrier,) = (record for record in ledger if record["sid"] == call["carrier_call_id"])
    assert (carrier["persona"], call["disposition"]) == (persona, RIGHT[persona])
    assert call["transcript"][0]["speaker"] == "assistant"
    assert "inteligencia artificial" in call["transcript"][0]["text"]
    speakers = {line["speaker"] for line in call["transcript"]}
    if persona not in ("silent", "voicemail"):
        assert "callee" in speakers
    spoke = persona != "voicemail"
    assert (call["cost_usd"]["voice_model"] > 0) == spoke, "a mailbox is left before the model has said a word"
    assert bool(call["meetings"]) == (RIGHT[persona] == "meeting_booked")
    for meeting in call["meetings"]:
        assert (captured.folder / "home" / "meetings" / f"{meeting['id']}.ics").exists()
    if persona == "interrupts":
        assert call["barge_ins"] >= 1


@pytest.mark.parametrize("persona", PERSONAS)
def test_in_english_too(calls, ledger, persona):
    call = calls[runs.ENGLISH[persona]]
    (carrier,) = (record for record in ledger if record["sid"] == call["call"])
    assert (carrier["persona"], call["disposition"]) == (persona, RIGHT[persona])
    assert bool(call["meetings"]) == (RIGHT[persona] == "meeting_booked")
    assert call["suppressed"] == (persona == "do_not_call")
    ours = " ".join(text for speaker, text in call["transcript"] if speaker == "assistant")
    assert "artificial intelligence" in ours
    assert not set("¿¡ñ") & set(ours)
    if persona in ("interested", "interrupts"):
        assert "it is booked for" in ours


def test_a_command_without_a_server_is_its_own_worker(captured, calls):
    call = captured["alone"].document
    assert call["disposition"] == "meeting_booked"
    assert calls[runs.ALONE]["home"] == "home-alone"


def test_a_command_beside_a_server_leaves_the_call_to_it(captured, calls):
    assert {calls[number]["home"] for number in runs.SPANISH.values()} == {"home"}
    told = captured["serve"].out
    assert captured["detached"].document["attempt"] in told
    assert calls[runs.DETACHED]["disposition"] == "meeting_booked"


def test_a_second_server_on_the_same_data_says_who_is_the_first(captured):
    second = captured["second"]
    assert second.code == 1
    assert "agenx serve, process" in second.err
    assert "fix:" in second.err


def test_what_the_network_answers_is_an_outcome_and_no_failure(captured, calls):
    assert captured["busy"].document["disposition"] == "busy"
    assert calls[runs.NO_ANSWER]["disposition"] == "no_answer"
    assert calls[runs.FAILED]["disposition"] == "failed"


def test_a_suppressed_number_is_never_rung(captured, ledger):
    refused = captured["refused"]
    assert refused.code == 5
    assert "suppression list" in refused.err
    assert runs.SUPPRESSED not in refused.err
    assert runs.SUPPRESSED not in {record["to"] for record in ledger}


def test_a_dry_run_opens_no_socket_and_shows_neither_a_secret_nor_a_number(captured):
    dry, env = captured["dry"], json.loads((captured.folder / "env.json").read_text(encoding="utf-8"))
    shown = dry.document
    assert dict(shown["request"]["form"])["MachineDetection"] == "DetectMessageEnd"
    assert "<Connect" in shown["twiml"]
    assert "Agenx AI" in shown["instructions"]
    for secret in ("TWILIO_AUTH_TOKEN", "OPENAI_API_KEY", "TWILIO_PHONE_NUMBER", "TWILIO_ACCOUNT_SID"):
        assert env[secret] not in dry.out + dry.err
    assert runs.ALONE not in dry.out + dry.err
    assert not (captured.folder / "home-dry").exists()


def test_a_server_that_is_interrupted_lets_its_calls_finish_and_reports(captured, ledger):
    serve = captured["serve"]
    assert serve.code == 0, "drained is done"
    told = {call["carrier_call_id"]: call["disposition"] for call in json.loads(serve.out)["calls"]}
    inbound = [record for record in ledger if record["direction"] == "inbound"]
    assert [told[record["sid"]] for record in inbound] == [RIGHT[record["persona"]] for record in inbound]


def test_a_rehearsal_can_be_listened_to(twenty):
    call = twenty["listen"].document
    with wave.open(str(twenty.folder / "sound" / "call.wav")) as sound:
        assert (sound.getnchannels(), sound.getframerate(), sound.getsampwidth()) == (2, 8000, 2)
        seconds = sound.getnframes() / 8000
        samples = struct.unpack(f"<{sound.getnframes() * 2}h", sound.readframes(sound.getnframes()))
    print(f"a call of {call['duration_s']} s is a recording of {seconds:.1f} s")
    assert 0.5 * call["duration_s"] < seconds < call["duration_s"] + 1
    for side in (samples[::2], samples[1::2]):
        assert sum(abs(sample) > 500 for sample in side) > 8000 * 0.4
    assert call["disposition"] == "meeting_booked"
    assert (twenty.folder / "listen" / "simulation" / "meetings" / f"{call['meetings'][0]['id']}.ics").exists()
