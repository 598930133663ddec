"""What callees understand, in Spanish and in English: the intent of what they heard.

By rules, broad ones, because a real model phrases freely. They are tried from the top; the first that fits counts:

==============  ====================================================================================================
STILL_THERE     "¿Sigue ahí?", "¿Me oye?" · "Are you still there?", "Can you hear me?"
FAREWELL        "adiós", "hasta luego", "que tenga un buen día" · "goodbye", "have a great day"; not before a question
REPEAT          "no le he entendido", "¿puede repetirlo?" · "I didn't catch that", "could you say that again?"
ANYTHING_ELSE   "¿Algo más?", "¿Necesita algo más?" · "Anything else?"
OFFER           a question with two or more times: "el martes a las 10:00 o el jueves a las 11"
NAME            a question with "cómo se llama", "con quién hablo" · "your name", "who am I speaking with"
CONFIRM         a question with "confirmo", "es correcto", "¿la reservo?" · "is that right?", "shall I book it?"
OFFER           a question with one time
EMAIL           a question with "correo" · "e-mail"
WHEN            a question with "cuándo", "qué día", "a qué hora" · "when", "what day", "what time"
QUESTION        any other question
DONE            "queda reservada", "no volveremos a llamarle" · "is booked", "we won't call you again"
WAIT            "un momento", "déjeme mirar" · "one moment", "let me check"
STATEMENT       anything else
==============  ====================================================================================================

Something is a question when it holds a question mark.
"""

import re
from enum import Enum, auto
from typing import Literal

Language = Literal["es", "en"]


class Intent(Enum):
    """What the other side wants with what it said."""

    STILL_THERE = auto()
    REPEAT = auto()
    FAREWELL = auto()
    ANYTHING_ELSE = auto()
    CONFIRM = auto()
    OFFER = auto()
    EMAIL = auto()
    NAME = auto()
    WHEN = auto()
    QUESTION = auto()
    DONE = auto()
    WAIT = auto()
    STATEMENT = auto()


_NUMBER_ES = r"(?:una|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|diez|once|doce)"
_DAY_ES = r"(?:lunes|martes|mi[eé]rcoles|jueves|viernes|s[aá]bado|domingo|mañana|pasado mañana)"
_DAY_EN = r"(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday|today|tomorrow)"
_TIME_ES = rf"(?:a|de)\s+las?\s+(?:\d{{1,2}}(?:[:.h]\d{{2}})?|{_NUMBER_ES}(?:\s+y\s+(?:media|cuarto))?)"
_TIME_EN = r"(?:at\s+)?(?:\d{1,2}(?::\d{2})?\s*[ap]\.?m\b\.?|\d{1,2}:\d{2}|noon)|at\s+\d{1,2}\b"
_SLOT = re.compile(
    rf"(?:(?:\bel\s+)?{_DAY_ES}(?:,?\s+(?:d[ií]a\s+)?\d{{1,2}})?(?:\s+de\s+[a-zé]+)?,?\s+)?(?:{_TIME_ES})"
    rf"|(?:{_DAY_EN}(?:,?\s+(?:the\s+)?[a-z]*\s*\d{{1,2}}(?:st|nd|rd|th)?)?(?:\s+of)?(?:\s+(?!at\b)[a-z]+)?,?\s+)?"
    rf"(?:{_TIME_EN})",
    re.IGNORECASE,
)


def _rule(phrases: str) -> re.Pattern[str]:
    """Patterns, separated by " | " or a new line, each from the beginning of a word."""
    patterns = [each.strip() for line in phrases.strip().splitlines() for each in line.split(" | ")]
    return re.compile(rf"\b(?:{'|'.join(patterns)})", re.IGNORECASE)


