"""What the assistant said, and what of it was heard."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenx_cli.core.signals import Line
from agenx_cli.core.spoken import Spoken, heard_text, questions_at_end


def said(text, ms=1000, *, at_ms=500):
    spoken = Spoken()
    spoken.begin("u", "r", at_ms).received = ms * 8
    assert spoken.write("u", text) is None
    return spoken


def test_an_utterance_begins_once():
    spoken = Spoken()
    first = spoken.begin("u", "r", 5)
    assert spoken.begin("u", "other", 900) is first
    assert spoken["u"] is first
    assert (first.reply_id, first.at_ms) == ("r", 5)


def test_the_utterances_of_a_reply_come_in_the_order_in_which_they_began():
    spoken = Spoken()
    for key, reply in (("b", "r1"), ("x", "r2"), ("a", "r1")):
        spoken.begin(key, reply, 0)
    assert list(spoken.of_reply("r1")) == ["b", "a"]
    assert spoken.of_reply("r3") == {}


def test_a_line_is_settled_once():
    spoken = said(" Muy buenas tardes. ")
    assert spoken.open() == ["u"]
    assert spoken.settle("u") == Line("u", "assistant", "Muy buenas tardes.", 500, 1000)
    assert spoken.settle("u", 10) is None
    assert spoken.open() == []


def test_a_line_of_which_a_part_was_heard_says_how_much():
    assert said("uno dos tres cuatro").settle("u", 500) == Line("u", "assistant", "uno dos —", 500, 500)


def test_what_was_never_heard_is_no_line_and_stays_none():
    spoken = said("nunca")
    assert spoken.settle("u", 0) is None
    assert spoken.open() == []
    assert spoken.settle("u") is None


def test_text_that_comes_after_the_line_was_settled_makes_it_anew():
    spoken = said("Muy")
    spoken.settle("u")
    assert spoken.write("u", " buenas.") == Line("u", "assistant", "Muy buenas.", 500, 1000)


def test_what_never_had_a_sound_can_be_forgotten():
    spoken = said("dicho")
    spoken.begin("mute", "r", 0)
    spoken.begin("other", "r2", 0)
    assert spoken.is_silent("mute")
    assert spoken.is_silent("never begun")
    assert not spoken.is_silent("u")
    assert spoken.drop_silent("r") == ["mute"]
    assert spoken.open() == ["u", "other"]


@pytest.mark.parametrize(
    ("text", "heard", "total", "kept"),
    [
        ("uno dos tres", 1000, 1000, "uno dos tres"),
        ("uno dos tres ", 1001, 1000, "uno dos tres"),
        ("uno dos tres", 999, 1000, "uno dos"),
        ("uno dos tres", 500, 1000, "uno"),
        ("uno dos tres", 100, 1000, ""),
        ("uno dos tres", 0, 1000, ""),
        ("text without a sound", 0, 0, ""),
    ],
)
def test_heard_text_is_cut_at_the_previous_word(text, heard, total, kept):
    assert heard_text(text, heard, total) == kept


@given(st.text("ab ", max_size=60), st.integers(0, 5000), st.integers(1, 5000))
def test_what_was_heard_is_the_beginning_of_what_was_said_and_never_a_half_word(text, heard, total):
    kept = heard_text(text, heard, total)
    assert text.strip().startswith(kept)
    assert kept.split() == text.split()[: len(kept.split())]


@pytest.mark.parametrize(
    ("text", "questions"),
    [
        ("", ""),
        ("Adiós.", ""),
        ("¿Cómo? Bien.", ""),
        ("¿Cómo? Bien", ""),
        ("¿Le parece bien?", "¿Le parece bien?"),
        ("Soy Clara. ¿Le parece bien? ", "¿Le parece bien? "),
        ("Soy Clara! ¿Hoy? ¿O mañana?", "¿Hoy? ¿O mañana?"),
        ("Hmm… ¿sí?!?", "¿sí?!?"),
    ],
)
def test_the_questions_at_the_end_of_a_text(text, questions):
    assert questions_at_end(text) == len(questions)


def test_how_long_before_the_end_a_question_began():
    assert Spoken().question_ms() == 0
    assert said("").question_ms() == 0
    assert said("¿Qué tal?", 800).question_ms() == 800
    assert said("12345678. ¿234567?", 1800).question_ms() == 800
    spoken = said("¿Qué tal?")
    spoken.begin("v", "r", 0).received = 800
    spoken.write("v", "Bien.")
    assert spoken.question_ms() == 0


@given(st.text("?.!a ¿", max_size=80))
def test_a_question_is_never_longer_than_the_text(text):
    assert 0 <= questions_at_end(text) <= len(text)
    assert (questions_at_end(text) > 0) == text.rstrip().endswith("?")
