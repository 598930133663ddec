"""How each setting is spelled and read, and the files it may stand in (used by ``settings`` alone)."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agenx_cli.errors import SettingsError

_CENTURY_S = 100 * 366 * 86_400


def _text(raw: str) -> str:
    if any(ord(char) < 32 or ord(char) == 127 for char in raw):
        raise ValueError("it has control characters")
    if not raw.strip():
        raise ValueError("it is blank")
    return raw.strip()


def directory(raw: str) -> Path:
    """A directory that a person named; ``~`` is theirs. Raises ValueError."""
    try:
        return Path(_text(raw)).expanduser()
    except RuntimeError:
        raise ValueError("there is no such user") from None


def _matching(pattern: str, complaint: str) -> Callable[[str], str]:
    compiled = re.compile(pattern)

    def read(raw: str) -> str:
        if not compiled.fullmatch(raw.strip()):
            raise ValueError(complaint)
        return raw.strip()

    return read


def _secret(raw: str) -> str:
    if not re.fullmatch(r"[!-~]+", raw.strip()):
        raise ValueError("a key has only visible ASCII characters and no spaces")
    return raw.strip()


def _port(raw: str) -> int:
    if not (re.fullmatch(r"[0-9]{1,5}", raw.strip()) and int(raw) <= 65535):
        raise ValueError("a port is a number from 0 to 65535")
    return int(raw)


def _yes_no(raw: str) -> bool:
    word = raw.strip().lower()
    if word not in {"1", "true", "yes", "on", "0", "false", "no", "off"}:
        raise ValueError("say 1 or 0")
    return word in {"1", "true", "yes", "on"}


def _seconds(raw: str) -> float:
    seconds = float(raw)
    if not abs(seconds) < _CENTURY_S:
        raise ValueError("it is a number of seconds")
    return seconds


def _one_of(*words: str) -> Callable[[str], str]:
    def read(raw: str) -> str:
        if raw.strip().lower() not in words:
            raise ValueError(f"it is one of {', '.join(words)}")
        return raw.strip().lower()

    return read


def _zone(raw: str) -> str:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        ZoneInfo(raw.strip())
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("it is not a time zone of the IANA database") from None
    return raw.strip()


def _url(raw: str) -> str:
    """An http(s) address without trailing slash; plain http only to this machine."""
    from urllib.parse import urlsplit

    parts = urlsplit(_text(raw))
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("it is not an http(s) address")
    if parts.username is not None:
        raise ValueError("an address must not carry a name or password")
    _ = parts.port  # raises ValueError when it is no port
    if parts.scheme == "http" and not is_loopback(raw):
        raise ValueError("plain http is only for this machine; use https://")
    return _text(raw).rstrip("/")


def _origin(raw: str) -> str:
    """An address of a host, without a path."""
    from urllib.parse import urlsplit

    text = raw if "://" in raw else f"https://{raw}"
    url = _url(text)
    if urlsplit(url).path:
        raise ValueError("it is an origin: scheme and host, no path")
    return url


def is_loopback(url: str) -> bool:
    """The address is one of this machine's own."""
    from ipaddress import ip_address
    from urllib.parse import urlsplit

    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Row:
    """One setting. ``account``: belongs to the real world and is left out of a rehearsal."""

    name: str
    env: str
    read: Callable[[str], Any]
    example: str
    where: str = ""
    secret: bool = False
    account: bool = False
    flag_in_rehearsal: bool = False


_TWILIO = "Twilio console → Account info"
_ROWS = (
    Row(
        "openai_api_key",
        "OPENAI_API_KEY",
        _secret,
        "for instance sk-…",
        "platform.openai.com → API keys",
        secret=True,
        account=True,
    ),
    Row("openai_base_url", "OPENAI_BASE_URL", _url, "for instance https://api.openai.com/v1", account=True),
    Row(
        "twilio_account_sid",
        "TWILIO_ACCOUNT_SID",
        _matching(r"AC[0-9a-fA-F]{32}", "an account SID is AC and 32 hexadecimal digits"),
        "copy it whole",
        _TWILIO,
        account=True,
    ),
    Row("twilio_auth_token", "TWILIO_AUTH_TOKEN", _secret, "copy it whole", _TWILIO, secret=True, account=True),
    Row(
        "twilio_api_key",
        "TWILIO_API_KEY",
        _matching(r"SK[0-9a-fA-F]{32}", "an API key's SID is SK and 32 hexadecimal digits"),
        "copy it whole",
        "Twilio console → API keys",
        secret=True,
        account=True,
    ),
    Row(
        "twilio_api_secret",
        "TWILIO_API_SECRET",
        _secret,
        "copy it whole",
        "Twilio console → API keys",
        secret=True,
        account=True,
    ),
    Row(
        "twilio_phone_number",
        "TWILIO_PHONE_NUMBER",
        _matching(r"\+[1-9][0-9]{6,14}", "a number is written in E.164: + and the country code, digits only"),
        "for instance +1 followed by ten digits",
        "Twilio console → Phone numbers → Active numbers",
        account=True,
        flag_in_rehearsal=True,
    ),
    Row(
        "twilio_api_url",
        "AGENX_TWILIO_API_URL",
        _origin,
        "for instance https://api.twilio.com",
        account=True,
    ),
    Row(
        "ngrok_authtoken",
        "NGROK_AUTHTOKEN",
        _secret,
        "copy it whole",
        "dashboard.ngrok.com → Your Authtoken",
        secret=True,
        account=True,
    ),
    Row("ngrok_url", "AGENX_NGROK_URL", _origin, "for instance https://name.ngrok.app", account=True),
    Row(
        "public_url",
        "AGENX_PUBLIC_URL",
        _origin,
        "for instance https://calls.example.com",
        account=True,
        flag_in_rehearsal=True,
    ),
    Row("host", "HOST", _text, "for instance 127.0.0.1"),
    Row("port", "PORT", _port, "for instance 5050"),
    Row("model", "AGENX_MODEL", _text, "for instance gpt-realtime-2.1"),
    Row("voice", "AGENX_VOICE", _text, "for instance marin"),
    Row("database_url", "AGENX_DATABASE_URL", _text, "for instance sqlite:////var/lib/agenx/agenx.db", account=True),
    Row("home", "AGENX_HOME", directory, "a directory"),
    Row("playbook", "AGENX_PLAYBOOK", _text, "a playbook's directory, or the name of a shipped one"),
    Row("time_zone", "AGENX_TIME_ZONE", _zone, "for instance Europe/Madrid"),
    Row("output", "AGENX_OUTPUT", _one_of("text", "json", "jsonl"), "text, json or jsonl"),
    Row("simulate", "AGENX_SIMULATE", _yes_no, "1 or 0"),
    Row("sim_clock", "AGENX_SIM_CLOCK", _seconds, "seconds, as the simulators print it", account=True),
)
FIELDS: Mapping[str, Row] = {row.name: row for row in _ROWS}


