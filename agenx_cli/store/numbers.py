"""What our numbers were set to before we set them, so that a crash cannot make us forget to restore it."""

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert

from agenx_cli.store.database import Database
from agenx_cli.store.records import SavedNumber
from agenx_cli.store.tables import numbers


class Numbers:
    """Each method is one transaction and raises StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(
        self, number: str, number_id: str, *, old_url: str, old_method: str, our_url: str, now: datetime
    ) -> SavedNumber:
        """Remember the old setting before the new one is made.

        Saved twice (we crashed and set it again) the *oldest* setting stays, and ``our_url`` becomes the newest.
        """
        row = insert(numbers).values(
            number=number,
            number_id=number_id,
            old_url=old_url,
            old_method=old_method,
            our_url=our_url,
            saved_at=now,
        )
        again = row.on_conflict_do_update(index_elements=[numbers.c.number], set_={"our_url": row.excluded.our_url})
        with self._database.write() as connection:
            connection.execute(again)
            saved = connection.execute(select(numbers).where(numbers.c.number == number)).one()
            return SavedNumber(**saved._mapping)  # noqa: SLF001  SQLAlchemy's public name for it

    def all(self) -> tuple[SavedNumber, ...]:
        """Numbers whose old setting is still to be restored."""
        with self._database.read() as connection:
            rows = connection.execute(select(numbers).order_by(numbers.c.number))
            return tuple(SavedNumber(**row._mapping) for row in rows)  # noqa: SLF001  as above

    def forget(self, number: str) -> None:
        """It was restored, or is no longer ours to restore."""
        with self._database.write() as connection:
            connection.execute(delete(numbers).where(numbers.c.number == number))
