"""The control port: how commands of the same user reach the worker of their machine. Loopback only, with a key.

A worker writes address and key into ``worker.json`` in its data directory (readable by its owner only); ``call`` finds
them there and submits instead of bringing up a worker of its own. Answers are JSON, events are a JSON line each.
"""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict

from agenx_cli.bridge.desk import Desk
from agenx_cli.bridge.live import Happening, Progressed, Said, Troubled
from agenx_cli.core.lead import E164
from agenx_cli.core.policy import Defer, Refuse
from agenx_cli.engine.local import LocalEngine, NewCall
from agenx_cli.errors import AgenxError, StoreError
from agenx_cli.ports import Assignment

FILE = "worker.json"


class Order(BaseModel):
    """A call that another command of ours wants placed. ``to`` and ``from_number`` are E.164."""

    model_config = ConfigDict(extra="forbid")

    to: str
    from_number: str
    playbook: str
    variables: dict[str, str] = {}
    record: bool = False


@dataclass(frozen=True, slots=True)
class Address:
    """Where a worker takes orders."""

    url: str
    key: str

    def save(self, home: Path) -> None:
        """Write it where other commands of this user look. Raises StoreError."""
        try:
            fresh = home / f"{FILE}.new"
            fresh.unlink(missing_ok=True)
            fresh.touch(mode=0o600)
            fresh.write_text(json.dumps({"url": self.url, "key": self.key}), encoding="utf-8")
            fresh.replace(home / FILE)
        except OSError as exc:
            raise StoreError(f"{home / FILE} cannot be written: {exc.strerror}", fix="check the folder") from exc

    @staticmethod
    def forget(home: Path) -> None:
        """The worker takes no more orders."""
        (home / FILE).unlink(missing_ok=True)

    @classmethod
    def load(cls, home: Path) -> "Address | None":
        """What a worker wrote, or None. It may be of one that is gone."""
        try:
            saved = json.loads((home / FILE).read_text(encoding="utf-8"))
            return cls(str(saved["url"]), str(saved["key"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None


def control_app(
    desk: Desk, engine: LocalEngine, key: str, assignment: Callable[[Order], Awaitable[Assignment]], our_number: str
) -> FastAPI:
    """The application on the control port. ``assignment`` reads the playbook that an order names.

    ``our_number`` calls when an order names none.
    """

    def keyed(authorization: Annotated[str, Header()] = "") -> None:
        if not secrets.compare_digest(authorization.encode(), f"Bearer {key}".encode()):
            raise HTTPException(403)

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(keyed)])

    @app.post("/calls")
    async def call(order: Order) -> JSONResponse:
        try:
            wanted = NewCall(E164(order.to), order.from_number or our_number, await assignment(order))
            admitted = await engine.submit(wanted)
        except AgenxError as error:
            return JSONResponse({"error": error.message, "fix": error.fix, "exit_code": error.exit_code}, 422)
        if isinstance(admitted, Defer | Refuse):
            reason = admitted.reason
            return JSONResponse({"code": reason.code, "error": reason.sentence, "fix": reason.fix}, 409)
        return JSONResponse({"attempt": admitted.uid}, 202)

    @app.get("/calls/{attempt_uid}/events")
    async def events(attempt_uid: str) -> StreamingResponse:
        lines = happenings(desk, engine, attempt_uid)
        return StreamingResponse((json.dumps(line) + "\n" async for line in lines), media_type="application/jsonl")

    @app.post("/calls/{attempt_uid}/hangup")
    async def hang_up(attempt_uid: str, *, polite: bool = False) -> dict[str, bool]:
        if polite and await desk.hang_up(attempt_uid, "operator", polite=True):
            return {"ended": True}
        return {"ended": await engine.hang_up(attempt_uid, "operator")}

    @app.get("/status")
    async def status() -> dict[str, Any]:
        return {"live": list(desk.calls), "draining": desk.draining}

    return app


async def happenings(desk: Desk, engine: LocalEngine, attempt_uid: str) -> AsyncIterator[Mapping[str, Any]]:
    """All that happens to one attempt from now on, as plain values; the last one is ``over``."""
    with desk.live.watch() as queue:
        over = asyncio.ensure_future(engine.over(attempt_uid))
        news = asyncio.ensure_future(queue.get())
        try:
            while not over.done():
                await asyncio.wait({over, news}, return_when=asyncio.FIRST_COMPLETED)
                if news.done():
                    happening, news = news.result(), asyncio.ensure_future(queue.get())
                    if happening.attempt_uid == attempt_uid:
                        yield as_event(happening)
            over.result()
            await desk.left(attempt_uid)
            late = [news.result()] if news.done() else []
            while not queue.empty():
                late.append(queue.get_nowait())
            for happening in late:
                if happening.attempt_uid == attempt_uid:
                    yield as_event(happening)
        finally:
            over.cancel()
            news.cancel()
    declined = engine.declined(attempt_uid)
    yield {
        "event": "over",
        "attempt": attempt_uid,
        "declined": None
        if declined is None
        else {"message": declined.message, "fix": declined.fix, "exit_code": 4 if declined.credentials else 6},
    }


def as_event(happening: Happening) -> Mapping[str, Any]:
    """A happening as JSON values."""
    match happening:
        case Progressed():
            return {
                "event": "phase",
                "attempt": happening.attempt_uid,
                "direction": happening.direction,
                "phase": happening.phase,
                "disposition": happening.disposition,
            }
        case Said(attempt_uid, line):
            return {
                "event": "line",
                "attempt": attempt_uid,
                "speaker": line.speaker,
                "text": line.text,
                "at_ms": line.at_ms,
                "heard_ms": line.heard_ms,
                "final": line.final,
            }
        case Troubled(attempt_uid, message, fix, exit_code):
            return {
                "event": "trouble",
                "attempt": attempt_uid,
                "message": message,
                "fix": fix,
                "exit_code": exit_code,
            }
