"""Answering-machine detection: when which verdict comes (https://www.twilio.com/docs/voice/answering-machine-detection)."""

from dataclasses import dataclass

from agenx_cli.sim.carrier.line import Phone


@dataclass(frozen=True, slots=True)
class Detection:
    """What was asked for. Without ``background`` (AsyncAmd) the document waits for the verdict."""

    until_message_end: bool
    background: bool
    timeout_s: int
    url: str | None
    method: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """``answered_by`` in the callback's words, ``recorded`` in those of the Call resource; ms from the answer."""

    answered_by: str
    recorded: str | None
    at_ms: int


def verdict(detection: Detection, phone: Phone) -> Verdict:
    """What detection says of this phone, and when: ``unknown`` when it would take longer than its timeout."""
    machine = phone.answered_by == "machine"
    waits_for_end = machine and detection.until_message_end
    at_ms = phone.end_of_greeting_ms if waits_for_end else phone.machine_verdict_ms
    if at_ms > detection.timeout_s * 1000:
        return Verdict("unknown", None, detection.timeout_s * 1000)
    if not machine:
        known = phone.answered_by in ("human", "fax")
        return Verdict(phone.answered_by if known else "unknown", "human" if known else None, at_ms)
    return Verdict("machine_end_beep" if waits_for_end else "machine_start", "machine", at_ms)
