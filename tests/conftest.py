"""What holds for every test: no network but the loopback, no settings of the machine, the same random choices."""

import os
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from agenx_cli.reading import FIELDS

settings.register_profile(
    "ci", derandomize=True, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "light", derandomize=True, deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("search", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

_homes = count()
_OURS = {row.env for row in FIELDS.values()} | {"AGENX_PROFILE", "NO_COLOR", "FORCE_COLOR"}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No setting of the machine reaches a test; each has a data directory of its own (not made yet)."""
    for name in list(os.environ):
        if name in _OURS or name.startswith("AGENX_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    home = tmp_path_factory.getbasetemp() / f"home-{next(_homes)}"
    monkeypatch.setenv("AGENX_HOME", str(home))
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "80")
    return home
