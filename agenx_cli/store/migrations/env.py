"""Alembic's entry: the connection and its transaction belong to ``store.database``."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()
