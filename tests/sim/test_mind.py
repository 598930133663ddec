"""The mind: a whole call in text, and what changes when its instructions, its tools or their answers do."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenx_cli.sim.mind import Memory, View
from agenx_cli.sim.mind.briefing import read
from agenx_cli.sim.mind.think import think
from tests.sim.talk import ENGLISH, HELLO, SLOTS, SPANISH, TEXT, TOOLS, Talk, tool


def to_the_read_back(talk: Talk) -> str:
    talk.hear("Sí, dígame.")
    talk.hear("Sí, me interesa.")
    return talk.hear("El martes 24 de noviembre a las 10:00.")


def test_a_call_from_the_pitch_to_the_booked_meeting():
    talk = Talk()
    assert len(talk.hear("Sí, dígame.")) >= 180
    offer = talk.hear("Sí, me interesa.")
    assert "martes 24 de noviembre a las 10:00 o el miércoles 25 de noviembre a las 11:30" in offer
    assert talk.hear("El miércoles 25 de noviembre a las 11:30.").endswith("las 11:30. ¿Lo confirmo?")
    assert "book_meeting" not in talk.names
    talk.outputs["book_meeting"] = {"status": "booked", "start": "2026-11-25T11:30:00+01:00"}
    last = talk.hear("Sí, perfecto.")
    assert "miércoles 25 de noviembre a las 11:30" in last
    assert "adiós" in last
    assert "?" not in last
    assert talk.used[1] == ("book_meeting", {"start": "2026-11-25T11:30:00+01:00", "confirmed": True})
    assert (talk.names, talk.ended) == (["check_availability", "book_meeting", "end_call"], "meeting_booked")


def test_a_renamed_tool_is_called_by_the_name_it_carries():
    talk = Talk().rename("check_availability", "herramienta_1").rename("book_meeting", "herramienta_2")
    to_the_read_back(talk)
    talk.hear("Sí.")
    assert talk.names == ["herramienta_1", "herramienta_2", "end_call"]


def test_an_empty_calendar_is_told_and_a_callback_offered():
    talk = Talk()
    talk.outputs["check_availability"] = {"slots": [], "time_zone": "Europe/Madrid"}
    talk.hear("Sí, dígame.")
    assert (
        talk.hear("Me interesa.")
        == "Ahora mismo no veo huecos libres. ¿Le llamamos el martes 24 de noviembre a las 10:00?"
    )
    assert "le llamamos el martes 24" in talk.hear("Sí, de acuerdo.")
    assert talk.used[1] == ("schedule_callback", {"at": "2026-11-24T10:00:00+01:00"})
    assert (talk.ended, "book_meeting" in talk.names) == ("callback", False)


def test_an_empty_calendar_without_a_callback_tool_ends_in_a_promise_to_write():
    talk = Talk().without("schedule_callback")
    talk.outputs["check_availability"] = {"slots": []}
    talk.hear("Sí, dígame.")
    assert "le escribirá" in talk.hear("Me interesa.")
    assert talk.ended is not None


def test_english_instructions_make_an_english_call():
    talk = Talk(ENGLISH, memories=[Memory("assistant", HELLO)])
    assert "I'm calling to offer the services of Agenx AI" in talk.hear("Yes, go ahead.")
    assert (
        talk.hear("Yes, sounds good.")
        == "Would Tuesday 24 November at 10:00 or Wednesday 25 November at 11:30 suit you?"
    )
    assert talk.hear("Tuesday at 10:00, please.") == "So that's Tuesday 24 November at 10:00. Shall I book it?"
    assert "booked for Tuesday 24 November at 10:00" in talk.hear("Yes, that's right.")
    assert talk.ended == "meeting_booked"


def test_without_a_booking_tool_interest_is_recorded_and_nothing_is_booked():
    talk = Talk().without("book_meeting")
    talk.hear("Sí, dígame.")
    last = talk.hear("Sí, me interesa.")
    assert "un compañero le llamará" in last
    assert "reserv" not in last
    assert (talk.names, talk.ended) == (["record_answer", "end_call"], "callback")
    assert talk.used[0][1] == {"field": "proceso", "value": "Sí, me interesa."}


def test_without_booking_or_recording_a_colleague_will_call():
    talk = Talk().without("book_meeting", "record_answer")
    talk.hear("Sí, dígame.")
    assert "compañero le llamará" in talk.hear("Sí, me interesa.")
    assert talk.names == ["end_call"]


@pytest.mark.parametrize(
    ("words", "tool_first", "reason"),
    [
        ("No me interesa, gracias.", "end_call", "not_interested"),
        ("No, gracias.", "end_call", "not_interested"),
        ("No me vuelvan a llamar.", "opt_out", "opted_out"),
        ("Don't call me again.", "opt_out", "opted_out"),
        ("Se ha equivocado de número.", "end_call", "wrong_person"),
        ("Adiós.", "end_call", "goodbye"),
    ],
)
def test_whoever_wants_no_call_gets_its_end(words, tool_first, reason):
    talk = Talk()
    said = talk.hear(words)
    assert talk.names[0] == tool_first
    assert talk.ended == reason
    assert "adiós" in said.lower()


def test_an_opt_out_is_confirmed_only_after_it_was_saved():
    talk = Talk()
    talk.memories.append(Memory("callee", "No me vuelvan a llamar."))
    first = talk.once()
    assert (first.say, talk.names) == ("", ["opt_out"])
    assert "no volveremos a llamarle" in talk.go()
    assert talk.ended == "opted_out"


def test_an_opt_out_that_cannot_be_saved_is_not_claimed():
    talk = Talk()
    talk.outputs["opt_out"] = {"error": "the database is locked"}
    said = talk.hear("No me llamen más.")
    assert "no volveremos" not in said
    assert "no he podido" in said


def test_an_opt_out_without_a_tool_is_not_claimed_either():
    assert "no volveremos" not in Talk().without("opt_out").hear("Quíteme de su lista.")


@pytest.mark.parametrize(
    "greeting",
    [
        "Ha llamado al buzón de voz de Ana. Deje su mensaje después de la señal.",
        "You have reached Bob. Please leave a message after the tone.",
    ],
)
@pytest.mark.parametrize("understood", [True, False])
def test_a_mailbox_is_left_without_a_word(greeting, understood):
    talk = Talk()
    assert talk.hear(greeting, understood=understood) == ""
    assert (talk.names, talk.ended) == (["end_call"], "voicemail")


@pytest.mark.parametrize(
    "question", ["¿Es usted un robot?", "¿Hablo con una máquina?", "¿Estoy hablando con una persona?"]
)
def test_it_says_that_it_is_an_artificial_intelligence(question):
    said = Talk().hear(question)
    assert said.startswith("Sí, soy una inteligencia artificial.")


def test_in_english_too():
    talk = Talk(ENGLISH, memories=[Memory("assistant", HELLO)])
    assert talk.hear("Are you a real person?").startswith("Yes, I am an artificial intelligence.")


@pytest.mark.parametrize("text", ["", "Sí me gustaría que el"])
def test_what_was_not_understood_is_asked_again(text):
    talk = Talk()
    assert talk.hear("xyz" if text else "", understood=False) == "Perdone, no le he entendido bien. ¿Puede repetirlo?"
    assert not talk.used


def test_a_question_asked_again_keeps_what_was_pending():
    talk = Talk()
    to_the_read_back(talk)
    talk.hear("", understood=False)
    talk.hear("Sí.")
    assert talk.names == ["check_availability", "book_meeting", "end_call"]


def test_a_callee_who_did_not_hear_hears_it_again():
    talk = Talk()
    read_back = to_the_read_back(talk)
    assert talk.hear("¿Perdón? No le he oído bien.") == read_back


def test_who_asks_to_repeat_but_names_a_time_has_chosen():
    talk = Talk()
    talk.hear("Sí, dígame.")
    talk.hear("Me interesa.")
    assert "¿Lo confirmo?" in talk.hear("¿Me repite las horas? Me viene bien el martes 24 de noviembre a las 10:00.")


def test_a_read_back_that_is_denied_brings_other_times():
    talk = Talk()
    to_the_read_back(talk)
    assert "jueves 26 de noviembre" in talk.hear("No, a esa hora no puedo.")
    assert "book_meeting" not in talk.names


def test_a_time_that_was_not_offered_is_taken_when_it_is_free():
    talk = Talk()
    talk.hear("Sí, dígame.")
    talk.hear("Me interesa.")
    assert talk.hear("Mejor el jueves a las 16:00.") == "Entonces el jueves 26 de noviembre a las 16:00. ¿Lo confirmo?"


def test_who_asks_for_a_repetition_and_then_chooses_has_chosen():
    talk = Talk()
    talk.hear("Sí, dígame.")
    talk.hear("Me interesa.")
    said = talk.hear("Perdone, ¿me repite los días y las horas? La primera, por favor.")
    assert said == f"Entonces el {SLOTS[0]['spoken']}. ¿Lo confirmo?"


@pytest.mark.parametrize(
    ("answer", "slot"),
    [
        ("El primero.", SLOTS[0]),
        ("La segunda, por favor.", SLOTS[2]),
        ("El martes me viene bien.", SLOTS[0]),
        ("A las once y media.", SLOTS[2]),
        ("El 25.", SLOTS[2]),
        ("Me da igual, cualquiera.", SLOTS[0]),
    ],
)
def test_ways_to_choose(answer, slot):
    talk = Talk()
    talk.hear("Sí, dígame.")
    talk.hear("Me interesa.")
    assert slot["spoken"] in talk.hear(answer)


def test_a_taken_slot_brings_the_alternatives():
    talk = Talk()
    to_the_read_back(talk)
    talk.outputs["book_meeting"] = {"error": "that time was just taken", "slots": SLOTS[2:]}
    said = talk.hear("Sí.")
    assert "queda reservada" not in said
    assert "jueves 26 de noviembre" in said
    talk.outputs["book_meeting"] = {"status": "booked", "start": "2026-11-26T16:00:00+01:00"}
    talk.hear("El jueves.")
    assert "jueves 26 de noviembre a las 16:00" in talk.hear("Sí, confirmo.")


def test_broken_arguments_are_corrected_once():
    talk = Talk()
    to_the_read_back(talk)
    talk.outputs["book_meeting"] = [
        {"error": "the arguments are not valid JSON"},
        {"status": "booked", "start": "2026-11-24T10:00:00+01:00"},
    ]
    assert "queda reservada" in talk.hear("Sí.")
    assert talk.names == ["check_availability", "book_meeting", "book_meeting", "end_call"]


def test_a_booking_that_keeps_failing_is_never_claimed():
    talk = Talk()
    to_the_read_back(talk)
    talk.outputs["book_meeting"] = {"error": "invalid argument"}
    said = talk.hear("Sí.")
    assert "no he podido reservarla" in said
    assert talk.names.count("book_meeting") == 2
    assert talk.ended == "goodbye"


def test_a_callback_is_read_back_and_scheduled():
    talk = Talk()
    assert (
        talk.hear("Ahora no puedo, llámeme mañana a las 12:00.")
        == "¿Le llamamos el martes 24 de noviembre a las 12:00?"
    )
    talk.hear("Sí, perfecto.")
    assert talk.used[0] == ("schedule_callback", {"at": "2026-11-24T12:00:00+01:00"})
    assert talk.ended == "callback"


def test_an_address_that_the_tool_requires_is_asked_for():
    talk = Talk()
    schema = TOOLS["book_meeting"]
    talk.tools["book_meeting"] = tool(
        "book_meeting", schema["description"], ("start", "confirmed", "email"), **schema["parameters"]["properties"]
    )
    to_the_read_back(talk)
    assert "correo" in talk.hear("Sí.")
    talk.hear("ana arroba ejemplo punto com")
    assert talk.used[1][1]["email"] == "ana@ejemplo.com"


def test_a_refused_end_of_the_call_brings_a_goodbye():
    talk = Talk()
    talk.outputs["end_call"] = [{"error": "say goodbye first, then end the call"}, {"status": "ending"}]
    assert "Adiós" in talk.hear("Adiós.")
    assert talk.names == ["end_call", "end_call"]


@pytest.mark.parametrize(
    ("instructions", "said"),
    [
        ("Pregunta en una frase corta si sigue ahí, en español.", "¿Sigue ahí?"),
        ("In the language of the conversation, ask in one short sentence whether they are still there.", "¿Sigue ahí?"),
        ("In English, ask whether they are still there.", "Are you still there?"),
        ("Despídete en una frase corta, porque no hay tiempo. Idioma: español", "Gracias por su tiempo. Adiós."),
        ("Say goodbye in one short sentence because the callee does not answer.", "Gracias por su tiempo. Adiós."),
        ("Say exactly: <opening>Hola, soy Clara.</opening>", "Hola, soy Clara."),
    ],
)
def test_instructions_of_a_reply_are_followed(instructions, said):
    talk = Talk()
    talk.memories.append(Memory("callee", "Hola."))
    assert talk.go(instructions, "none") == said
    assert not talk.used


def test_no_tool_is_called_when_none_may_be():
    talk = Talk()
    talk.memories.append(Memory("callee", "No me interesa."))
    assert not talk.once(tool_choice="none").uses


def test_it_speaks_first_when_nobody_has():
    talk = Talk(memories=[])
    assert (
        talk.go()
        == "Hola, soy Clara, asistente de inteligencia artificial de Agenx AI. ¿Le interesa una reunión breve?"
    )


def test_what_the_instructions_tell():
    briefing = read(
        "Company: Acme Labs. Your name is Bob. Today is 2026-11-24 09:30. Zone America/New_York. Speak English."
    )
    assert (briefing.company, briefing.name, briefing.language) == ("Acme Labs", "Bob", "en")
    assert briefing.now is not None
    assert briefing.now.isoformat() == "2026-11-24T09:30:00-05:00"


def test_a_callee_who_speaks_after_the_booking_gets_a_goodbye_not_a_second_booking():
    talk = Talk()
    to_the_read_back(talk)
    talk.hear("Sí.")
    assert "Adiós" in talk.hear("Muchas gracias, hasta luego.")
    assert talk.names.count("book_meeting") == 1


def test_most_sentences_are_short():
    talk = Talk()
    talk.hear("Sí, dígame.")
    said = [talk.hear("Me interesa."), talk.hear("El primero."), talk.hear("Sí.")]
    assert max(map(len, said)) <= 100


def test_a_tool_without_a_purpose_is_never_called():
    talk = Talk(tools={"zz": tool("zz", "Xyzzy.", ("a",), a=TEXT)})
    talk.hear("Sí, dígame.")
    talk.hear("Me interesa.")
    assert not talk.used


@pytest.mark.parametrize(
    ("words", "language", "part"),
    [
        ("¿De qué empresa me llaman?", SPANISH, "asistente de inteligencia artificial de Agenx AI"),
        ("¿Cuánto cuesta?", SPANISH, "en la reunión"),
        ("¿De dónde tienen mi teléfono?", SPANISH, "No tengo ese dato"),
        ("How much is it?", ENGLISH, "in the meeting"),
    ],
)
def test_questions_about_us_are_answered_and_the_talk_goes_on(words, language, part):
    said = Talk(language).hear(words)
    assert part in said
    assert said.endswith("?")


def test_whoever_has_no_time_says_when():
    talk = Talk()
    assert talk.hear("Ahora mismo no puedo, estoy reunido.") == "¿Qué día y a qué hora le llamamos?"
    assert talk.hear("El jueves a las cuatro.").startswith("¿Le llamamos el jueves 26 de noviembre")
    talk.hear("No, gracias.")
    assert talk.ended == "not_interested"


def test_a_callback_that_cannot_be_written_down_is_not_promised():
    talk = Talk()
    talk.outputs["schedule_callback"] = {"error": "the calendar is closed"}
    talk.hear("Llámeme mañana a las 12:00.")
    said = talk.hear("Sí.")
    assert "no he podido" in said


def test_without_a_day_in_the_instructions_no_moment_is_invented():
    talk = Talk("Eres Clara, asistente de la empresa Agenx AI. Idioma: español.")
    talk.hear("Llámeme mañana a las 12:00.")
    assert "schedule_callback" not in talk.names


def test_a_booked_meeting_is_cancelled_when_asked():
    talk = Talk()
    to_the_read_back(talk)
    talk.hear("Sí.")
    talk.ended = None
    assert "cancelada" in talk.hear("No, espere, cancele la reunión, por favor.")
    assert "cancel_meeting" in talk.names


def test_a_calendar_that_fails_is_owned_up_to():
    talk = Talk()
    talk.outputs["check_availability"] = {"error": "the calendar does not answer"}
    talk.hear("Sí, dígame.")
    assert talk.hear("Me interesa.").startswith("Perdone, no consigo ver la agenda.")


def test_a_tool_that_nobody_has_is_tried_again_under_its_right_name():
    talk = Talk()
    to_the_read_back(talk)
    talk.memories += [
        Memory("callee", "Sí."),
        Memory("call", call_id="x", name="lookup_the_weather", arguments="{}"),
        Memory("output", '{"error": "unknown tool"}', call_id="x"),
    ]
    talk.go()
    assert talk.names == ["check_availability", "book_meeting", "end_call"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.just("2026-13-45T99:99"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["slots", "start", "error", "spoken", "properties", "required"]), inner)
    ),
    max_leaves=10,
)
WORDS = st.sampled_from(["Sí", "no", "me interesa", "el martes a las 25:99", "mañana", "¿perdón?", "", "99"]) | st.text(
    max_size=30
)
MEMORIES = st.lists(
    st.builds(Memory, st.sampled_from(["callee", "assistant", "system"]), WORDS, st.booleans())
    | st.builds(Memory, st.just("call"), call_id=st.just("c"), name=st.sampled_from(list(TOOLS)))
    | st.builds(Memory, st.just("output"), JSON.map(json.dumps) | st.text(), call_id=st.just("c")),
    max_size=6,
)
SCHEMAS = st.fixed_dictionaries(
    {"type": st.just("function"), "name": st.sampled_from([*TOOLS, "x"])},
    optional={
        "description": st.text(),
        "parameters": st.dictionaries(st.sampled_from(["properties", "required"]), JSON),
    },
)


@given(
    st.text() | st.just(SPANISH),
    MEMORIES,
    st.lists(SCHEMAS, max_size=3) | st.just(list(TOOLS.values())),
    st.none() | st.text(),
)
def test_nothing_that_is_said_or_answered_breaks_it(instructions, memories, tools, own):
    thought = think(View(instructions, tuple(tools), tuple(memories), own))
    assert all(use.name in {tool["name"] for tool in tools} | set(TOOLS) for use in thought.uses)
    assert all(isinstance(json.loads(use.arguments or "{}"), dict) for use in thought.uses)
