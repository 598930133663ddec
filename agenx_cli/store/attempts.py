"""Attempts: the intent, the call that belongs to it, what is reported about it, and how it ended."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, TextClause, select, text, update

from agenx_cli.core.attempt import CallEvent, CarrierStatus, Facts, NotPlaced, Phase
from agenx_cli.core.lead import E164
from agenx_cli.core.policy import SUPPRESSED, Defer, History, Refuse, gate
from agenx_cli.store import tickets
from agenx_cli.store.attempt_rows import add, adopt, change, fold_into, load, load_by_call, record_of
from agenx_cli.store.database import Database
from agenx_cli.store.records import (
    Adopted,
    Attempt,
    Conflict,
    EventRecord,
    Figures,
    NewAttempt,
    NewInbound,
)
from agenx_cli.store.tables import attempt_events, attempts, suppression

DIAL_S = 10
"""How long the one request that places a call may take."""
_SLACK_S = 60
"""Added to ring and talk time: by then a call in flight is over, or has been looked at."""
_LOST = text("disposition = 'lost'")
_CARRIERS_WORD = ("cost_carrier_usd", "carrier_priced")
_LIVE = attempts.c.phase < int(Phase.ENDED)


class Attempts:
    """Queries on attempts. Each method is one transaction and raises StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- the intent

    def admit(self, new: NewAttempt, now: datetime, *, rehearsal: bool = False) -> Attempt | Defer | Refuse:
        """Ask the gate and write the dial intent in one transaction. Only an Attempt may be dialed."""
        with self._database.write() as connection:
            verdict = gate(E164(new.phone), _history(connection, new.phone, now), now, rehearsal=rehearsal)
            if isinstance(verdict, Defer | Refuse):
                return verdict
            return add(
                connection,
                uid=new.uid,
                direction="outbound",
                phone=new.phone,
                our_number=new.our_number,
                playbook=new.playbook,
                variables=new.variables,
                record=new.record,
                ring_s=new.ring_s,
                time_limit_s=new.time_limit_s,
                owner=new.owner,
                ticket_hash=tickets.hashed(new.ticket),
                facts=Facts(),
                created_at=now,
                changed_at=now,
            )

    def begin_dial(self, attempt: Attempt, now: datetime) -> Attempt | Refuse | None:
        """The fence right before the request: committed, it says that a call may exist from here on.

        None: another owner has the attempt, or it was begun or ended before, or its end was asked for meanwhile (it
        ends here, not placed); do not dial. An opt-out that came after the intent wins here: the attempt ends, and
        Refuse is the answer.
        """
        with self._database.write() as connection:
            stored = load(connection, attempt.uid)
            if stored is None or stored.dialed_at is not None or stored.phase is not Phase.DIALING:
                return None
            if (stored.owner, stored.epoch) != (attempt.owner, attempt.epoch):
                return None
            if _suppressed(connection, stored.phone):
                event = NotPlaced(SUPPRESSED.code)
                fold_into(connection, stored, event, "not_placed", now, error=SUPPRESSED.sentence)
                return Refuse(SUPPRESSED)
            if stored.facts.hung_up_by_us:
                event = NotPlaced(min(stored.facts.hung_up_by_us))
                fold_into(connection, stored, event, "not_placed", now, error="ended before it was dialed")
                return None
            deadline = now + timedelta(seconds=DIAL_S)
            return change(connection, stored.uid, now, dialed_at=now, dial_deadline=deadline)

    def adopt(self, uid: str, call_id: str, now: datetime) -> Adopted | Conflict | None:
        """The carrier has this call for the attempt. The first id wins.

        None: no such attempt, or the call is another attempt's and none of ours to touch.
        """
        with self._database.write() as connection:
            return adopt(connection, uid, call_id, now)

    # --- reports

    def fold(self, uid: str, event: CallEvent, key: str, now: datetime, *, error: str | None = None) -> Attempt | None:
        """Keep a report once (``key`` tells repetitions) and join it to the facts. None: no such attempt."""
        with self._database.write() as connection:
            attempt = load(connection, uid)
            if attempt is None:
                return None
            columns = {} if error is None else {"error": error}
            return fold_into(connection, attempt, event, key, now, **columns)

    def report(self, uid: str, call_id: str, event: CallEvent, key: str, now: datetime) -> Adopted | Conflict | None:
        """A callback: adopt the call and fold the report, together. Only an Adopted one was folded."""
        with self._database.write() as connection:
            outcome = adopt(connection, uid, call_id, now)
            if isinstance(outcome, Adopted):
                return Adopted(fold_into(connection, outcome.attempt, event, key, now))
            return outcome

    def finish(self, uid: str, figures: Figures, now: datetime) -> Attempt | None:
        """Store what a call took; only what is not None, so it may be called again as more is known.

        None: no such attempt.
        """
        values = {name: value for name, value in asdict(figures).items() if value is not None}
        with self._database.write() as connection:
            known = load(connection, uid)
            if known is not None and known.figures.carrier_priced and not figures.carrier_priced:
                values = {name: value for name, value in values.items() if name not in _CARRIERS_WORD}
            if known is None or not values:
                return known
            connection.execute(update(attempts).where(attempts.c.uid == uid).values(changed_at=now, **values))
            return load(connection, uid)

    # --- inbound

    def open_inbound(self, new: NewInbound, now: datetime) -> Attempt:
        """A call rings in. Told twice, it stays one attempt; the newest ticket is the one that counts until used."""
        ticket = {
            "ticket_hash": tickets.hashed(new.ticket),
            "ticket_expires_at": now + timedelta(seconds=new.ticket_ttl_s),
        }
        with self._database.write() as connection:
            known = load_by_call(connection, new.carrier_call_id)
            if known is not None:
                return known if known.ticket_used_at else change(connection, known.uid, now, **ticket)
            return add(
                connection,
                uid=new.uid,
                direction="inbound",
                phone=new.phone,
                our_number=new.our_number,
                playbook=new.playbook,
                variables=new.variables,
                record=new.record,
                ring_s=0,
                time_limit_s=new.time_limit_s,
                owner=new.owner,
                carrier_call_id=new.carrier_call_id,
                facts=Facts(status=CarrierStatus.RINGING, accepted=True),
                created_at=now,
                changed_at=now,
                **ticket,
            )

    def burn_ticket(self, uid: str, ticket: str, call_id: str, now: datetime) -> Attempt | None:
        """Admit a media stream once. None: wrong, used, too late, of another call, or the attempt is over, or is to be.

        An outbound ticket is good until it is used or the attempt is over, and its first use adopts the call; an
        inbound one only for its own call and 60 s. A wrong try burns nothing.
        """
        if not (uid.isascii() and call_id.isascii()):  # text that UTF-8 cannot hold must not reach the database
            return None
        with self._database.write() as connection:
            stored = connection.execute(select(attempts).where(attempts.c.uid == uid)).fetchone()
            if not tickets.fits(ticket, None if stored is None else stored.ticket_hash) or stored is None:
                return None
            attempt = record_of(stored)
            unwanted = attempt.over or attempt.facts.interrupted or attempt.facts.hung_up_by_us
            if attempt.ticket_used_at is not None or unwanted:
                return None
            if stored.ticket_expires_at is not None and now >= stored.ticket_expires_at:
                return None
            if not isinstance(adopt(connection, uid, call_id, now), Adopted):
                return None
            return change(connection, uid, now, ticket_used_at=now)

    # --- whose, and when looked at

    def take_over(self, attempt: Attempt, owner: str, now: datetime) -> Attempt | None:
        """Make a dead owner's attempt mine. None when somebody else was faster."""
        with self._database.write() as connection:
            stored = load(connection, attempt.uid)
            if stored is None or (stored.owner, stored.epoch) != (attempt.owner, attempt.epoch):
                return None
            return change(connection, attempt.uid, now, owner=owner, epoch=attempt.epoch + 1)

    def looked(self, uid: str, now: datetime) -> None:
        """The carrier was asked about it, whatever it said."""
        with self._database.write() as connection:
            connection.execute(
                update(attempts).where(attempts.c.uid == uid).values(looked_at=now, looks=attempts.c.looks + 1)
            )

    # --- reading

    def get(self, uid: str) -> Attempt | None:
        """One attempt, or None."""
        with self._database.read() as connection:
            return load(connection, uid)

    def of_call(self, call_id: str) -> Attempt | None:
        """The attempt that has this call of the carrier, or None."""
        with self._database.read() as connection:
            return load_by_call(connection, call_id)

    def events(self, uid: str) -> tuple[EventRecord, ...]:
        """Every report about an attempt, in the order of arrival."""
        query = select(attempt_events).where(attempt_events.c.attempt_uid == uid).order_by(attempt_events.c.id)
        with self._database.read() as connection:
            return tuple(EventRecord(row.key, row.kind, dict(row.body), row.at) for row in connection.execute(query))

    def live(self, owner: str | None = None) -> tuple[Attempt, ...]:
        """Attempts that are not over (of one owner), oldest first."""
        query = select(attempts).where(_LIVE)
        return self._all(query if owner is None else query.where(attempts.c.owner == owner))

    def orphans(self, owner: str) -> tuple[Attempt, ...]:
        """Attempts that are not over and belong to anybody but ``owner``."""
        return self._all(select(attempts).where(_LIVE, attempts.c.owner != owner))

    def resurfaced(self, looks: int) -> tuple[Attempt, ...]:
        """Attempts given up as lost whose call then showed itself: it must be hung up and accounted for."""
        return self._all(
            select(attempts).where(
                attempts.c.disposition == "lost",
                attempts.c.carrier_call_id.is_not(None),
                attempts.c.looks < looks,
            )
        )

    def unpriced(self, since: datetime, until: datetime) -> tuple[Attempt, ...]:
        """Answered calls that ended between two moments, whose carrier was not asked for its price since."""
        return self._all(
            select(attempts).where(
                attempts.c.carrier_priced.is_(None),
                attempts.c.answered_at.is_not(None),
                attempts.c.carrier_call_id.is_not(None),
                attempts.c.ended_at.between(since, until),
                ~_LIVE,
            )
        )

    def ask_prices_again(self, since: datetime) -> None:
        """Calls that ended after a moment, and had no price when the carrier was asked, are asked about once more."""
        waiting = attempts.c.carrier_priced.is_(False) & (attempts.c.ended_at >= since)
        with self._database.write() as connection:
            connection.execute(update(attempts).where(waiting).values(carrier_priced=None))

    def list(self, limit: int = 50, *, phone: str | None = None) -> tuple[Attempt, ...]:
        """The newest attempts first."""
        query = select(attempts).order_by(attempts.c.created_at.desc(), attempts.c.uid).limit(limit)
        with self._database.read() as connection:
            rows = connection.execute(query if phone is None else query.where(attempts.c.phone == phone))
            return tuple(record_of(row) for row in rows)

    def _all(self, query: "Select[tuple[Any, ...]]") -> tuple[Attempt, ...]:
        ordered = query.order_by(attempts.c.created_at, attempts.c.uid)
        with self._database.read() as connection:
            return tuple(record_of(row) for row in connection.execute(ordered))


def _history(connection: Connection, phone: str, now: datetime) -> History:
    """A lost attempt holds its number for as long as its call could last, were it up after all."""
    lost = [end for end in _ends(connection, phone, _LOST) if end > now]
    ends = [*_ends(connection, phone, _LIVE), *lost]
    return History(suppressed=_suppressed(connection, phone), in_flight_until=max(ends, default=None))


def _ends(connection: Connection, phone: str, which: "ColumnElement[bool] | TextClause") -> list[datetime]:
    """By when the calls of these attempts are over, whatever became of them."""
    query = select(attempts.c.created_at, attempts.c.ring_s, attempts.c.time_limit_s)
    rows = connection.execute(query.where(which, attempts.c.phone == phone)).fetchall()
    return [row.created_at + timedelta(seconds=row.ring_s + row.time_limit_s + _SLACK_S) for row in rows]


def _suppressed(connection: Connection, phone: str) -> bool:
    query = select(suppression.c.number).where(suppression.c.number == phone)
    return connection.execute(query).fetchone() is not None
