"""When ``end_call`` is refused, and the moments between the last word and the hang-up."""

import json
from itertools import product

import pytest

from agenx_cli.core.ending import REASONS, Closing, refusal

RUDE = {
    "speaking": "the callee is speaking; listen first",
    "unsaved": "save the opt-out with its tool first",
    "unmet": "the callee has not spoken yet",
    "abrupt": "say goodbye first, then end the call",
    "pending": "your question is not answered yet; wait for the answer",
}


def asked(reason="goodbye", *, spoke=True, speaks=False, goodbye=True, said="Adiós.", facts=()):
    reason, output = refusal(
        json.dumps({"reason": reason}),
        callee_spoke=spoke,
        callee_speaks=speaks,
        said_goodbye=goodbye,
        last_said=said,
        facts=frozenset(facts),
    )
    return reason, output and json.loads(output)["error"]


def expected(reason, *, spoke, speaks, goodbye, question, saved):
    """The rules once more, from the words of the specification."""
    if reason == "voicemail":
        return None
    if speaks:
        return RUDE["speaking"]
    if reason == "opted_out":
        return None if saved else RUDE["unsaved"]
    if not spoke:
        return RUDE["unmet"]
    if not goodbye:
        return RUDE["abrupt"]
    return RUDE["pending"] if question else None


def test_the_refusal_matrix():
    cases = list(product(REASONS, *[(False, True)] * 5))
    for reason, spoke, speaks, goodbye, question, saved in cases:
        said = "¿Algo más? " if question else "Gracias, adiós. "
        wanted = expected(reason, spoke=spoke, speaks=speaks, goodbye=goodbye, question=question, saved=saved)
        facts = {"opted_out"} if saved else {"meeting_booked"}
        result = asked(reason, spoke=spoke, speaks=speaks, goodbye=goodbye, said=said, facts=facts)
        assert result == (reason, wanted)
    print("refusals", len(cases))


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "{",
        "[]",
        '"goodbye"',
        "null",
        "{}",
        '{"reason": null}',
        '{"reason": "boredom"}',
        '{"reason": ["goodbye"]}',
        "[" * 9999,
    ],
)
def test_arguments_that_give_no_known_reason_are_refused_with_the_list_of_reasons(arguments):
    reason, output = refusal(
        arguments, callee_spoke=True, callee_speaks=False, said_goodbye=True, last_said="", facts=frozenset()
    )
    assert reason == ""
    assert json.loads(output)["error"] == (
        "reason must be one of goodbye, meeting_booked, not_interested, opted_out, callback, voicemail, wrong_person"
    )


def test_the_hang_up_comes_700_ms_after_the_last_mark():
    closing = Closing.begin("goodbye", 1000, 500, may_cancel=True)
    assert not closing.done(1100, proven=False)
    assert not closing.done(1500, proven=True)
    assert not closing.done(2199, proven=True)
    assert closing.done(2200, proven=True)


def test_the_first_proof_counts_even_if_more_is_said():
    closing = Closing.begin("goodbye", 0, 0, may_cancel=True)
    assert not closing.done(100, proven=True)
    assert closing.done(800, proven=False)


def test_without_any_mark_the_deadline_is_the_remaining_audio_2_s_and_the_listening():
    closing = Closing.begin("goodbye", 1000, 500, may_cancel=True)
    assert closing.deadline == 1000 + 500 + 2000 + 700
    assert not closing.done(4199, proven=False)
    assert closing.done(4200, proven=False)


def test_450_unbroken_ms_of_voice_after_the_last_word_stop_the_hang_up():
    closing = Closing.begin("goodbye", 0, 0, may_cancel=True)
    closing.done(0, proven=True)
    assert [closing.spoken_over(voiced=True) for _ in range(23)] == [False] * 22 + [True]
    closing = Closing.begin("goodbye", 0, 0, may_cancel=True)
    closing.done(0, proven=True)
    assert not any(closing.spoken_over(voiced=n != 11) for n in range(34))


def test_voice_before_the_last_word_was_heard_or_at_the_second_time_stops_nothing():
    closing = Closing.begin("goodbye", 0, 900, may_cancel=True)
    assert not any(closing.spoken_over(voiced=True) for _ in range(50))
    closing = Closing.begin("goodbye", 0, 0, may_cancel=False)
    closing.done(0, proven=True)
    assert not any(closing.spoken_over(voiced=True) for _ in range(50))


def test_a_sound_at_the_end_of_the_listening_is_heard_out_but_never_beyond_the_deadline():
    closing = Closing.begin("goodbye", 0, 0, may_cancel=True)
    closing.done(0, proven=True)
    closing.spoken_over(voiced=True)
    assert not closing.done(700, proven=True)
    assert closing.done(2700, proven=True)
    closing.spoken_over(voiced=False)
    assert closing.done(720, proven=True)


def test_a_sound_that_can_stop_nothing_is_not_waited_for():
    closing = Closing.begin("goodbye", 0, 0, may_cancel=False)
    closing.done(0, proven=True)
    closing.spoken_over(voiced=True)
    assert closing.done(700, proven=True)
