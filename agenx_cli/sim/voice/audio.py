"""Between the session's audio formats and the μ-law that the simulated world speaks in.

``audio/pcmu`` passes as it is. The others are honest conversions, so words that ride in the samples do not
survive them: a bridge that asks for another format on a telephone line finds out.
"""

import audioop

Format = dict[str, object]


def to_ulaw(data: bytes, shape: Format) -> bytes:
    """What was appended, as μ-law at 8 kHz."""
    match shape["type"]:
        case "audio/pcmu":
            return data
        case "audio/pcma":
            return audioop.lin2ulaw(audioop.alaw2lin(data, 2), 2)
        case _:
            even = data[: len(data) - len(data) % 2]
            return audioop.lin2ulaw(audioop.ratecv(even, 2, 1, 24000, 8000, None)[0], 2)


def from_ulaw(ulaw: bytes, shape: Format) -> bytes:
    """What is spoken, in the format the session asked for."""
    match shape["type"]:
        case "audio/pcmu":
            return ulaw
        case "audio/pcma":
            return audioop.lin2alaw(audioop.ulaw2lin(ulaw, 2), 2)
        case _:
            return audioop.ratecv(audioop.ulaw2lin(ulaw, 2), 2, 1, 8000, 24000, None)[0]


def bytes_per_ms(shape: Format) -> int:
    """How many bytes a millisecond of this format has."""
    return 48 if shape["type"] == "audio/pcm" else 8
