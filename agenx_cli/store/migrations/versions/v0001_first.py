"""One call, whole: attempts and their events, transcripts, meetings, suppression, what tools write down."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table."""
    _attempts()
    _indexes_of_attempts()
    _of_attempts()
    _meetings()
    _agreed()
    _house()


def _attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("our_number", sa.Text(), nullable=False),
        sa.Column("playbook", sa.Text(), nullable=False),
        sa.Column("variables", sa.JSON(), nullable=False),
        sa.Column("record", sa.Boolean(), nullable=False),
        sa.Column("ring_s", sa.Integer(), nullable=False),
        sa.Column("time_limit_s", sa.Integer(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("ticket_hash", sa.Text(), nullable=False),
        sa.Column("ticket_expires_at", sa.BigInteger()),
        sa.Column("ticket_used_at", sa.BigInteger()),
        sa.Column("dialed_at", sa.BigInteger()),
        sa.Column("dial_deadline", sa.BigInteger()),
        sa.Column("carrier_call_id", sa.Text()),
        sa.Column("looks", sa.Integer(), nullable=False),
        sa.Column("looked_at", sa.BigInteger()),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("phase", sa.Integer(), nullable=False),
        sa.Column("disposition", sa.Text()),
        sa.Column("answered_by", sa.Text()),
        sa.Column("error_code", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("answered_at", sa.BigInteger()),
        sa.Column("ended_at", sa.BigInteger()),
        sa.Column("duration_s", sa.Integer()),
        sa.Column("usage", sa.JSON()),
        sa.Column("cost_voice_usd", sa.Float()),
        sa.Column("cost_carrier_usd", sa.Float()),
        sa.Column("first_word_ms", sa.Integer()),
        sa.Column("turns", sa.Integer()),
        sa.Column("barge_ins", sa.Integer()),
        sa.Column("recording", sa.Text()),
        sa.Column("carrier_priced", sa.Boolean()),
        sa.PrimaryKeyConstraint("uid", name="pk_attempts"),
    )


def _indexes_of_attempts() -> None:
    live = sa.text("phase < 6")
    outbound = sa.text("direction = 'outbound' AND phase < 6")
    op.create_index(
        "one_live_dial_per_number",
        "attempts",
        ["phone"],
        unique=True,
        sqlite_where=outbound,
        postgresql_where=outbound,
    )
    op.create_index("one_attempt_per_carrier_call", "attempts", ["carrier_call_id"], unique=True)
    op.create_index("live_attempts", "attempts", ["owner"], sqlite_where=live, postgresql_where=live)
    op.create_index("attempts_by_time", "attempts", ["created_at"])
    lost = sa.text("disposition = 'lost'")
    op.create_index("lost_attempts", "attempts", ["phone"], sqlite_where=lost, postgresql_where=lost)
    unpriced = sa.text("carrier_priced IS NULL AND answered_at IS NOT NULL")
    op.create_index(
        "attempts_without_price", "attempts", ["ended_at"], sqlite_where=unpriced, postgresql_where=unpriced
    )


def _of_attempts() -> None:
    op.create_table(
        "attempt_events",
        sa.Column("id", sa.Integer(), nullable=False),
        _attempt("attempt_events"),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_attempt_events"),
        sa.UniqueConstraint("attempt_uid", "key", name="uq_attempt_events_attempt_uid_key"),
    )
    op.create_table(
        "transcripts",
        _attempt("transcripts"),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("speaker", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.Integer(), nullable=False),
        sa.Column("heard_ms", sa.Integer()),
        sa.Column("final", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("attempt_uid", "key", name="pk_transcripts"),
    )


def _meetings() -> None:
    op.create_table(
        "meetings",
        sa.Column("id", sa.Text(), nullable=False),
        _attempt("meetings", nullable=True),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("email", sa.Text()),
        sa.Column("notes", sa.Text()),
        sa.Column("calendar", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_meetings"),
    )
    standing = sa.text("status != 'cancelled'")
    op.create_index(
        "one_meeting_per_slot",
        "meetings",
        ["host", "starts_at"],
        unique=True,
        sqlite_where=standing,
        postgresql_where=standing,
    )
    op.create_index("meetings_by_attempt", "meetings", ["attempt_uid"])


def _agreed() -> None:
    op.create_table(
        "answers",
        _attempt("answers"),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("attempt_uid", "field", name="pk_answers"),
    )
    op.create_table(
        "callbacks",
        _attempt("callbacks"),
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("attempt_uid", name="pk_callbacks"),
    )


def _house() -> None:
    op.create_table(
        "suppression",
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_suppression"),
    )
    op.create_table(
        "numbers",
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("number_id", sa.Text(), nullable=False),
        sa.Column("old_url", sa.Text(), nullable=False),
        sa.Column("old_method", sa.Text(), nullable=False),
        sa.Column("our_url", sa.Text(), nullable=False),
        sa.Column("saved_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_numbers"),
    )
    op.create_table(
        "workers",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("control_url", sa.Text()),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("owner", name="pk_workers"),
    )


def _attempt(table: str, *, nullable: bool = False) -> "sa.Column[str]":
    key = sa.ForeignKey("attempts.uid", name=f"fk_{table}_attempt_uid")
    return sa.Column("attempt_uid", sa.Text(), key, nullable=nullable)
