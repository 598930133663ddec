"""Whole calls in virtual time: each persona against the simulated model, every event checked against the SDK."""

import pytest

from agenx_cli.sim.callees import PERSONAS
from tests.sim.talk import ENGLISH, HELLO, OUTPUTS, TOOLS
from tests.sim.virtual_call import VirtualCall

LONG_OPENING = (
    "Hola, buenos días. Soy Clara, asistente de inteligencia artificial de Agenx AI. Le llamo para contarle cómo "
    "podemos automatizar procesos de su empresa. Si no desea más llamadas, dígamelo. ¿Es buen momento?"
)
ENDINGS = {
    "interested": "meeting_booked",
    "interrupts": "meeting_booked",
    "not_interested": "not_interested",
    "do_not_call": "opted_out",
    "voicemail": "voicemail",
}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("persona", [persona for persona in PERSONAS if persona in ENDINGS])
def test_each_persona_has_its_ending_within_its_time(persona, seed):
    call = VirtualCall(persona, seed, opening=LONG_OPENING).run()
    assert call.used[-1] == ("end_call", {"reason": ENDINGS[persona]}), call.lines
    assert call.ended_ms < 13_500
    assert ("opt_out" in [name for name, _ in call.used]) == (persona == "do_not_call")
    assert ("book_meeting" in [name for name, _ in call.used]) == (ENDINGS[persona] == "meeting_booked")


def test_somebody_who_interrupts_finds_a_sentence_long_enough():
    assert sum(VirtualCall("interrupts", seed, opening=LONG_OPENING).run().interrupted > 0 for seed in range(6)) >= 4


def test_a_mailbox_hears_nothing_but_the_opening():
    assert not [line for line in VirtualCall("voicemail", 1).run().lines if line[1] == "assistant"]


def test_nobody_is_answered_by_nobody():
    call = VirtualCall("silent", 0).run()
    assert (call.ended_by, call.used, call.lines) == ("callee", [], [])


@pytest.mark.parametrize("persona", [persona for persona in PERSONAS if persona in ENDINGS])
def test_calls_in_english_end_as_well(persona):
    call = VirtualCall(persona, 2, opening=HELLO, instructions=ENGLISH).run()
    assert call.used[-1] == ("end_call", {"reason": ENDINGS[persona]}), call.lines


def test_renamed_tools_are_used_under_their_new_names():
    tools = {new: {**TOOLS[old], "name": new} for old, new in zip(TOOLS, "abcdefg", strict=True)}
    outputs = {new: OUTPUTS[old] for old, new in zip(TOOLS, "abcdefg", strict=True)}
    call = VirtualCall("interested", 1, tools=tools, outputs=outputs, end_tool="g").run()
    assert [name for name, _ in call.used] == ["a", "b", "g"]


def test_one_lost_frame_in_a_sentence_is_asked_about_not_guessed():
    call = VirtualCall("interested", 3, lose_frame=30).run()
    assert any("no le he entendido" in text for _, who, text in call.lines if who == "assistant")
