"""The only reader of the environment, ``.env`` and ``agenx.toml``.

Every setting is one row of ``FIELDS``: its name (a field of ``Settings``, a key of the TOML files and of the flags'
overrides), its environment variable, and how its text is read. The first source that has it wins:

    flag > environment > ./.env > ./agenx.toml > user config > default

Within a TOML file ``[profile.NAME]`` goes before the top level. An empty value counts as not set. With ``simulate``
the accounts, public addresses and the database of the real world are left out altogether: the simulators give their
own (``Settings.overlay``), and the state lives in ``<data directory>/simulation``.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from agenx_cli.errors import SettingsError
from agenx_cli.reading import FIELDS, Source, is_loopback, read_env_file, read_toml
from agenx_cli.reading import directory as directory_of

ACCOUNTS = frozenset(row.name for row in FIELDS.values() if row.account)
SECRETS = frozenset(row.name for row in FIELDS.values() if row.secret)
_MASKED = SECRETS | {"twilio_phone_number"}


@dataclass(frozen=True, slots=True)
class OpenAIAccount:
    """What the voice model needs."""

    api_key: str = field(repr=False)
    base_url: str


@dataclass(frozen=True, slots=True)
class TwilioAccount:
    """What the carrier needs. The token signs webhooks; REST uses the API key where there is one."""

    account_sid: str
    auth_token: str = field(repr=False)
    api_key: str | None = field(repr=False)
    api_secret: str | None = field(repr=False)
    api_url: str


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """Everything that may be set, read once. Its ``repr`` masks secrets and the phone number."""

    home: Path
    database_url: str
    openai_api_key: str | None = None
    openai_base_url: str = "https://api.openai.com/v1"
    twilio_account_sid: str | None = None
    twilio_auth_token: str | None = None
    twilio_api_key: str | None = None
    twilio_api_secret: str | None = None
    twilio_phone_number: str | None = None
    twilio_api_url: str = "https://api.twilio.com"
    ngrok_authtoken: str | None = None
    ngrok_url: str | None = None
    public_url: str | None = None
    host: str = "127.0.0.1"
    port: int = 5050
    model: str = "gpt-realtime-2.1"
    voice: str | None = None
    playbook: str | None = None
    time_zone: str | None = None
    output: str = "text"
    simulate: bool = False
    sim_clock: float = 0.0
    profile: str | None = None
    origins: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.shown().items())
        return f"Settings({shown})"

    def shown(self) -> dict[str, Any]:
        """Name → value as a person may see it: secrets and our phone number masked."""
        return {name: _mask(name, getattr(self, name)) for name in ("profile", *FIELDS)}

    def origin(self, name: str) -> str:
        """Where a value came from: ``flag``, ``environment OPENAI_API_KEY``, ``.env``, a TOML file, ``default``."""
        return self.origins.get(name, "default")

    @property
    def carrier_on_loopback(self) -> bool:
        """The carrier is a simulator on this machine: http public URLs and the rehearsal clock are accepted."""
        return is_loopback(self.twilio_api_url)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The secret values themselves, for the log's redaction."""
        return tuple(value for name in sorted(SECRETS) if (value := getattr(self, name)))

    def need(self, *names: str) -> None:
        """Raise SettingsError unless all of these are set."""
        missing = [FIELDS[name].env for name in names if not getattr(self, name)]
        if not missing:
            return
        verb = "is" if len(missing) == 1 else "are"
        steps = "; ".join(f"{row.env} ({row.where})" for name in names if (row := FIELDS[name]).env in missing)
        raise SettingsError(
            f"{', '.join(missing)} {verb} not set",
            fix=f"set in the environment or in ./.env: {steps} — or rehearse without accounts: --simulate",
        )

    def need_openai(self) -> OpenAIAccount:
        """The voice model's account, or SettingsError with a fix."""
        self.need("openai_api_key")
        return OpenAIAccount(self.openai_api_key or "", self.openai_base_url)

    def need_twilio(self) -> TwilioAccount:
        """The carrier's account, or SettingsError with a fix."""
        self.need("twilio_account_sid", "twilio_auth_token")
        if self.twilio_api_key or self.twilio_api_secret:
            self.need("twilio_api_key", "twilio_api_secret")
        return TwilioAccount(
            self.twilio_account_sid or "",
            self.twilio_auth_token or "",
            self.twilio_api_key,
            self.twilio_api_secret,
            self.twilio_api_url,
        )

    def need_number(self) -> str:
        """Our own number in E.164, or SettingsError with a fix."""
        self.need("twilio_phone_number")
        return self.twilio_phone_number or ""

    def overlay(self, env: Mapping[str, str], source: str = "simulators") -> "Settings":
        """These settings with the values of ``env`` (environment names), as ``sim serve`` prints them."""
        by_env = {row.env: row.name for row in FIELDS.values()}
        given = Source(source, {by_env[key]: value for key, value in env.items() if key in by_env and value})
        values, origins = _parse([given], frozenset())
        merged = replace(self, **values, origins={**self.origins, **origins})
        _cross_check(merged)
        return merged


