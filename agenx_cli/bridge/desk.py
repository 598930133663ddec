"""The desk: every live call of this process, and what a call is given before it begins.

It is the ``CallDesk`` of the engine (prepare a dial, hang up) and the owner of the sessions. A stream becomes a call
only after its ticket was burnt; no model is asked for anything before that.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from agenx_cli.bridge import documents
from agenx_cli.bridge.journal import Journal
from agenx_cli.bridge.live import Live, Progressed
from agenx_cli.bridge.on_offer import OnOffer
from agenx_cli.bridge.recorder import Recorder
from agenx_cli.bridge.records import CallRecord
from agenx_cli.bridge.session import CallSession, Stream, Wire
from agenx_cli.bridge.ticker import Ticker
from agenx_cli.bridge.tools import Toolbox
from agenx_cli.core import signals
from agenx_cli.core.attempt import AnsweredBy, CallEvent, StreamStarted
from agenx_cli.core.conversation import Conversation
from agenx_cli.core.cost import PriceTable, price_apart, price_call
from agenx_cli.core.lead import region_of
from agenx_cli.core.playbook import (
    Playbook,
    render_instructions,
    render_opening,
    tool_schemas,
)
from agenx_cli.errors import RemoteProtocolError, StoreError
from agenx_cli.ports import Assignment, Calendar, CallPlan, Carrier, Clock, SessionConfig, VoiceModel
from agenx_cli.store.records import Attempt, Conflict, Figures
from agenx_cli.store.store import Store
from agenx_cli.telephony.twilio import media

logger = logging.getLogger(__name__)

DEFAULT_MODEL = "gpt-realtime-2.1"
NEWS_KEPT = 1_000
CLOSE_WITHIN_S = 6.0
"""How long sessions may take to hang up and write when the process ends."""
START_WITHIN_S = 5.0
"""A socket that has not said which call it is by then is closed."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What the desk needs of the world. ``model`` and ``voice_name``, where set, outweigh the playbook's."""

    store: Store
    carrier: Carrier
    voice: VoiceModel
    calendar: Calendar
    clock: Clock
    prices: PriceTable
    home: Path
    playbooks: Callable[[str], Playbook]
    model: str | None = None
    voice_name: str | None = None


