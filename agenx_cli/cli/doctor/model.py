"""The voice model: may this key use it, and does a session really speak μ-law?"""

from urllib.parse import quote

import httpx2

from agenx_cli.cli.doctor.check import Check, Tell, failed, passed, refused, skipped
from agenx_cli.core.playbook import Playbook, VoiceDetection, tool_schemas
from agenx_cli.errors import SettingsError, VoiceError
from agenx_cli.ports import SessionConfig
from agenx_cli.reading import is_loopback
from agenx_cli.settings import OpenAIAccount, Settings
from agenx_cli.voice.openai.leg import OpenAIVoice
from agenx_cli.voice.openai.profiles import OPENAI

_TIMEOUT_S = 10.0
_KEY_FIX = "set OPENAI_API_KEY to a key of https://platform.openai.com/api-keys"


async def model_checks(settings: Settings, playbook: Playbook | None, tell: Tell) -> None:
    """Access to the model that calls would use, then a session as theirs (it costs nothing: it generates nothing).

    Without a playbook, which has its own check, the settings' model stands.
    """
    try:
        account = settings.need_openai()
    except SettingsError as error:
        tell(skipped("model", error.message))
        return
    config = _config(settings, playbook)
    access = await _access(account, config.model)
    tell(access)
    if access.status == "ok":
        tell(await _session(account, config))
    else:
        tell(skipped("model session", "the model cannot be reached or used"))


async def _access(account: OpenAIAccount, model: str) -> Check:
    name = "model access"
    url = f"{account.base_url.rstrip('/')}/models/{quote(model, safe='')}"
    try:
        async with httpx2.AsyncClient(timeout=_TIMEOUT_S, trust_env=not is_loopback(account.base_url)) as client:
            answer = await client.get(url, headers=dict(OPENAI.headers(account.api_key)))
    except httpx2.HTTPError as exc:
        why = f"the model's server cannot be reached ({type(exc).__name__})"
        return failed(name, why, "check the network and OPENAI_BASE_URL")
    match answer.status_code:
        case 200:
            return passed(name, model)
        case 401 | 403:
            why = f"the key is refused ({answer.status_code})"
            return Check(name, "failed", why, _KEY_FIX, credentials=True)
        case 404:
            return failed(
                name,
                f"this account has no model {model}",
                "set AGENX_MODEL (or the playbook's model) to one it may use",
            )
        case 429:
            return failed(name, "the account's limit or credit is used up (429)", "add credit to the OpenAI account")
        case status:
            return failed(name, f"the model's server answers with {status}", "see https://status.openai.com")


def _config(settings: Settings, playbook: Playbook | None) -> SessionConfig:
    """The session of a call, but for its instructions. A model or voice that was set outweighs the playbook's."""
    chosen = settings.model if settings.origin("model") != "default" else None
    return SessionConfig(
        instructions="This is a test of the connection. Say nothing.",
        language=playbook.language if playbook else "en",
        voice=settings.voice or (playbook.voice if playbook else "marin"),
        model=chosen or (playbook.model if playbook else None) or settings.model,
        detection=playbook.detection if playbook else VoiceDetection(),
        tools=tool_schemas(playbook) if playbook else (),
        keywords=playbook.keywords if playbook else (),
    )


async def _session(account: OpenAIAccount, config: SessionConfig) -> Check:
    name = "model session"
    try:
        leg = await OpenAIVoice(OPENAI, account.api_key, account.base_url).connect(config, lambda _event: None)
    except (VoiceError, SettingsError) as error:
        return refused(name, error)
    await leg.close()
    return passed(name, "opened, and it confirms G.711 μ-law both ways")
