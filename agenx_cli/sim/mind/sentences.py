"""What the mind says, in Spanish and English: short, because somebody waits; one sentence long enough to interrupt."""

from agenx_cli.sim.mind.briefing import Briefing, Language

_PITCH_ROOM = 130
_PITCH_LENGTH = 180

_ES = {
    "hello": "Hola, soy {name}, asistente de inteligencia artificial de {company}.",
    "pitch": "Verá, le llamo para {purpose}. {padding}{tail}",
    "padding": "En la reunión vemos su caso con calma, sin compromiso. ",
    "tail": "¿Le interesa?",
    "wait": "Un momento, miro la agenda.",
    "no_purpose": "contarle qué hacemos y proponerle una reunión breve en la que ver juntos cómo podemos ayudarle",
    "offer_two": "¿Le viene bien el {first} o el {second}?",
    "offer_one": "¿Le viene bien el {first}?",
    "read_back": "Entonces el {slot}. ¿Lo confirmo?",
    "which": "¿Cuál prefiere, el {first} o el {second}?",
    "booked": "Listo, queda reservada para el {slot}. Gracias, adiós.",
    "taken": "Lo siento, esa hora ya no está libre. ",
    "not_booked": "Perdone, no he podido reservarla. Un compañero le llamará. Gracias, adiós.",
    "no_slots": "Ahora mismo no veo huecos libres. ",
    "no_more": "No me quedan otras horas. ",
    "agenda_fault": "Perdone, no consigo ver la agenda. ",
    "call_then": "¿Le llamamos el {slot}?",
    "call_when": "¿Qué día y a qué hora le llamamos?",
    "will_write": "Un compañero le escribirá. Gracias, adiós.",
    "will_call": "Tomo nota: un compañero le llamará. Gracias, adiós.",
    "colleague": "Un compañero le llamará. Gracias, adiós.",
    "scheduled": "De acuerdo, le llamamos el {slot}. Gracias, adiós.",
    "not_scheduled": "Perdone, no he podido apuntarlo. Un compañero le escribirá. Adiós.",
    "opted_out": "Hecho, no volveremos a llamarle. Disculpe la molestia, adiós.",
    "not_opted_out": "Disculpe, no he podido registrarlo yo; aviso a un compañero. Adiós.",
    "cancelled": "Hecho, la reunión queda cancelada. Gracias, adiós.",
    "not_cancelled": "Perdone, no he podido cancelarla. Un compañero le llamará. Adiós.",
    "declined": "De acuerdo, gracias por su tiempo. Adiós.",
    "bye": "Gracias por su tiempo. Adiós.",
    "wrong_person": "Disculpe, me he equivocado. Gracias, adiós.",
    "robot": "Sí, soy una inteligencia artificial. ",
    "who": "Soy {name}, asistente de inteligencia artificial de {company}. ",
    "price": "Eso se ve en la reunión, sin compromiso. ",
    "source": "No tengo ese dato; puedo pedir que no le llamen más. ",
    "interested": "¿Le interesa una reunión breve?",
    "repeat": "Perdone, no le he entendido bien. ¿Puede repetirlo?",
    "there": "¿Sigue ahí?",
    "sorry": "Disculpe. ",
    "email": "¿A qué correo le mando la invitación?",
    "name": "¿A nombre de quién la reservo?",
    "help": "¿En qué puedo ayudarle?",
}
_EN = {
    "hello": "Hello, I'm {name}, an artificial intelligence assistant of {company}.",
    "pitch": "Well, I'm calling to {purpose}. {padding}{tail}",
    "padding": "In the meeting we look at your case calmly, no strings attached. ",
    "tail": "Are you interested?",
    "wait": "One moment, let me check the calendar.",
    "no_purpose": "tell you what we do and to suggest a short meeting where we see together how we can help you",
    "offer_two": "Would {first} or {second} suit you?",
    "offer_one": "Would {first} suit you?",
    "read_back": "So that's {slot}. Shall I book it?",
    "which": "Which do you prefer, {first} or {second}?",
    "booked": "Done, it is booked for {slot}. Thank you, goodbye.",
    "taken": "I'm sorry, that time is no longer free. ",
    "not_booked": "I'm sorry, I could not book it. A colleague will call you. Goodbye.",
    "no_slots": "I see no free times right now. ",
    "no_more": "I have no other times. ",
    "agenda_fault": "I'm sorry, I cannot see the calendar. ",
    "call_then": "Shall we call you {slot}?",
    "call_when": "What day and time should we call you?",
    "will_write": "A colleague will write to you. Thank you, goodbye.",
    "will_call": "I'll note that: a colleague will call you. Thank you, goodbye.",
    "colleague": "A colleague will call you. Thank you, goodbye.",
    "scheduled": "All right, we will call you {slot}. Thank you, goodbye.",
    "not_scheduled": "I'm sorry, I could not note that. A colleague will write to you. Goodbye.",
    "opted_out": "Done, we will not call you again. Sorry to bother you, goodbye.",
    "not_opted_out": "I'm sorry, I could not record that myself; I'll tell a colleague. Goodbye.",
    "cancelled": "Done, the meeting is cancelled. Thank you, goodbye.",
    "not_cancelled": "I'm sorry, I could not cancel it. A colleague will call you. Goodbye.",
    "declined": "All right, thank you for your time. Goodbye.",
    "bye": "Thank you for your time. Goodbye.",
    "wrong_person": "I'm sorry, my mistake. Thank you, goodbye.",
    "robot": "Yes, I am an artificial intelligence. ",
    "who": "I'm {name}, an artificial intelligence assistant of {company}. ",
    "price": "We see that in the meeting, no strings attached. ",
    "source": "I don't have that information; I can ask that you get no more calls. ",
    "interested": "Are you interested in a short meeting?",
    "repeat": "I'm sorry, I didn't understand. Could you say that again?",
    "there": "Are you still there?",
    "sorry": "I'm sorry. ",
    "email": "Which e-mail address should I send the invitation to?",
    "name": "What name shall I book it under?",
    "help": "How can I help you?",
}
_BOOK = {"es": _ES, "en": _EN}


