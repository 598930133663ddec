"""What callees make of words, in both languages."""

import pytest

from agenx_cli.sim.callees.books import BOOKS, GREETINGS, choice
from agenx_cli.sim.callees.phrases import Intent, intent_of, language_of, slots_in
from agenx_cli.sim.callees.scripts import LEAVING, SCRIPTS

HEARD = {
    Intent.STILL_THERE: [
        "¿Sigue ahí?",
        "Perdone, ¿me oye?",
        "¿Hay alguien?",
        "Are you still there?",
        "Can you hear me?",
    ],
    Intent.FAREWELL: [
        "Gracias, adiós.",
        "Lo siento, no le he entendido. Adiós.",
        "Queda reservada para el martes. ¡Que tenga un buen día!",
        "Muchas gracias por su tiempo. ¡Hasta luego!",
        "¿Sí? De acuerdo, entonces nada más. Que pase buena tarde, adiós.",
        "Thank you for your time. Goodbye!",
        "You're all set. Have a great day.",
    ],
    Intent.ANYTHING_ELSE: ["Queda reservada el martes 24 a las 10:00. ¿Necesita algo más?", "Anything else I can do?"],
    Intent.OFFER: [
        "¿Le viene bien el martes 24 a las 10:00 o el miércoles 25 a las 11:30?",
        "Tengo el martes 24 de noviembre a las 10:00 y el miércoles 25 de noviembre a las 11:30. ¿Cuál prefiere?",
        "¿Le va bien el jueves a las cuatro y media?",
        "¿Mañana a las 9 o pasado mañana a las 12?",
        "Does Tuesday, November 24 at 10:00 AM or Wednesday the 25th at 11:30 work for you?",
        "Would tomorrow at 3 pm suit you?",
    ],
    Intent.CONFIRM: [
        "Entonces el martes 24 de noviembre a las 10:00. ¿Lo confirmo?",
        "Sería el martes 24 a las 10:00, ¿es correcto?",
        "El martes 24 a las 10:00. ¿Se la reservo?",
        "So that is Tuesday the 24th at 10:00 AM, is that right?",
        "Tuesday, November 24 at 10 am. Shall I book it?",
    ],
    Intent.EMAIL: ["¿A qué correo le envío la invitación?", "What is your e-mail address?", "May I have your email?"],
    Intent.NAME: [
        "¿Me dice su nombre, por favor?",
        "¿A nombre de quién la reservo?",
        "¿Con quién hablo?",
        "Who am I speaking with?",
        "What name shall I book it under?",
    ],
    Intent.REPEAT: [
        "Perdone, no le he entendido bien. ¿Puede repetirlo?",
        "¿Me lo repite, por favor?",
        "Sorry, I didn't catch that.",
        "Could you say that again?",
    ],
    Intent.WHEN: [
        "¿Qué día y a qué hora le llamamos?",
        "¿Cuándo le viene bien?",
        "What day and time should we call you?",
    ],
    Intent.QUESTION: [
        "Hola. Le llamo de Agenx AI. Si no desea más llamadas, dígamelo. ¿Es buen momento?",
        "¿En qué puedo ayudarle?",
        "¿Tiene un minuto?",
        "¿Le interesa?",
        "Do you have a minute?",
        "How does your company do it?",
    ],
    Intent.DONE: [
        "Entendido, no volveremos a llamarle.",
        "La reunión queda reservada.",
        "Ya está, he reservado la reunión para el martes 24 a las 10:00.",
        "Your meeting is booked.",
        "We won't call you again.",
        "I've booked it for Tuesday.",
    ],
    Intent.WAIT: [
        "Un momento, por favor.",
        "Déjeme mirar la agenda.",
        "One moment please.",
        "Let me check the calendar.",
    ],
    Intent.STATEMENT: ["Hola, soy Clara.", "Entendido.", "We automate processes."],
}


@pytest.mark.parametrize(("intent", "text"), [(intent, text) for intent, texts in HEARD.items() for text in texts])
def test_a_sentence_has_the_intent_that_a_person_would_hear(intent, text):
    assert intent_of(text) is intent


@pytest.mark.parametrize("text", [text for texts in HEARD.values() for text in texts])
def test_the_language_of_a_sentence_is_known(text):
    words = {"Un", "Gracias,", "Entendido.", "Entendido,", "Hola,", "La"}
    expected = "es" if any(letter in text for letter in "¿¡áéíóúñ") or text.split()[0] in words else "en"
    assert language_of(text, "en" if expected == "es" else "es") == expected


def test_a_sentence_in_no_language_changes_nothing():
    assert language_of("Agenx AI", "es") == "es"
    assert language_of("Agenx AI", "en") == "en"


@pytest.mark.parametrize(
    ("text", "slots"),
    [
        (
            "¿El martes 24 a las 10:00 o el miércoles 25 a las 11:30?",
            ["el martes 24 a las 10:00", "el miércoles 25 a las 11:30"],
        ),
        ("el martes 24 de noviembre a las 10:00", ["el martes 24 de noviembre a las 10:00"]),
        ("¿a las 9 o a las diez y media?", ["a las 9", "a las diez y media"]),
        ("Tuesday the 24th at 10:00 am or Wednesday at 11:30?", ["Tuesday the 24th at 10:00 am", "Wednesday at 11:30"]),
        ("Tuesday, November 24 at 10 am", ["Tuesday, November 24 at 10 am"]),
        ("Tuesday 24 November at 10:00", ["Tuesday 24 November at 10:00"]),
        ("the 24 of us", []),
        ("El martes 24 a las 10:00. Repito: el martes 24 a las 10:00", ["el martes 24 a las 10:00"]),
    ],
)
def test_times_are_found_with_their_days(text, slots):
    assert slots_in(text) == slots


@pytest.mark.parametrize("language", ["es", "en"])
def test_a_choice_names_one_of_the_times_on_offer_or_its_place(language):
    book = BOOKS[language]
    offer = "¿El martes 24 a las 10:00 o el miércoles 25 a las 11:30?"
    answers = {choice(book, offer, number) for number in range(40)}
    assert all(any(word in answer for word in ("10:00", "11:30")) or answer in book["ordinal"] for answer in answers)
    assert set(book["ordinal"]) < answers
    assert "10:00" in choice(book, "¿El martes 24 a las 10:00?", 0)


def test_every_cell_of_every_script_is_in_both_phrase_books():
    needed = {"hello", "anybody", "sorry", "no_use", "cut_in", "cut_in_again"} | set(LEAVING)
    for script in SCRIPTS.values():
        assert set(script.answers) == set(Intent)
        needed |= {cell for cells in script.answers.values() for cell in cells} - {"quiet", "choose"}
    for book in BOOKS.values():
        assert needed <= set(book)
    assert set(GREETINGS) == set(BOOKS)
