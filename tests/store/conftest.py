"""A real SQLite file for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agenx_cli.store.store import Store, open_store


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'home' / 'agenx.db'}"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = open_store(url)
    yield opened
    opened.close()
