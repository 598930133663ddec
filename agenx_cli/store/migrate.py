"""Numbered migrations, shipped inside the package and run by alembic on a connection that is already ours."""

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

SCRIPTS = "agenx_cli.store:migrations"


def config() -> Config:
    """What alembic needs to find the scripts, without an ini file."""
    settings = Config()
    settings.set_main_option("script_location", SCRIPTS)
    return settings


def upgrade(connection: Connection) -> None:
    """Run every migration that is due, inside the caller's transaction: all of them happen or none."""
    settings = config()
    settings.attributes["connection"] = connection
    command.upgrade(settings, "head")
