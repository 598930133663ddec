"""What somebody on the telephone wants, by the words that were understood, in Spanish and English.

An utterance may carry several intents ("sí, pero llámeme mañana"); who asks decides which of them matters first.
"""

import re
from enum import Enum, auto


class Intent(Enum):
    """One thing that an utterance may mean."""

    VOICEMAIL = auto()
    OPT_OUT = auto()
    ROBOT = auto()
    WRONG_PERSON = auto()
    NOT_INTERESTED = auto()
    CALLBACK = auto()
    REPEAT = auto()
    CANCEL = auto()
    WHO = auto()
    PRICE = auto()
    SOURCE = auto()
    INTEREST = auto()
    OTHER_TIME = auto()
    BYE = auto()
    YES = auto()
    NO = auto()


_RULES: dict[Intent, tuple[str, ...]] = {
    Intent.VOICEMAIL: (
        r"buz[oó]n",
        r"contestador",
        r"(?:despu[eé]s|al o[ií]r|tras) (?:de )?(?:o[ií]r )?(?:la|el) (?:señal|tono|pitido)",
        r"dej[ea]\w* (?:su|un|tu) (?:mensaje|recado)",
        r"voice ?mail",
        r"answering machine",
        r"(?:after|at) the (?:tone|beep)",
        r"leave (?:a|your|us a|me a) message",
    ),
    Intent.OPT_OUT: (
        r"no (?:me |nos )?(?:vuelv\w+|volv\w+) a (?:llamar|molestar|contactar)",
        r"no (?:me|nos) llam\w+(?! (?:ahora|hoy|a est|tan|en este))",
        r"(?:dej\w+|par\w+) de llamar",
        r"no (?:quiero|queremos|deseo) (?:recibir )?(?:m[aá]s )?(?:sus )?llamadas",
        r"(?:b[oó]rr|qu[ií]t|elim[ií]n|s[aá]qu)\w*(?:me|nos)\b",
        r"d\w+(?:me|nos)? de baja",
        r"(?:do not|don't|never|stop|quit) call\w*",
        r"(?:take|remove) (?:me|us|my number)",
        r"unsubscribe",
        r"no more calls",
        r"not (?:to )?(?:be )?call(?:ed)? (?:me )?(?:again|anymore)",
    ),
    Intent.ROBOT: (
        r"\b(?:es|eres|habl\w+|una?|con) (?:usted )?(?:con )?(?:una? )?(?:robot|m[aá]quina|grabación|humano)\b.*\?",
        r"\b(?:es|eres|habl\w+|una?|con) (?:usted )?(?:con )?(?:una? )?(?:persona|ia|inteligencia artificial)\b.*\?",
        r"(?:are you|am i|is this|talking|speaking).{0,20}(?:robot|machine|bot|recording|computer|artificial)\b",
        r"(?:are you|am i|is this|talking|speaking).{0,20}(?:real|human|person|ai|a\.i\.)(?:\W|$)",
    ),
    Intent.WRONG_PERSON: (
        r"equivocad",
        r"no soy (?:yo|esa|ese|la persona|el que|quien)",
        r"aqu[ií] no (?:vive|trabaja|hay ning)",
        r"wrong (?:number|person)",
    ),
    Intent.NOT_INTERESTED: (
        r"no (?:me|nos) interesa",
        r"no (?:estoy|estamos|tengo) (?:nada )?(?:interes|inter[eé]s)",
        r"no,? (?:muchas )?gracias",
        r"no (?:lo )?(?:queremos|quiero|necesit\w+) ?(?:nada|esto|eso|ning\w+)?",
        r"ya (?:lo )?tenemos",
        r"not (?:really )?interested",
        r"no,? thank",
        r"(?:don't|do not) (?:need|want)",
        r"not for (?:me|us)",
        r"no interest\b",
    ),
    Intent.CALLBACK: (
        r"ll[aá]m\w*\b.{0,25}(?:mañana|m[aá]s tarde|luego|otro (?:d[ií]a|momento)|la semana)",
        r"ll[aá]m\w*\b.{0,25}el (?:lunes|martes|mi[eé]rcoles|jueves|viernes)",
        r"ahora (?:mismo )?no (?:puedo|es)",
        r"(?:estoy|estamos) (?:muy )?(?:ocupad|reunid|conduciendo|en una reuni)",
        r"(?:mal|no es buen) momento",
        r"call (?:me )?(?:back|later|tomorrow|another|again (?:later|tomorrow))",
        r"(?:not a good|bad) (?:time|moment)",
        r"(?:i'm|i am) (?:busy|driving|in a meeting)",
    ),
    Intent.REPEAT: (
        r"¿? ?perd[oó]n\w* ?\?",
        r"c[oó]mo dice",
        r"no le (?:he )?(?:o[ií]|entend)",
        r"(?:puede )?rep[ei]t",
        r"sorry ?\?",
        r"pardon",
        r"didn't (?:catch|hear|get)",
        r"say (?:that )?again",
        r"come again",
    ),
    Intent.CANCEL: (r"(?:cancel|an[uú]l)\w*",),
    Intent.WHO: (
        r"(?:con |de )?qui[eé]n (?:es|llama|habla|me|hablo)",
        r"(?:de )?qu[eé] (?:empresa|compañ[ií]a|se trata|quiere|ofrec|hacen)",
        r"de parte de",
        r"para qu[eé]",
        r"who (?:is|are|'s)",
        r"who's",
        r"what company",
        r"what (?:is|'s) (?:this|it) about",
        r"what do you (?:do|offer|want)",
        r"where are you calling",
    ),
    Intent.PRICE: (r"cu[aá]nto (?:cuesta|vale|cobr)", r"precio", r"how much", r"\bprices?\b", r"cost\b"),
    Intent.SOURCE: (r"mi (?:n[uú]mero|tel[eé]fono)", r"my (?:phone )?number"),
    Intent.INTEREST: (
        r"(?:me|nos) interesa",
        r"interesante",
        r"suena (?:muy )?bien",
        r"(?:me|nos) gustar[ií]a",
        r"cu[aá]ndo",
        r"(?:quiero|queremos) (?:saber|la|una)",
        r"\binterested",
        r"interesting",
        r"tell me more",
        r"sounds (?:good|great|interesting)",
        r"i'd (?:like|love)",
        r"when (?:can|could|would)",
    ),
    Intent.OTHER_TIME: (
        r"otr[ao]s? (?:hora|d[ií]a|momento|fecha)",
        r"ningun[ao]\b",
        r"no (?:me|nos) (?:viene|va|sirve)",
        r"no puedo",
        r"imposible",
        r"another (?:time|day)",
        r"neither",
        r"none of",
        r"(?:can't|cannot) (?:make|do)",
        r"(?:doesn't|don't|won't) work",
        r"something else",
    ),
    Intent.BYE: (r"adi[oó]s", r"hasta (?:luego|pronto|otra|el|la)", r"good ?-?bye", r"\bbye\b", r"chao"),
    Intent.YES: (
        r"^\W*(?:s[ií]\b|claro|vale\b|de acuerdo|perfecto|por supuesto|correct|exact|eso es|bueno|muy bien|ok\b|okay)",
        r"^\W*(?:confirm|adelante|d[ií]ga|est[aá] bien|me parece|genial|estupendo|encantad|cu[eé]nt)",
        r"^\W*(?:yes|yeah|yep|sure|of course|right\b|go ahead|sounds good|please|fine\b|great|perfect)",
        r"^\W*(?:that's (?:right|fine|correct)|absolutely|definitely)",
        r"(?:lo )?confirm[oae]\b",
        r"(?:me|nos) (?:viene|va|parece) (?:muy )?bien",
        r"that works",
    ),
    Intent.NO: (r"^\W*no\b", r"^\W*nope\b"),
}

_PATTERNS = {
    intent: re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE)
    for intent, patterns in _RULES.items()
}


def intents(text: str) -> frozenset[Intent]:
    """Everything that a text may mean; NOT_INTERESTED and OPT_OUT take the ``interesa`` out of INTEREST."""
    found = {intent for intent, pattern in _PATTERNS.items() if pattern.search(text)}
    if found & {Intent.NOT_INTERESTED, Intent.OPT_OUT}:
        found -= {Intent.INTEREST, Intent.YES}
    return frozenset(found)
