"""The store: one database, its aggregates by name."""

from agenx_cli.store.answers import Answers
from agenx_cli.store.attempts import Attempts
from agenx_cli.store.callbacks import Callbacks
from agenx_cli.store.database import Database, open_database
from agenx_cli.store.meetings import Meetings
from agenx_cli.store.numbers import Numbers
from agenx_cli.store.suppression import SuppressionList
from agenx_cli.store.transcripts import Transcripts
from agenx_cli.store.worker import Worker


class Store:
    """Everything that is remembered. May be used from several threads; every call may raise StoreError."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.attempts = Attempts(database)
        self.meetings = Meetings(database)
        self.suppression = SuppressionList(database)
        self.transcripts = Transcripts(database)
        self.answers = Answers(database)
        self.callbacks = Callbacks(database)
        self.numbers = Numbers(database)
        self.worker = Worker(database)

    def close(self) -> None:
        """Let go of the file."""
        self.database.close()


def open_store(url: str) -> Store:
    """Open (create, migrate when due) the database that ``url`` names. Raises StoreError with a fix."""
    return Store(open_database(url))
