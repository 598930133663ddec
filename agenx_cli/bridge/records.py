"""What is written down about one call while it is talked: transcript, figures, usage and money."""

import logging
from collections import Counter
from pathlib import Path
from typing import Any

from agenx_cli.bridge.journal import Journal
from agenx_cli.core.attempt import AnsweredBy, CallEvent, ConversationEnded, MachineVerdict, StreamEnded
from agenx_cli.core.conversation import Conversation
from agenx_cli.core.cost import PriceTable, price_reply, price_transcription
from agenx_cli.core.signals import Line, Measured, Used
from agenx_cli.errors import AgenxError
from agenx_cli.ports import Clock
from agenx_cli.store.records import Attempt, Figures
from agenx_cli.store.store import Store

logger = logging.getLogger(__name__)

TRANSCRIPTION_MODEL = "gpt-transcribe"


class CallRecord:
    """One call's records. Nothing here waits: the journal writes, in order."""

    def __init__(
        self, *, attempt: Attempt, model: str, store: Store, journal: Journal, clock: Clock, prices: PriceTable
    ) -> None:
        self.attempt_uid = attempt.uid
        self._model = model
        self._store = store
        self._journal = journal
        self._clock = clock
        self._prices = prices
        self._usage: Counter[str] = Counter()
        self._cost_usd = 0.0
        self._cost_known = True
        self._first_word_ms: int | None = None
        self._recording: Path | None = None
        self._error: str | None = None
        self._fault: str | None = None

    def line(self, line: Line) -> None:
        """A line of the transcript, new or better known."""
        uid = self.attempt_uid
        self._journal.note(
            lambda: self._store.transcripts.put(
                uid, line.key, line.speaker, line.text, line.at_ms, line.heard_ms, final=line.final
            )
        )

    def measured(self, figure: Measured) -> None:
        """A figure about the call."""
        if figure.name == "first_word_ms":
            self._first_word_ms = figure.value
        elif figure.name == "verdict_ignored":
            self._fold(MachineVerdict(AnsweredBy.HUMAN), "verdict:overruled")
        elif figure.name == "fault":
            self._fault = figure.detail
            logger.warning("call.fault", extra={"attempt": self.attempt_uid, "code": figure.detail})
        logger.debug("call.measured", extra={"attempt": self.attempt_uid, "figure": figure.name, "n": figure.value})

    def used(self, used: Used) -> None:
        """Usage of the model, priced and saved at once: a crash must not forget money."""
        if used.kind == "reply":
            cost = price_reply(used.usage, self._model, self._prices)
        else:
            cost = price_transcription(used.usage, TRANSCRIPTION_MODEL, self._prices)
        self._cost_known = self._cost_known and cost is not None
        self._cost_usd += cost or 0.0
        self._usage.update(_flat(used.usage, f"{used.kind}."))
        self._save(Figures(usage=dict(self._usage), cost_voice_usd=self._cost_usd if self._cost_known else None))

    def trouble(self, error: AgenxError) -> None:
        """The model could not be had."""
        logger.error("call.no_model", extra={"attempt": self.attempt_uid, "reason": error.message})
        self._error = error.message

    def recorded(self, path: Path) -> None:
        """The recording lies here."""
        self._recording = path

    def ended(self, conversation: Conversation) -> None:
        """The conversation and its stream are over; the telephone call may still have to be seen to its end."""
        self._save(
            Figures(
                cost_voice_usd=self._cost_usd if self._cost_known else None,
                first_word_ms=self._first_word_ms,
                turns=conversation.turns,
                barge_ins=conversation.barge_ins,
                recording=str(self._recording) if self._recording else None,
            )
        )
        if conversation.ending is not None:
            if conversation.ending.reason == "model_failed" and self._error is None:
                self._error = f"the voice model failed: {self._fault or 'no answer'}"
            elif conversation.ending.reason == "stream_lost":
                self._error = "the carrier's media stream broke off"
            self._fold(ConversationEnded(conversation.ending.reason, conversation.turns > 0), "conversation")
        self._fold(StreamEnded(self._clock.now()), "stream.ended")

    def _fold(self, event: CallEvent, key: str) -> None:
        uid, now, error = self.attempt_uid, self._clock.now(), self._error
        self._journal.note(lambda: self._store.attempts.fold(uid, event, key, now, error=error))

    def _save(self, figures: Figures) -> None:
        now = self._clock.now()
        self._journal.note(lambda: self._store.attempts.finish(self.attempt_uid, figures, now))


def _flat(usage: dict[str, Any], prefix: str) -> dict[str, int]:
    """Nested counts as ``reply.input_token_details.audio_tokens`` → n; what is not a count is left out."""
    flat: dict[str, int] = {}
    for key, value in usage.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{key}."))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            flat[prefix + key] = int(value) if float(value).is_integer() else value  # type: ignore[assignment]
    return flat
