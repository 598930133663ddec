"""Who speaks the GA Realtime protocol, as data: a provider more is a row, not a class.

Addresses, headers and abilities are those of ``protocols/realtime.md`` §1, §2 and §12.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import quote, urlsplit

from agenx_cli.errors import SettingsError
from agenx_cli.reading import is_loopback

SCHEMES = MappingProxyType({"https": "wss", "http": "ws", "wss": "wss", "ws": "ws"})


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the other side takes and can do.

    ``reasoning_models`` matches, whole, the models that take ``reasoning`` and ``parallel_tool_calls``; every other
    model refuses the session when it is given them.
    """

    reasoning_models: str | None = None

    def reasons(self, model: str) -> bool:
        """Whether this model may be told how hard to think."""
        return self.reasoning_models is not None and re.fullmatch(self.reasoning_models, model) is not None


@dataclass(frozen=True, slots=True)
class Profile:
    """One provider. ``url`` has the places ``{base}`` and ``{model}``; ``header`` is name and template of the key.

    ``greeting`` is the event that a new session begins with.
    """

    name: str
    base_url: str
    url: str
    header: tuple[str, str]
    transcription_model: str
    capabilities: Capabilities
    greeting: str = "session.created"

    def address(self, base_url: str, model: str) -> str:
        """The WebSocket address under an API base such as ``https://api.openai.com/v1``. Raises SettingsError."""
        base = base_url.strip().rstrip("/") or self.base_url
        scheme, _, rest = base.partition("://")
        encrypted = SCHEMES.get(scheme.lower())
        host = host_of(base)
        if encrypted is None or not host:
            raise SettingsError(
                f"the address of the voice model is not a web address: {base[:80]!r}",
                fix=f"set OPENAI_BASE_URL to something like {self.base_url}",
            )
        if encrypted == "ws" and not is_loopback(base):
            raise SettingsError(
                "the address of the voice model is not encrypted: the API key would cross the network in the clear",
                fix="set OPENAI_BASE_URL to an https:// address (http:// is for this machine only)",
            )
        return self.url.format(base=f"{encrypted}://{rest}", model=quote(model, safe=""))

    def headers(self, api_key: str) -> Mapping[str, str]:
        """The headers of the upgrade. Never a beta header: the server closes such a session with 4000 (§0)."""
        name, template = self.header
        return {name: template.format(key=api_key)}


def host_of(url: str) -> str:
    """The host of an address, or nothing when it has none that can be looked up."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host.encode("idna")
    except ValueError:
        return ""
    return "" if port == 0 else host


OPENAI = Profile(
    name="openai",
    base_url="https://api.openai.com/v1",
    url="{base}/realtime?model={model}",
    header=("Authorization", "Bearer {key}"),
    transcription_model="gpt-transcribe",
    capabilities=Capabilities(reasoning_models=r"gpt-realtime-[2-9](?:[.-].*)?"),
)