def load_settings(
    overrides: Mapping[str, str | None] | None = None,
    *,
    profile: str | None = None,
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> Settings:
    """Read every source. ``overrides`` are flags by field name, as text; None means that it was not given.

    Raises SettingsError, which names the source and the fix. ``environ`` and ``directory`` stand for the process's
    own environment and working directory.
    """
    environ = os.environ if environ is None else environ
    directory = Path.cwd() if directory is None else directory
    sources = [
        Source("flag", {name: text for name, text in (overrides or {}).items() if text}),
        Source("environment", {row.name: environ[row.env] for row in FIELDS.values() if environ.get(row.env)}),
        read_env_file(directory / ".env"),
    ]
    if profile is None:
        profile = next((p for p in (environ.get("AGENX_PROFILE"), sources[2].extra.get("AGENX_PROFILE")) if p), None)
    files = [read_toml(directory / "agenx.toml", "agenx.toml"), read_toml(user_config(environ), None)]
    known = {name for tables in files for name in tables.profiles}
    if profile is not None and profile not in known:
        raise SettingsError(
            f"no profile named {profile!r} in agenx.toml or {user_config(environ)}",
            fix=f"add a table [profile.{profile}], or use one of: {', '.join(sorted(known)) or 'none is defined'}",
        )
    for tables in files:
        sources += tables.layers(profile)
    return _build(sources, profile)


def user_config(environ: Mapping[str, str]) -> Path:
    """The user's own settings file. ``AGENX_HOME`` moves it along, so that one variable isolates everything."""
    if home := environ.get("AGENX_HOME"):
        try:
            return directory_of(home) / "config.toml"
        except ValueError as exc:
            raise SettingsError(f"AGENX_HOME is not usable: {exc}", fix=FIELDS["home"].example) from None
    from platformdirs import user_config_path

    return user_config_path("agenx", appauthor=False) / "config.toml"


def child_environment(settings: Settings, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a child process of ours may see: the operating system's variables, none of our settings or secrets.

    Proxies are left out too: a child serves the loopback and reaches nothing else.
    """
    environ = os.environ if environ is None else environ
    ours = {row.env for row in FIELDS.values()}
    kept = {
        name: value
        for name, value in environ.items()
        if name not in ours and not name.startswith("AGENX_") and not name.lower().endswith("_proxy")
    }
    hidden = {value for value in settings.secrets if len(value) >= 8}
    kept = {name: value for name, value in kept.items() if value not in hidden}
    return {**kept, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", "NO_PROXY": "*"}


@dataclass(frozen=True, slots=True)
class Terminal:
    """What the environment says about the terminal."""

    no_color: bool
    dumb: bool


def terminal() -> Terminal:
    """NO_COLOR (https://no-color.org: any text but the empty one) and TERM=dumb."""
    return Terminal(bool(os.environ.get("NO_COLOR")), os.environ.get("TERM") == "dumb")


def _build(sources: list[Source], profile: str | None) -> Settings:
    simulate = _parse([s.only({"simulate"}) for s in sources], frozenset())[0].get("simulate", False)
    values, origins = _parse(sources, ACCOUNTS if simulate else frozenset())
    home = values.pop("home", None) or _default_home()
    if simulate:
        home = home / "simulation"
    home = Path(os.path.abspath(home))  # noqa: PTH100 - resolve() would follow links the user chose
    values.setdefault("database_url", f"sqlite:///{(home / 'agenx.db').as_posix()}")
    settings = Settings(home=home, **values, profile=profile, origins=origins)
    if settings.sim_clock and not settings.carrier_on_loopback:
        settings = replace(settings, sim_clock=0.0, origins={**origins, "sim_clock": "ignored: a real carrier"})
    _cross_check(settings)
    return settings


def _parse(sources: list[Source], left_out: frozenset[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Field → value and field → origin, from the first source that has each."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for source in sources:
        for name, raw in source.values.items():
            row = FIELDS[name]
            if name in values or (name in left_out and not (source.name == "flag" and row.flag_in_rehearsal)):
                continue
            place = f"environment {row.env}" if source.name == "environment" else source.name
            try:
                values[name] = row.read(raw)
            except ValueError as exc:
                told = "" if row.name in _MASKED else f" {raw!r}"
                raise SettingsError(
                    f"{row.env if source.name != 'flag' else name}{told} from {source.name} is not usable: {exc}",
                    fix=f"{row.example} ({row.where})" if row.where else row.example,
                ) from None
            origins[name] = place
    return values, origins


def _cross_check(settings: Settings) -> None:
    """Rules that need two settings."""
    url = settings.public_url
    if url is None or url.startswith("https://"):
        return
    if not (is_loopback(url) and (settings.carrier_on_loopback or settings.simulate)):
        raise SettingsError(
            f"the public URL from {settings.origin('public_url')} is plain http",
            fix="use an https:// address (http://127.0.0.1:… is only for a carrier simulated on this machine)",
        )


def _default_home() -> Path:
    from platformdirs import user_data_path

    return user_data_path("agenx", appauthor=False)


def _mask(name: str, value: Any) -> Any:
    if value is None or name not in _MASKED:
        return str(value) if isinstance(value, Path) else _without_password(value)
    return f"{value[:3]}…{value[-2:]}" if name == "twilio_phone_number" else "•" * 8


def _without_password(value: Any) -> Any:
    """``scheme://user:password@host`` without the password."""
    if not (isinstance(value, str) and "://" in value and "@" in value):
        return value
    scheme, _, rest = value.partition("://")
    credentials, _, host = rest.rpartition("@")
    return f"{scheme}://{credentials.partition(':')[0]}:{'•' * 8}@{host}" if ":" in credentials else value