_STILL_THERE = _rule(r"""
    sigue\w* (?:ahí|ahi|al teléfono|en línea) | est[aá]s? (?:ahí|ahi)\b | me (?:oye|escucha) | hay alguien
    (?:are|you) (?:still )?there\b | (?:can|do) you hear me | still (?:with me|on the line) | anybody there
""")
_FAREWELL = _rule(r"""
    adi[oó]s\b | hasta (?:luego|pronto|otra|el|la)\b | (?:buen|feliz) d[ií]a\b
    que (?:tenga|pase|vaya)\w* (?:un |una )?(?:muy )?(?:buen|feliz|bien)
    good ?-?bye\b | bye\b | have a (?:\w+ )?(?:nice|good|great|lovely|wonderful)
    (?:talk|speak) to you (?:soon|then|later) | take care\b
""")
_ANYTHING_ELSE = _rule(r"""
    algo m[aá]s | alguna (?:otra )?(?:duda|pregunta|cosa) | anything else | any (?:other )?questions
""")
_CONFIRM = _rule(r"""
    confirm | (?:es|está|he entendido|todo) (?:todo )?(?:correct|bien) | correct[oa]\b | de acuerdo
    (?:l[oa]|se l[oa]) (?:reserv|apunt|agend|dejo) | reserv(?:o|amos)\b
    is (?:that|this) (?:right|ok|okay|correct|fine) | does that (?:work|sound) | right\?
    (?:shall|should|can|may) i (?:book|schedule|go ahead|put)
""")
_EMAIL = _rule(r"correo | e-?mail")
_NAME = _rule(r"""
    (?:es|dice|da|decirme|darme) su nombre | c[oó]mo se llama | qui[eé]n (?:hablo|tengo) | a nombre de qui[eé]n
    (?:your|what) name | who am i (?:speaking|talking) | who i am (?:speaking|talking)
""")
_REPEAT = _rule(r"""
    no (?:le |la |lo )?(?:he )?(?:o[ií]do|entend|oigo) | (?:puede|podría|me lo) rep[ei]t
    (?:didn't|did not|couldn't|could not) (?:quite )?(?:catch|hear|understand|get)
    say (?:that|it) again | repeat (?:that|it)
""")
_WHEN = _rule(r"cu[aá]ndo | qu[eé] (?:d[ií]a|hora|momento) | when\b | (?:what|which) (?:day|time|moment)")
_DONE = _rule(r"""
    (?:queda|está|ha quedado|he|hemos) (?:usted )?(?:ya )?(?:reservad|agendad|apuntad|confirmad|anotad|registrad)
    (?:queda|está|ha quedado|le he|hemos) (?:ya )?(?:eliminad|borrad|quitad|dado de baja) | le confirmo
    no (?:le |la |lo )?(?:volver|llamar|molestar)
    (?:is|are|been) (?:now |all )?(?:booked|confirmed|scheduled|removed|set)
    (?:you're|i've) (?:all )?(?:booked|removed|set)
    (?:won't|will not|never) (?:be )?(?:call|contact|bother)
""")
_WAIT = _rule(r"""
    un (?:momento|segundo|instante|minuto)\b | d[eé]jeme | espere
    (?:mir[oa]|consult[oa]|compruebo|busco) (?:la|mi|el|los|en|qué)\b
    (?:one|just a|give me a) (?:moment|second|minute) | let me (?:check|see|look) | hold on | checking
""")
_SPANISH = _rule(r"""
    (?:el|la|los|las|que|de|por|para|con|es|su|le|lo|un|una|y|sí|se|al)\b
    (?:usted|gracias|hola|soy|ahí|adiós|señal|muy|bien|entendido)\b | buen[oa]s?\b
""")
_ENGLISH = _rule(r"""
    (?:the|and|of|to|is|for|with|what|i|i'm|are|have|or|at|an|do)\b
    you\w* | (?:thank\w*|hello|hi|good|this|we|that|there|goodbye|please|understood|right)\b
""")


def intent_of(text: str) -> Intent:
    """The first rule that fits."""
    asks = "?" in text
    slots = len(slots_in(text))
    rules = (
        (Intent.STILL_THERE, asks and _STILL_THERE.search(text)),
        (Intent.FAREWELL, not text.rstrip().endswith("?") and _FAREWELL.search(text)),
        (Intent.REPEAT, _REPEAT.search(text)),
        (Intent.ANYTHING_ELSE, asks and _ANYTHING_ELSE.search(text)),
        (Intent.OFFER, asks and slots > 1),
        (Intent.NAME, asks and _NAME.search(text)),
        (Intent.CONFIRM, asks and _CONFIRM.search(text)),
        (Intent.OFFER, asks and slots == 1),
        (Intent.EMAIL, asks and _EMAIL.search(text)),
        (Intent.WHEN, asks and _WHEN.search(text)),
        (Intent.QUESTION, asks),
        (Intent.DONE, _DONE.search(text)),
        (Intent.WAIT, _WAIT.search(text)),
    )
    return next((intent for intent, fits in rules if fits), Intent.STATEMENT)


def slots_in(text: str) -> list[str]:
    """The times of day in a text, as they were said, each with its day where it has one, without repetition."""
    found = (match.group().strip(" ,.") for match in _SLOT.finditer(text))
    return list(dict.fromkeys(re.sub(r"^El\b", "el", slot) for slot in found))


def language_of(text: str, otherwise: Language) -> Language:
    """Spanish or English, by its small words and its marks."""
    spanish = len(_SPANISH.findall(text)) + len(re.findall("[¿¡ñáéíóú]", text))
    english = len(_ENGLISH.findall(text))
    if spanish == english:
        return otherwise
    return "es" if spanish > english else "en"
