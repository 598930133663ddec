"""What can be looked at without a network: settings, disk, database, playbook, time zone."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from agenx_cli.cli.doctor.check import Check, failed, passed, refused, skipped
from agenx_cli.errors import AgenxError, SettingsError
from agenx_cli.settings import Settings
from agenx_cli.store.database import HEAD
from agenx_cli.store.store import open_store
from agenx_cli.wiring import playbook_named

ROOM_MB = 500
"""Least free space: a recording takes about 1 MB a minute, and a full disk takes no opt-out."""

_NEEDED = (
    ("OpenAI key", ("openai_api_key",)),
    ("Twilio account", ("twilio_account_sid", "twilio_auth_token")),
    ("our number", ("twilio_phone_number",)),
)


def machine_checks(settings: Settings) -> Iterator[Check]:
    """Everything that needs no network."""
    yield from _settings(settings)
    directory = _directory(settings.home)
    yield directory
    if directory.status == "ok":
        yield _room(settings.home)
        yield _database(settings)
    yield from _playbook(settings)


def _settings(settings: Settings) -> Iterator[Check]:
    for name, fields in _NEEDED:
        try:
            settings.need(*fields)
        except SettingsError as error:
            own = skipped(f"setting: {name}", "none needed: a rehearsal has its own")
            yield own if settings.simulate else refused(f"setting: {name}", error)
        else:
            yield passed(f"setting: {name}", settings.origin(fields[0]))
    yield _address(settings)


def _address(settings: Settings) -> Check:
    name = "setting: public address"
    if settings.public_url:
        return passed(name, f"{settings.public_url} ({settings.origin('public_url')})")
    if settings.carrier_on_loopback or settings.simulate:
        return passed(name, "none needed: the carrier is on this machine")
    if settings.ngrok_authtoken:
        return passed(name, f"ngrok{f', {settings.ngrok_url}' if settings.ngrok_url else ''}")
    return failed(
        name,
        "neither a public URL nor an ngrok token is set",
        "set NGROK_AUTHTOKEN (https://dashboard.ngrok.com/get-started/your-authtoken) or AGENX_PUBLIC_URL",
    )


def _directory(home: Path) -> Check:
    name = "data directory"
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home) as probe:
            probe.write(b"agenx")
    except OSError as exc:
        return failed(name, f"{home} cannot be written: {exc.strerror}", "mend its permissions, or set AGENX_HOME")
    return passed(name, str(home))


def _room(home: Path) -> Check:
    free = shutil.disk_usage(home).free // 1_000_000
    if free < ROOM_MB:
        return failed("disk space", f"{free} MB free", f"free at least {ROOM_MB} MB, or set AGENX_HOME elsewhere")
    return passed("disk space", f"{free // 1000} GB free" if free >= 10_000 else f"{free} MB free")


def _database(settings: Settings) -> Check:
    name = "database"
    try:
        store = open_store(settings.database_url)
    except AgenxError as error:
        return refused(name, error)
    try:
        holder = store.worker.holder()
    except AgenxError as error:
        return refused(name, error)
    finally:
        store.close()
    working = "" if holder is None else f"; agenx {holder.kind} is running (process {holder.pid})"
    return passed(name, f"version {HEAD}{working}")


def _playbook(settings: Settings) -> Iterator[Check]:
    try:
        playbook = playbook_named(settings, None)
    except AgenxError as error:
        yield refused("playbook", error)
        yield skipped("time zone", "the playbook cannot be used")
        return
    yield passed("playbook", f"{playbook.name} ({playbook.locale})")
    if playbook.time_zone is None:
        yield failed("time zone", "no meeting can be offered without one", "set AGENX_TIME_ZONE, as Europe/Madrid")
    else:
        yield passed("time zone", playbook.time_zone)
