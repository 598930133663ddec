"""The tables: the truth of every attempt, meeting and opt-out.

Moments are integer milliseconds since the epoch, UTC (``Moment`` gives aware datetimes to Python): they sort and
subtract the same in SQLite and PostgreSQL, hold no zone to get wrong and no text to parse. JSON is text.
A change here needs a migration of the next number in ``migrations/versions``; a test compares the two.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


class Moment(TypeDecorator[datetime]):
    """An aware datetime, kept as milliseconds since the epoch."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002  SQLAlchemy's signature
        """To the database. A naive datetime is a mistake of ours and raises ValueError."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs a zone")
        return (value - _EPOCH) // _MS

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002  SQLAlchemy's signature
        """From the database, in UTC."""
        return None if value is None else _EPOCH + value * _MS


metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)


def _attempt(*, primary_key: bool = False) -> "Column[str]":
    return Column("attempt_uid", Text, ForeignKey("attempts.uid"), primary_key=primary_key, nullable=False)


attempts = Table(
    "attempts",
    metadata,
    Column("uid", Text, primary_key=True),
    Column("direction", Text, nullable=False),
    Column("phone", Text, nullable=False),
    Column("our_number", Text, nullable=False),
    Column("playbook", Text, nullable=False),
    Column("variables", JSON, nullable=False),
    Column("record", Boolean(name="record_flag"), nullable=False),
    Column("ring_s", Integer, nullable=False),
    Column("time_limit_s", Integer, nullable=False),
    # who is responsible, and the dial
    Column("owner", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("ticket_hash", Text, nullable=False),
    Column("ticket_expires_at", Moment),
    Column("ticket_used_at", Moment),
    Column("dialed_at", Moment),
    Column("dial_deadline", Moment),
    Column("carrier_call_id", Text),
    Column("looks", Integer, nullable=False),
    Column("looked_at", Moment),
    # what is known
    Column("facts", JSON, nullable=False),
    Column("phase", Integer, nullable=False),
    Column("disposition", Text),
    Column("answered_by", Text),
    Column("error_code", Text),
    Column("error", Text),
    Column("created_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("answered_at", Moment),
    Column("ended_at", Moment),
    Column("duration_s", Integer),
    # what it took
    Column("usage", JSON),
    Column("cost_voice_usd", Float),
    Column("cost_carrier_usd", Float),
    Column("first_word_ms", Integer),
    Column("turns", Integer),
    Column("barge_ins", Integer),
    Column("recording", Text),
    Column("carrier_priced", Boolean(name="carrier_priced_flag")),
)
# Nobody is rung twice at once: phase 6 is ENDED.
Index(
    "one_live_dial_per_number",
    attempts.c.phone,
    unique=True,
    sqlite_where=text("direction = 'outbound' AND phase < 6"),
    postgresql_where=text("direction = 'outbound' AND phase < 6"),
)
Index("one_attempt_per_carrier_call", attempts.c.carrier_call_id, unique=True)
Index(
    "live_attempts",
    attempts.c.owner,
    sqlite_where=text("phase < 6"),
    postgresql_where=text("phase < 6"),
)
Index("attempts_by_time", attempts.c.created_at)
Index(
    "lost_attempts",
    attempts.c.phone,
    sqlite_where=text("disposition = 'lost'"),
    postgresql_where=text("disposition = 'lost'"),
)
Index(
    "attempts_without_price",
    attempts.c.ended_at,
    sqlite_where=text("carrier_priced IS NULL AND answered_at IS NOT NULL"),
    postgresql_where=text("carrier_priced IS NULL AND answered_at IS NOT NULL"),
)

attempt_events = Table(
    "attempt_events",
    metadata,
    Column("id", Integer, primary_key=True),
    _attempt(),
    Column("key", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("body", JSON, nullable=False),
    Column("at", Moment, nullable=False),
    UniqueConstraint("attempt_uid", "key"),
)

transcripts = Table(
    "transcripts",
    metadata,
    _attempt(primary_key=True),
    Column("key", Text, primary_key=True),
    Column("speaker", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("at_ms", Integer, nullable=False),
    Column("heard_ms", Integer),
    Column("final", Boolean(name="final_flag"), nullable=False),
)

suppression = Table(
    "suppression",
    metadata,
    Column("number", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
)

meetings = Table(
    "meetings",
    metadata,
    Column("id", Text, primary_key=True),
    Column("attempt_uid", Text, ForeignKey("attempts.uid")),
    Column("host", Text, nullable=False),
    Column("starts_at", Moment, nullable=False),
    Column("ends_at", Moment, nullable=False),
    Column("status", Text, nullable=False),
    Column("phone", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("zone", Text, nullable=False),
    Column("name", Text),
    Column("email", Text),
    Column("notes", Text),
    Column("calendar", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
)
Index(
    "one_meeting_per_slot",
    meetings.c.host,
    meetings.c.starts_at,
    unique=True,
    sqlite_where=text("status != 'cancelled'"),
    postgresql_where=text("status != 'cancelled'"),
)
Index("meetings_by_attempt", meetings.c.attempt_uid)

answers = Table(
    "answers",
    metadata,
    _attempt(primary_key=True),
    Column("field", Text, primary_key=True),
    Column("value", JSON, nullable=False),
)

callbacks = Table(
    "callbacks",
    metadata,
    _attempt(primary_key=True),
    Column("phone", Text, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("note", Text),
    Column("created_at", Moment, nullable=False),
)

numbers = Table(
    "numbers",
    metadata,
    Column("number", Text, primary_key=True),
    Column("number_id", Text, nullable=False),
    Column("old_url", Text, nullable=False),
    Column("old_method", Text, nullable=False),
    Column("our_url", Text, nullable=False),
    Column("saved_at", Moment, nullable=False),
)

workers = Table(
    "workers",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("pid", Integer, nullable=False),
    Column("host", Text, nullable=False),
    Column("control_url", Text),
    Column("kind", Text, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("ended_at", Moment),
)
