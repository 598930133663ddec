"""What callees answered: one value per attempt and field of the playbook."""

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert

from agenx_cli.store.database import Database
from agenx_cli.store.tables import answers


class Answers:
    """The table of answers. Every method is one transaction and may raise StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, attempt_uid: str, field: str, value: str) -> None:
        """Write an answer down; a later one for the same field replaces it."""
        row = insert(answers).values(attempt_uid=attempt_uid, field=field, value=value)
        with self._database.write() as connection:
            connection.execute(row.on_conflict_do_update(["attempt_uid", "field"], set_={"value": value}))

    def of(self, attempt_uid: str) -> dict[str, str]:
        """Field → value of one call."""
        query = select(answers.c.field, answers.c.value).where(answers.c.attempt_uid == attempt_uid)
        with self._database.read() as connection:
            return {field: str(value) for field, value in connection.execute(query.order_by(answers.c.field))}