@dataclass(frozen=True, slots=True)
class Source:
    """One place that settings stand in. ``extra``: what is there and is no setting of ours."""

    name: str
    values: Mapping[str, str]
    extra: Mapping[str, str] = field(default_factory=dict)

    def only(self, names: set[str]) -> "Source":
        """The same place with nothing but these settings."""
        return Source(self.name, {name: raw for name, raw in self.values.items() if name in names})


@dataclass(frozen=True, slots=True)
class Tables:
    """A TOML file: its top level and its profiles, values still as text."""

    name: str
    top: Mapping[str, str] = field(default_factory=dict)
    profiles: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def layers(self, profile: str | None) -> list[Source]:
        """The profile's table first, then the top level."""
        chosen = self.profiles.get(profile or "", {})
        return [Source(f"{self.name} [profile.{profile}]", chosen), Source(self.name, self.top)]


def read_env_file(path: Path) -> Source:
    """``.env`` as it stands, without interpolation. A line that cannot be read is an error, not skipped."""
    text = _read_text(path, ".env")
    if text is None:
        return Source(".env", {})
    from io import StringIO

    from dotenv.parser import parse_stream

    pairs: dict[str, str] = {}
    for binding in parse_stream(StringIO(text)):
        if binding.error:
            raise SettingsError(
                f".env, line {binding.original.line}: not NAME=VALUE",
                fix="write NAME=VALUE, one a line; a value with spaces in quotes; # begins a comment",
            )
        if binding.key and binding.value:
            pairs[binding.key] = binding.value
    known = {row.env: row.name for row in FIELDS.values()}
    return Source(
        ".env",
        {known[key]: value for key, value in pairs.items() if key in known},
        {key: value for key, value in pairs.items() if key not in known},
    )


def read_toml(path: Path, name: str | None) -> Tables:
    """``agenx.toml`` or the user's ``config.toml``; a file that is not there has no settings."""
    name = name or str(path)
    text = _read_text(path, name)
    if text is None:
        return Tables(name)
    import tomllib

    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        line = re.search(r"\(at line ([0-9]+)", str(exc))
        place = f"{name}, line {line[1]}" if line else name
        raise SettingsError(
            f"{place}: not TOML: {str(exc).partition(' (at')[0]}", fix=f"mend that line of {name}"
        ) from None
    profiles = tree.pop("profile", {})
    if not isinstance(profiles, dict) or not all(isinstance(table, dict) for table in profiles.values()):
        raise SettingsError(f"{name}: a profile is a table", fix="write [profile.NAME] and its settings below")
    return Tables(
        name,
        _texts(tree, name, text),
        {profile: _texts(table, f"{name} [profile.{profile}]", text) for profile, table in profiles.items()},
    )


def _texts(table: Mapping[str, Any], name: str, text: str) -> dict[str, str]:
    """The table's values as text, every key known."""
    texts: dict[str, str] = {}
    for key, value in table.items():
        if key not in FIELDS:
            from difflib import get_close_matches

            near = get_close_matches(key, FIELDS, 1)
            place = _line_of(key, text)
            raise SettingsError(
                f"{name}{place}: no setting is called {key!r}",
                fix=f"did you mean {near[0]!r}?" if near else "agenx config show lists all settings",
            )
        if isinstance(value, bool):
            texts[key] = "1" if value else "0"
        elif isinstance(value, str | int | float):
            texts[key] = str(value)
        else:
            raise SettingsError(f"{name}{_line_of(key, text)}: {key} is a single value", fix=FIELDS[key].example)
    return {key: value for key, value in texts.items() if value}


def _line_of(key: str, text: str) -> str:
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(rf"""\s*\[?["']?{re.escape(key)}["']?\s*[]=.]""", line):
            return f", line {number}"
    return ""


def _read_text(path: Path, name: str) -> str | None:
    try:
        return path.read_text("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except IsADirectoryError:
        return None
    except UnicodeDecodeError:
        raise SettingsError(f"{name} is not UTF-8 text", fix=f"save {name} as UTF-8") from None
    except OSError as exc:
        raise SettingsError(f"{name} cannot be read: {exc.strerror}", fix=f"give this user access to {name}") from exc
