"""Orders to the worker that runs already: `agenx serve` is the worker of its machine."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agenx_cli.errors import AgenxError, PolicyError

if TYPE_CHECKING:
    import httpx2

    from agenx_cli.control import Address
    from agenx_cli.settings import Settings

TIMEOUT_S = 15.0
GONE = "look at what became of the call with agenx calls list"


class Remote:
    """A running worker, reached through its control port."""

    def __init__(self, client: "httpx2.AsyncClient") -> None:
        self._client = client

    async def call(self, order: Mapping[str, Any]) -> str:
        """Submit a call: its attempt. Raises PolicyError when a gate says no, AgenxError for the rest."""
        answer = await self._post("/calls", order)
        body = answer.json()
        if answer.status_code == 409:
            raise PolicyError(body["error"], code=body["code"], fix=body["fix"])
        if answer.status_code >= 400:
            error = AgenxError(body.get("error", "the running worker refused the call"), fix=body.get("fix"))
            error.exit_code = body.get("exit_code", 1)
            raise error
        return str(body["attempt"])

    async def events(self, attempt_uid: str) -> AsyncIterator[Mapping[str, Any]]:
        """What happens to a call, until it is over."""
        import httpx2

        try:
            async with self._client.stream("GET", f"/calls/{attempt_uid}/events", timeout=None) as answer:
                async for line in answer.aiter_lines():
                    yield json.loads(line)
        except httpx2.HTTPError as exc:
            raise AgenxError("the running worker went away", fix=GONE) from exc

    async def hang_up(self, attempt_uid: str, *, polite: bool) -> None:
        """End a call, with a goodbye or at once."""
        answer = await self._post(f"/calls/{attempt_uid}/hangup?polite={str(polite).lower()}", {})
        if answer.status_code >= 400 or not answer.json()["ended"]:
            raise AgenxError("the running worker has no such live call", fix=GONE)

    async def _post(self, path: str, body: Mapping[str, Any]) -> "httpx2.Response":
        import httpx2

        try:
            return await self._client.post(path, json=dict(body))
        except httpx2.HTTPError as exc:
            raise AgenxError("the running worker does not answer", fix=GONE) from exc


def address_of(settings: "Settings") -> "Address | None":
    """Where the worker of this data directory takes orders; None when none runs."""
    from agenx_cli.control import Address
    from agenx_cli.store.store import open_store

    if not Path(settings.home).exists():
        return None
    store = open_store(settings.database_url)
    try:
        running = store.worker.holder()
    finally:
        store.close()
    return None if running is None or running.kind != "serve" else Address.load(settings.home)


@asynccontextmanager
async def reached(address: "Address") -> AsyncIterator[Remote]:
    """A connection to a running worker."""
    import httpx2

    headers = {"Authorization": f"Bearer {address.key}"}
    async with httpx2.AsyncClient(base_url=address.url, headers=headers, timeout=TIMEOUT_S, trust_env=False) as client:
        yield Remote(client)