def sentence(key: str, language: Language, **fill: str) -> str:
    """A sentence of the phrase book."""
    return _BOOK[language][key].format(**fill)


def starts_like(text: str, key: str, language: Language) -> bool:
    """Whether a text holds the fixed beginning of a sentence of the book."""
    return _BOOK[language][key].partition("{")[0].strip() in text


def ends_like(text: str, key: str, language: Language) -> bool:
    """Whether a text ends as a sentence of the book does (so that it was heard out)."""
    return text.rstrip().endswith(_BOOK[language][key].rpartition("}")[2].strip())


def introduction(key: str, briefing: Briefing, language: Language) -> str:
    """``hello`` or ``who`` with whatever is known of name and company."""
    nameless = {"es": "el asistente virtual", "en": "the virtual assistant"}[language]
    homeless = {"es": "nuestra empresa", "en": "our company"}[language]
    return sentence(key, language, name=briefing.name or nameless, company=briefing.company or homeless)


def pitch(briefing: Briefing, language: Language, tail: str) -> str:
    """Why we call, in about 200 characters: two seconds of speech. ``tail``: a question (``tail``) or a ``wait``."""
    purpose = briefing.purpose.rstrip(".") or _BOOK[language]["no_purpose"]
    if len(purpose) > _PITCH_ROOM:
        purpose = purpose[:_PITCH_ROOM].rpartition(" ")[0].rstrip(",;:")
    book = _BOOK[language]
    short = book["pitch"].format(purpose=purpose, padding="", tail=book[tail])
    padding = book["padding"] if len(short) < _PITCH_LENGTH else ""
    return book["pitch"].format(purpose=purpose, padding=padding, tail=book[tail])