class Desk:
    """One process's calls. ``origin`` is the public address (``https://name``), known once the tunnel is up."""

    def __init__(self, outside: Outside, *, origin: str = "") -> None:
        self.origin = origin
        self.live = Live()
        self.journal = Journal()
        self.draining = False
        self.changed: Callable[[Attempt], None] = lambda _attempt: None
        self._outside = outside
        self._ticker = Ticker()
        self._on_offer = OnOffer()
        self._sessions: dict[str, CallSession] = {}
        self._assignments: dict[str, Assignment] = {}
        self._last_news: dict[str, Progressed] = {}
        self._empty = asyncio.Event()
        self._empty.set()

    # --- life

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Calls can be served while the block runs."""
        ticking = asyncio.create_task(self._ticker.run())
        try:
            yield
        finally:
            await self._close_sessions()
            ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await ticking
            await asyncio.to_thread(self.journal.close)

    async def _close_sessions(self) -> None:
        """Whatever still talks is hung up, and written down before the journal closes."""
        self.draining = True
        self.end_all("drain", polite=False)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await self.emptied()

    @property
    def calls(self) -> tuple[str, ...]:
        """The attempts whose media runs through this process."""
        return tuple(self._sessions)

    async def left(self, attempt_uid: str) -> None:
        """Wait until a call's media is over and all of it is written down."""
        session = self._sessions.get(attempt_uid)
        if session is not None:
            await session.finished.wait()
        await self.journal.write(lambda: None)

    async def emptied(self) -> None:
        """Wait until no call is live."""
        await self._empty.wait()

    def end_all(self, reason: str, *, polite: bool) -> None:
        """Ask every live call to end."""
        for session in tuple(self._sessions.values()):
            session.end(reason, polite=polite)

    # --- for the engine

    def prepare(self, attempt_uid: str, ticket: str, assignment: Assignment) -> CallPlan:
        """The document and the addresses for an attempt that is about to be dialed."""
        self._assignments[attempt_uid] = assignment
        return documents.plan(self.origin, attempt_uid, ticket, assignment)

    async def hang_up(self, attempt_uid: str, reason: str, *, polite: bool) -> bool:
        """End a live call of this process. False when it has none of that attempt."""
        session = self._sessions.get(attempt_uid)
        if session is not None:
            session.end(reason, polite=polite)
        return session is not None

    # --- for the routes

    def answer(self, attempt_uid: str, ticket: str, assignment: Assignment) -> str:
        """The document for an inbound call."""
        self._assignments[attempt_uid] = assignment
        return documents.document(self.origin, attempt_uid, ticket, assignment, inbound=True)

    async def report(self, attempt_uid: str, call_id: str, event: CallEvent, key: str) -> Attempt | None:
        """The carrier tells something about a call: adopt it, fold it, tell whoever watches.

        A carrier's call that is not the one we know of this attempt is a stray: it is hung up before a word.
        """
        store, now = self._outside.store, self._outside.clock.now()
        outcome = await self.journal.write(lambda: store.attempts.report(attempt_uid, call_id, event, key, now))
        if isinstance(outcome, Conflict):
            logger.error("call.stray", extra={"attempt": attempt_uid})
            await self._outside.carrier.hang_up(call_id)
            return None
        if outcome is None:
            return None
        self.changed(outcome.attempt)
        return outcome.attempt

    def machine_verdict(self, attempt_uid: str, kind: AnsweredBy) -> None:
        """The carrier's answering-machine detection has decided."""
        session = self._sessions.get(attempt_uid)
        if session is not None:
            session.answered_by(signals.AnsweredBy(kind.value))

    def progressed(self, attempt: Attempt) -> None:
        """An attempt's row changed, whoever changed it: tell who watches, and price a call that is over.

        The carrier may say that a call is over before its session has written down why: that end is told when the
        session is gone.
        """
        if attempt.over and attempt.uid in self._sessions:
            return
        if attempt.over:
            self._assignments.pop(attempt.uid, None)
        if attempt.over and attempt.duration_s is not None and attempt.figures.cost_carrier_usd is None:
            self._price(attempt, attempt.duration_s)
        disposition = attempt.disposition.value if attempt.disposition else None
        news = Progressed(attempt.uid, attempt.direction, attempt.phase.name.lower(), disposition)
        if self._last_news.get(attempt.uid) == news:
            return
        self._last_news[attempt.uid] = news
        if len(self._last_news) > NEWS_KEPT:
            del self._last_news[next(iter(self._last_news))]
        self.live.publish(news)

    def _price(self, attempt: Attempt, seconds: int) -> None:
        """The carrier's share by the price table; its own record may correct it later."""
        streamed = attempt.facts.stream_started_at is not None
        region = region_of(attempt.phone) if attempt.outbound else None
        cost = price_call(seconds, region, self._outside.prices, amd=attempt.outbound, stream=streamed)
        if cost is not None:
            store, now = self._outside.store, self._outside.clock.now()
            self.journal.note(lambda: store.attempts.finish(attempt.uid, Figures(cost_carrier_usd=cost), now))

    def apart(self, attempt: Attempt) -> float:
        """USD that the carrier bills for an attempt outside of the price that stands in the call's own record."""
        region = region_of(attempt.phone) if attempt.outbound else None
        return price_apart(attempt.duration_s or 0, region, self._outside.prices, amd=attempt.outbound)

    # --- a stream

    async def serve(self, stream: Stream) -> None:
        """One accepted socket: find out which call it is, then serve that call to its end."""
        frames = stream.frames()
        try:
            async with asyncio.timeout(START_WITHIN_S):
                started = await _start_of(frames)
        except (TimeoutError, RemoteProtocolError) as error:
            logger.warning("stream.refused", extra={"reason": str(error) or "no start in time"})
            started = None
        attempt = await self._admit(started) if started is not None else None
        if started is None or attempt is None:
            await stream.close()
            return
        session = self._session(attempt, Wire(stream, frames, started.stream_sid, started.call_sid))
        self._sessions[attempt.uid] = session
        self._empty.clear()
        if attempt.answered_by is not None:
            session.answered_by(signals.AnsweredBy(AnsweredBy(attempt.answered_by).value))
        try:
            await session.run()
        finally:
            del self._sessions[attempt.uid]
            self._assignments.pop(attempt.uid, None)
            self._on_offer.forget(attempt.uid)
            try:
                await self._tell_end(attempt.uid)
            finally:
                session.finished.set()
                if not self._sessions:
                    self._empty.set()

    async def _tell_end(self, attempt_uid: str) -> None:
        """The session has written all it knows: now the attempt is what it will stay."""
        store = self._outside.store
        try:
            attempt = await self.journal.write(lambda: store.attempts.get(attempt_uid))
        except StoreError as error:
            logger.warning("call.end_not_read", extra={"attempt": attempt_uid, "reason": error.message})
            return
        if attempt is not None:
            self.changed(attempt)

    async def _admit(self, started: media.Started) -> Attempt | None:
        """Burn the ticket; nobody without one is talked with."""
        uid, ticket = started.parameters.get("attempt", ""), started.parameters.get("ticket", "")
        store, now = self._outside.store, self._outside.clock.now()
        attempt = await self.journal.write(lambda: store.attempts.burn_ticket(uid, ticket, started.call_sid, now))
        if attempt is None:
            logger.warning("stream.refused", extra={"reason": "no valid ticket"})
            return None
        event = StreamStarted(now)
        attempt = await self.journal.write(lambda: store.attempts.fold(uid, event, "stream.started", now))
        if attempt is not None:
            self.changed(attempt)
        return attempt

    def _session(self, attempt: Attempt, wire: Wire) -> CallSession:
        outside = self._outside
        assignment = self._assignments.get(attempt.uid) or Assignment(
            outside.playbooks(attempt.playbook), attempt.variables, attempt.record
        )
        playbook = assignment.playbook
        inbound = not attempt.outbound
        now = outside.clock.now()
        config = SessionConfig(
            instructions=render_instructions(playbook, assignment.variables, now, inbound=inbound),
            language=playbook.language,
            voice=outside.voice_name or playbook.voice,
            model=outside.model or playbook.model or DEFAULT_MODEL,
            detection=playbook.detection,
            tools=tool_schemas(playbook),
            keywords=playbook.keywords,
        )
        limits = replace(playbook.limits, max_call=min(playbook.limits.max_call, attempt.time_limit_s))
        return CallSession(
            wire=wire,
            conversation=Conversation(
                opening=render_opening(playbook, assignment.variables, inbound=inbound), limits=limits
            ),
            config=config,
            voice=outside.voice,
            toolbox=Toolbox(
                attempt_uid=attempt.uid,
                callee=attempt.phone,
                playbook=playbook,
                store=outside.store,
                calendar=outside.calendar,
                clock=outside.clock,
                on_offer=self._on_offer,
            ),
            record=CallRecord(
                attempt=attempt,
                model=config.model,
                store=outside.store,
                journal=self.journal,
                clock=outside.clock,
                prices=outside.prices,
            ),
            live=self.live,
            ticker=self._ticker,
            hang_up=outside.carrier.hang_up,
            recorder=self._recorder(attempt.uid) if assignment.record else None,
        )

    def _recorder(self, attempt_uid: str) -> Recorder | None:
        """A call that cannot be recorded is held all the same."""
        try:
            return Recorder(self._outside.home / "recordings" / f"{attempt_uid}.wav")
        except StoreError as error:
            logger.warning("recording.refused", extra={"attempt": attempt_uid, "reason": error.message})
            return None


async def _start_of(frames: AsyncIterator[str | bytes]) -> media.Started | None:
    """Read up to the start frame; None when the socket closed before."""
    async for frame in frames:
        match media.decode(frame):
            case media.Started() as started:
                return started
            case media.Connected() | media.Unknown():
                continue
            case _:
                raise RemoteProtocolError("media before the start of its stream")
    return None
