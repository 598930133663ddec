"""What callees say: a phrase book for each language, several ways for each thing. Sentences are short on purpose."""

from agenx_cli.sim.callees.phrases import Language, slots_in

Book = dict[str, tuple[str, ...]]

BOOKS: dict[Language, Book] = {
    "es": {
        "hello": ("¿Dígame?", "¿Sí, dígame?", "¿Diga?", "¿Hola?"),
        "anybody": ("¿Hola?", "¿Hola? ¿Hay alguien?"),
        "here": ("Sí, sigo aquí.", "Sí, le escucho."),
        "again": ("¿Sí? Le escucho.",),
        "sorry": ("¿Perdón? No le he oído bien.", "Perdone, no le he oído bien. ¿Puede repetir?"),
        "no_use": ("No le oigo, lo siento. Adiós.",),
        "interest": ("Sí, me interesa.", "Sí, suena interesante, cuénteme.", "Pues sí, nos interesa."),
        "sure": ("Sí, claro.", "Claro que sí.", "Sí, por supuesto."),
        "when": ("El viernes a las 10:00.", "El jueves a las 12:00, por ejemplo."),
        "go_on": ("Muy bien, cuénteme.", "Ajá, me interesa.", "Vale, me interesa."),
        "choose": ("Mejor {slot}.", "Me viene bien {slot}.", "{slot} me va bien."),
        "accept": ("Sí, {slot} me viene bien.", "Sí, perfecto."),
        "ordinal": ("La primera, por favor.", "La segunda, por favor."),
        "yes": ("Sí, confirmado.", "Sí, correcto.", "Sí, por favor."),
        "email": ("ana punto garcía arroba ejemplo punto com", "luis arroba ejemplo punto es"),
        "name": ("Me llamo Ana García.", "Soy Luis Romero."),
        "thanks": ("Perfecto, muchas gracias.", "Muy bien, gracias."),
        "thanks_bye": ("Gracias. Adiós.", "De acuerdo, adiós."),
        "nothing": ("No, nada más, gracias.", "No, eso es todo, gracias."),
        "decline": ("No, gracias, no me interesa.", "No nos interesa, gracias.", "Lo siento, no me interesa."),
        "insist": ("De verdad que no, gracias.", "Ya le he dicho que no me interesa."),
        "leave": ("Lo siento, tengo que colgar. Adiós.",),
        "opt_out": (
            "No me vuelvan a llamar, por favor.",
            "No quiero que me llamen más. Quítenme de la lista.",
            "Por favor, no me vuelvan a llamar nunca más.",
        ),
        "bye": ("Adiós.", "Gracias, adiós.", "Hasta luego."),
        "cut_in": (
            "Perdone que le corte, pero esto me interesa mucho: ¿podríamos vernos en una reunión?",
            "Disculpe, disculpe, me interesa de verdad. ¿Qué días tienen libres para una reunión?",
        ),
        "cut_in_again": ("Perdone, un momento, que no me ha dado tiempo: ¿me repite los días y las horas?",),
    },
    "en": {
        "hello": ("Hello?", "Yes, hello?", "Hi, who is this?"),
        "anybody": ("Hello?", "Hello? Anybody there?"),
        "here": ("Yes, I'm still here.", "Yes, I can hear you."),
        "again": ("Yes? I'm listening.",),
        "sorry": ("Sorry? I didn't catch that.", "Sorry, I didn't hear you. Could you say that again?"),
        "no_use": ("I can't hear you, sorry. Goodbye.",),
        "interest": ("Yes, I'm interested.", "Yes, that sounds interesting, tell me more.", "Sure, we are interested."),
        "sure": ("Yes, sure.", "Of course.", "Yes, go ahead."),
        "when": ("Friday at 10:00.", "Thursday at 12:00, for example."),
        "go_on": ("All right, I'm interested.", "Okay, tell me more.", "Good, I'm interested."),
        "choose": ("{slot}, please.", "{slot} works for me.", "I'd prefer {slot}."),
        "accept": ("Yes, {slot} works for me.", "Yes, perfect."),
        "ordinal": ("The first one, please.", "The second one, please."),
        "yes": ("Yes, please.", "Yes, that's right.", "Yes, I confirm."),
        "email": ("ann dot grey at example dot com", "lewis at example dot org"),
        "name": ("My name is Ann Grey.", "This is Lewis Stone."),
        "thanks": ("Perfect, thank you very much.", "Great, thanks."),
        "thanks_bye": ("Thank you. Goodbye.", "All right, bye."),
        "nothing": ("No, nothing else, thanks.", "No, that's all, thank you."),
        "decline": (
            "No, thanks, I'm not interested.",
            "We're not interested, thank you.",
            "Sorry, I'm not interested.",
        ),
        "insist": ("Really, no, thank you.", "I told you, I'm not interested."),
        "leave": ("Sorry, I have to go. Goodbye.",),
        "opt_out": (
            "Do not call me again, please.",
            "Please don't call me again. Take me off your list.",
            "Stop calling me, and never call me again.",
        ),
        "bye": ("Goodbye.", "Thanks, bye.", "Bye."),
        "cut_in": (
            "Sorry to interrupt you, but I'm really interested: could we have a meeting about this?",
            "Excuse me, excuse me, I'm interested in this. What days are free for a meeting?",
        ),
        "cut_in_again": ("Sorry, one moment, I didn't catch that, it was too fast: which days and times were free?",),
    },
}

GREETINGS: dict[Language, tuple[tuple[str, ...], ...]] = {
    "es": (
        (
            "Hola, ha llamado al buzón de voz de Ana García.",
            "Ahora no puedo atenderle.",
            "Por favor, deje su mensaje después de la señal.",
        ),
        (
            "Este es el buzón de voz de Talleres Romero.",
            "En este momento no podemos atenderle.",
            "Deje su mensaje después de oír la señal.",
        ),
    ),
    "en": (
        (
            "Hi, you have reached the voicemail of Ann Grey.",
            "I can't take your call right now.",
            "Please leave a message after the tone.",
        ),
        (
            "This is the mailbox of Stone Garage.",
            "Nobody is available to take your call.",
            "Please leave your message after the beep.",
        ),
    ),
}
"""What mailboxes say, sentence by sentence."""


def choice(book: Book, heard: str, number: int) -> str:
    """The answer to an offer of times: takes one by its words, or by its place when there are just two.

    ``number`` decides which; a negative answer to all of them is not in this book.
    """
    slots = slots_in(heard)
    if len(slots) == 1:
        return _pick(book["accept"], number).format(slot=slots[0])
    which, way = number % len(slots), number // len(slots)
    if len(slots) == 2 and way % 4 == 3:
        return book["ordinal"][which]
    text = _pick(book["choose"], way).format(slot=slots[which])
    return text[0].upper() + text[1:]


def phrase(language: Language, key: str, number: int) -> str:
    """One of the ways to say it."""
    return _pick(BOOKS[language][key], number)


def _pick(ways: tuple[str, ...], number: int) -> str:
    return ways[number % len(ways)]
