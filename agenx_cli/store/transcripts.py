"""What was said in a call. A line may become better known: the same key replaces it."""

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert

from agenx_cli.store.database import Database
from agenx_cli.store.records import TranscriptLine
from agenx_cli.store.tables import transcripts


class Transcripts:
    """Each method is one transaction and raises StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(  # noqa: PLR0917  the order is that of the columns
        self,
        uid: str,
        key: str,
        speaker: str,
        text: str,
        at_ms: int,
        heard_ms: int | None = None,
        *,
        final: bool = True,
    ) -> None:
        """Write or replace a line. A line that is not final never replaces one that is."""
        text = text.encode(errors="replace").decode()  # half a surrogate pair must not lose the line
        row = insert(transcripts).values(
            attempt_uid=uid, key=key, speaker=speaker, text=text, at_ms=at_ms, heard_ms=heard_ms, final=final
        )
        new = row.excluded
        replacing = row.on_conflict_do_update(
            index_elements=[transcripts.c.attempt_uid, transcripts.c.key],
            set_={"text": new.text, "at_ms": new.at_ms, "heard_ms": new.heard_ms, "final": new.final},
            where=new.final | ~transcripts.c.final,
        )
        with self._database.write() as connection:
            connection.execute(replacing)

    def of(self, uid: str) -> tuple[TranscriptLine, ...]:
        """A call's lines in the order in which they were heard."""
        query = select(transcripts).where(transcripts.c.attempt_uid == uid)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(transcripts.c.at_ms, transcripts.c.key))
            return tuple(
                TranscriptLine(row.key, row.speaker, row.text, row.at_ms, row.heard_ms, row.final) for row in rows
            )
