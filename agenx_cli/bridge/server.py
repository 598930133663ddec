"""uvicorn inside our own event loop: sockets bound before anything starts, and no signal handlers of its own."""

import asyncio
import contextlib
import errno
import socket
import sys
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI

from agenx_cli.errors import ServerStartError

FRAME_MAX = 64 * 1024
CLOSE_WITHIN_S = 3


def bind(host: str, port: int) -> socket.socket:
    """A listening address, or ServerStartError that says what to change. Port 0 is any free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # named, or asyncio leaves Nagle on
    try:
        if sys.platform != "win32":  # there it would share a port that is in use
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError as exc:
        bound.close()
        if exc.errno == errno.EADDRINUSE:
            raise ServerStartError(
                f"port {port} on {host} is in use", fix="choose another one: --port 5051 (or --port 0 for any free one)"
            ) from exc
        raise ServerStartError(
            f"cannot listen on {host} port {port}: {exc.strerror}", fix="choose another address: --host 127.0.0.1"
        ) from exc
    return bound


@contextlib.asynccontextmanager
async def serving(app: FastAPI, bound: socket.socket) -> AsyncIterator[int]:
    """Serve while the block runs; gives the port. Sockets that are still open at the end are closed."""
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws_max_size=FRAME_MAX,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=CLOSE_WITHIN_S,
        server_header=False,
        proxy_headers=False,
    )
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[bound])
    loop = asyncio.create_task(server.main_loop())
    try:
        yield bound.getsockname()[1]
    finally:
        server.should_exit = True
        await loop
        await server.shutdown(sockets=[bound])
