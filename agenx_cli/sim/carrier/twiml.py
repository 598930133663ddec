"""TwiML, read strictly: what Twilio would complain about ends the call here (codes of the error dictionary).

Twilio itself forgives an unknown attribute with warning 12200; here it is an error, because nobody reads warnings. An
attribute or verb that exists but that this interpreter would not honour is refused in the same way, never ignored.
"""

from dataclasses import dataclass
from xml.etree import ElementTree as ET  # read below with document types refused

PARSE, SCHEMA = 12100, 12200

_SSML = ("break", "emphasis", "lang", "p", "phoneme", "prosody", "s", "say-as", "sub", "w")
_ATTRIBUTES = {
    "Say": "voice language loop",
    "Play": "loop digits",
    "Pause": "length",
    "Gather": "action method timeout finishOnKey numDigits input actionOnEmptyResult",
    "Connect": "action method",
    "Stream": "url name track statusCallback statusCallbackMethod",
    "Parameter": "name value",
    "Dial": "action method timeout timeLimit callerId",
    "Number": "",
    "Conference": "endConferenceOnExit muted",
    "Redirect": "method",
    "Hangup": "",
    "Reject": "reason",
}
_CHILDREN = {
    "Say": _SSML,
    "Gather": ("Say", "Play", "Pause"),
    "Connect": ("Stream",),
    "Stream": ("Parameter",),
    "Dial": ("Number", "Conference"),
}
VERBS = frozenset({"Say", "Play", "Pause", "Gather", "Connect", "Dial", "Redirect", "Hangup", "Reject"})
_REQUIRED = {"Stream": ("url",), "Parameter": ("name", "value")}
_MAX_PARAMETER = 500


class DocumentError(Exception):
    """A document that cannot be carried out. ``code`` is Twilio's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Element:
    """A verb or noun that was checked. ``text`` is all text inside, its white space folded."""

    name: str
    attributes: dict[str, str]
    text: str
    children: tuple["Element", ...] = ()

    def whole(self, name: str, default: int, low: int = 0, high: int = 86_400) -> int:
        """An attribute that is a whole number. Raises DocumentError."""
        value = self.attributes.get(name)
        if value is None:
            return default
        if not (value.isascii() and value.isdigit() and len(value) < 9 and low <= int(value) <= high):
            raise DocumentError(SCHEMA, f"<{self.name} {name}> is not a whole number from {low} to {high}")
        return int(value)


def parse(document: str | bytes) -> tuple[Element, ...]:
    """The verbs of a document. Raises DocumentError for XML that is none, and for what TwiML does not have."""
    parser = ET.XMLParser()  # noqa: S314 - document types, the only way to entities, are refused below
    raw = document.encode() if isinstance(document, str) else document
    if b"<!DOCTYPE" in raw or b"<!ENTITY" in raw:
        raise DocumentError(PARSE, "a document type is not allowed")
    try:
        parser.feed(raw)
        root = parser.close()
    except (ET.ParseError, LookupError, ValueError) as exc:
        raise DocumentError(PARSE, f"not well-formed XML: {exc}") from exc
    if root.tag != "Response":
        raise DocumentError(PARSE, f"the root is <{root.tag}>, not <Response>")
    if root.attrib or _loose_text(root):
        raise DocumentError(SCHEMA, "<Response> holds verbs and nothing else")
    return tuple(_element(child, VERBS) for child in root if isinstance(child.tag, str))


def _element(node: ET.Element, allowed: frozenset[str] | tuple[str, ...]) -> Element:
    name = node.tag
    if name not in allowed:
        raise DocumentError(SCHEMA, f"<{name}> is not allowed here, or unknown")
    if unknown := sorted(set(node.attrib) - set(_ATTRIBUTES[name].split())):
        raise DocumentError(SCHEMA, f"<{name}> has no attribute {', '.join(unknown)}")
    if missing := [needed for needed in _REQUIRED.get(name, ()) if needed not in node.attrib]:
        raise DocumentError(SCHEMA, f"<{name}> lacks {', '.join(missing)}")
    text = " ".join("".join(node.itertext()).split())
    if name == "Say":
        _check_speech(node)
        return Element(name, dict(node.attrib), text)
    nouns = _CHILDREN.get(name, ())
    children = tuple(_element(child, nouns) for child in node if isinstance(child.tag, str))
    if nouns and name != "Dial" and _loose_text(node):
        raise DocumentError(SCHEMA, f"<{name}> holds text where nouns belong")
    _check_shape(name, node.attrib, children)
    return Element(name, dict(node.attrib), text, children)


def _check_speech(node: ET.Element) -> None:
    for inner in node.iter():
        if inner is not node and isinstance(inner.tag, str) and inner.tag not in _SSML:
            raise DocumentError(SCHEMA, f"<{inner.tag}> is not allowed in <Say>")


def _check_shape(name: str, attributes: dict[str, str], children: tuple[Element, ...]) -> None:
    if name == "Connect" and len(children) != 1:
        raise DocumentError(SCHEMA, "<Connect> takes exactly one noun")
    if name == "Parameter" and len(attributes["name"]) + len(attributes["value"]) >= _MAX_PARAMETER:
        raise DocumentError(SCHEMA, f"a <Parameter> is {_MAX_PARAMETER} characters or longer")
    if name == "Stream" and attributes.get("track", "inbound_track") != "inbound_track":
        raise DocumentError(SCHEMA, "a bidirectional stream has the inbound track only")


def _loose_text(node: ET.Element) -> bool:
    return bool((node.text or "").strip()) or any((child.tail or "").strip() for child in node)
