"""A public address for the local port: ngrok's agent, started and stopped by pyngrok, or an address that is given.

The carrier opens media streams on port 443 with a certificate that everybody trusts, to a host without underscores
(errors 31910, 31920, 21205); ``check_public_url`` says so before anybody is rung. ngrok's own messages may quote the
authtoken, so none is passed on: its error codes choose our words (https://ngrok.com/docs/errors/reference).
"""

import asyncio
import contextlib
import json
import logging
import os
import re
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from agenx_cli.errors import ServerStartError, SettingsError
from agenx_cli.reading import is_loopback

if TYPE_CHECKING:
    from pyngrok import ngrok
    from pyngrok.conf import PyngrokConfig
    from pyngrok.exception import PyngrokError

START_S = 20.0
"""Longest start of the agent, its connection included; the first start also downloads it."""

DOWNLOAD_S = 180.0

_OTHERWISE = "or pass --public-url https://… of an address that leads here"
_TOKEN = f"set NGROK_AUTHTOKEN to the token on https://dashboard.ngrok.com/get-started/your-authtoken, {_OTHERWISE}"
_STOP = f"stop the other agent (https://dashboard.ngrok.com/agents), {_OTHERWISE}"
_ACCOUNT = f"see https://dashboard.ngrok.com/billing, {_OTHERWISE}"
_DOMAIN = f"set AGENX_NGROK_URL to a domain on https://dashboard.ngrok.com/domains, {_OTHERWISE}"

_REFUSALS: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(("102", "103"), ("ngrok has suspended the account", _ACCOUNT)),
    **dict.fromkeys(("105", "106", "107", "109"), ("ngrok refuses the authtoken", _TOKEN)),
    "4018": ("ngrok wants an account and its authtoken", _TOKEN),
    "108": ("the ngrok account has no agent left: all it may have are running", _STOP),
    "324": ("the ngrok account has no endpoint left", _STOP),
    "334": ("that ngrok address is in use by another agent", _STOP),
    **dict.fromkeys(("120", "121", "122"), ("the ngrok agent is too old", f"run: ngrok update, {_OTHERWISE}")),
    **dict.fromkeys(("319", "320", "326"), ("the ngrok domain is not this account's", _DOMAIN)),
    **dict.fromkeys(("725", "727"), ("the ngrok account has used up its month's traffic", _ACCOUNT)),
}


def check_public_url(url: str, *, carrier_on_loopback: bool) -> str:
    """The origin that ``url`` names: ``https://host``, or ``http://127.0.0.1:port`` for a carrier on this machine.

    Raises SettingsError when the carrier could not reach it or would not accept it.
    """
    fix = "pass --public-url (or AGENX_PUBLIC_URL) as https://host, without path and port"
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as exc:
        raise SettingsError("the public URL is not an address", fix=fix) from exc
    host = parts.hostname or ""
    if parts.scheme not in {"https", "http"} or not host or parts.username is not None:
        raise SettingsError("the public URL is not an https address", fix=fix)
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise SettingsError("the public URL has a path: our routes stand at the root of a host", fix=fix)
    if "_" in host:
        raise SettingsError("the public URL's host has an underscore, which the carrier refuses", fix=fix)
    if parts.scheme == "http":
        if not (carrier_on_loopback and is_loopback(url)):
            raise SettingsError(
                "the public URL is plain http; only a carrier simulated on this machine takes that", fix=fix
            )
    elif port not in {None, 443} and not carrier_on_loopback:
        raise SettingsError(f"the public URL has port {port}; the carrier opens streams on 443 only", fix=fix)
    return f"{parts.scheme}://{parts.netloc}"


class FixedUrl:
    """An address that somebody else leads here."""

    def __init__(self, url: str, *, carrier_on_loopback: bool = False) -> None:
        self._origin = check_public_url(url, carrier_on_loopback=carrier_on_loopback)

    async def open(self, port: int) -> str:
        """The origin as it was given; ``port`` is the other side's business."""
        del port
        return self._origin

    async def close(self) -> None:
        """Nothing of ours is open."""


class NgrokTunnel:
    """One ngrok endpoint, with an agent process of its own.

    ``authtoken`` goes to the agent by a private file that is gone once it runs, never by its arguments, which every
    user of the machine can read; without one the agent's own configuration is used. ``url`` is a reserved domain.
    The agent has a session of its own where the system knows sessions, so that Ctrl-C leaves it up while live calls
    end. ``ngrok_path`` is another agent than pyngrok's download; ``host`` is where our server listens.
    """

    def __init__(
        self,
        *,
        authtoken: str | None = None,
        url: str | None = None,
        host: str = "127.0.0.1",
        ngrok_path: Path | None = None,
        start_s: float = START_S,
    ) -> None:
        self._authtoken = authtoken
        self._url = url
        self._host = host
        self._path = ngrok_path
        self._start_s = start_s
        self._config: PyngrokConfig | None = None
        self._opening: asyncio.Task[ngrok.NgrokTunnel] | None = None

    async def open(self, port: int) -> str:
        """The public origin of our server at ``port``. Raises ServerStartError with what mends it."""
        from pyngrok.exception import PyngrokError  # noqa: PLC0415 - only who wants a tunnel pays for it

        logging.getLogger("pyngrok").setLevel(logging.ERROR)  # it logs the agent's lines, addresses of callers too
        opened = False
        try:
            self._config = await self._installed()
            self._opening = asyncio.create_task(asyncio.to_thread(self._connect, self._config, port))
            async with asyncio.timeout(self._start_s):
                origin = (await asyncio.shield(self._opening)).public_url or ""
            opened = origin.startswith("https://")
        except PyngrokError as exc:
            raise _explained(exc) from exc
        except TimeoutError as exc:
            message = f"ngrok did not come up within {self._start_s:g} s"
            raise ServerStartError(message, fix=f"check the network, {_OTHERWISE}") from exc
        except OSError as exc:
            message = f"the ngrok agent cannot be started: {exc.strerror}"
            raise ServerStartError(message, fix=f"install it anew (https://ngrok.com/download), {_OTHERWISE}") from exc
        finally:
            if not opened:
                await self.close()
        if not opened:
            raise ServerStartError("ngrok gives an address that is not https", fix=_DOMAIN)
        return origin.rstrip("/")

    async def close(self) -> None:
        """Take the address down and end the agent. Safe to call twice."""
        config, self._config = self._config, None
        opening, self._opening = self._opening, None
        if config is None or opening is None:
            return
        if opening.done() and opening.exception() is None:
            await asyncio.to_thread(_disconnect, opening.result())
        _kill(config)
        while not opening.done():  # pyngrok waits for a line of the agent, which may be starting just now
            await asyncio.wait({opening}, timeout=0.1)
            _kill(config)
        opening.exception()  # has been told, or comes from our killing
        await asyncio.to_thread(_forget, config)

    async def _installed(self) -> "PyngrokConfig":
        """The configuration, its agent in place; pyngrok downloads the one that it wants and is not there."""
        from pyngrok import installer  # noqa: PLC0415 - as above

        config = self._configure()
        if not os.path.exists(config.ngrok_path):  # noqa: ASYNC240, PTH110 - one look at the file system
            with contextlib.redirect_stdout(sys.stderr):  # it draws its progress on stdout, which is for data
                async with asyncio.timeout(DOWNLOAD_S):
                    await asyncio.to_thread(installer.install_ngrok, config.ngrok_path)
        return config

    def _configure(self) -> "PyngrokConfig":
        """pyngrok's settings: the agent given, else its own, else one on the PATH."""
        from pyngrok.conf import PyngrokConfig  # noqa: PLC0415 - as above

        config = PyngrokConfig(
            ngrok_path=None if self._path is None else str(self._path),
            start_new_session=os.name == "posix",
            startup_timeout=max(1, int(self._start_s)),
        )
        config.auth_token = None  # pyngrok would put it among the agent's arguments
        if self._path is None and not Path(config.ngrok_path).exists():
            config.ngrok_path = _on_path() or config.ngrok_path
        return config

    def _connect(self, config: "PyngrokConfig", port: int) -> "ngrok.NgrokTunnel":
        from pyngrok import ngrok  # noqa: PLC0415 - as above

        options = {} if self._url is None else {"url": self._url}
        with tempfile.TemporaryDirectory(prefix="agenx-") as private:
            if self._authtoken:
                config.config_path = str(_token_file(Path(private), self._authtoken))
            upstream = {"url": f"http://{reachable(self._host)}:{port}"}
            return ngrok.connect(pyngrok_config=config, name=f"agenx-{port}", upstream=upstream, **options)


def _on_path() -> str | None:
    """An agent on the PATH; not pyngrok's command of the same name, which is there wherever pyngrok is installed."""
    found = shutil.which("ngrok")
    if found is None or Path(found).parent == Path(sysconfig.get_path("scripts")):
        return None
    with Path(found).open("rb") as program:
        return None if b"pyngrok" in program.read(1_000) else found


def reachable(host: str) -> str:
    """How a server that listens at ``host`` is reached from this machine, as it stands in a URL."""
    here = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - read, not bound
    return f"[{here}]" if ":" in here else here


def _token_file(directory: Path, authtoken: str) -> Path:
    """An agent configuration that only this user can read (temporary directories are 0700)."""
    path = directory / "ngrok.yml"
    # JSON is YAML: no character of the token can break out of its string
    path.write_text(json.dumps({"version": "3", "agent": {"authtoken": authtoken}}), "utf-8")
    return path


def _disconnect(endpoint: "ngrok.NgrokTunnel") -> None:
    """Say goodbye, so that ngrok frees the address at once; a dead agent has no need of it."""
    from pyngrok import ngrok  # noqa: PLC0415 - as above
    from pyngrok.exception import PyngrokError  # noqa: PLC0415 - as above

    with contextlib.suppress(PyngrokError, OSError, ValueError):  # ngrok.disconnect would write a configuration anew
        ngrok.api_request(f"{endpoint.api_url}{endpoint.uri}", method="DELETE")


def _kill(config: "PyngrokConfig") -> None:
    """End the agent without pyngrok's lock, which its start holds while it waits."""
    from pyngrok import process  # noqa: PLC0415 - as above

    running = process._current_processes.get(config.ngrok_path)  # noqa: SLF001 - the public way takes the lock
    if running is not None and running.proc.poll() is None:
        running.proc.kill()


def _forget(config: "PyngrokConfig") -> None:
    """Let pyngrok clean up after the agent."""
    from pyngrok import ngrok  # noqa: PLC0415 - as above

    ngrok.kill(config)


def _explained(exc: "PyngrokError") -> ServerStartError:
    """pyngrok's failure in our words; never ngrok's, which may quote the token."""
    from pyngrok.exception import PyngrokNgrokInstallError  # noqa: PLC0415 - as above

    if isinstance(exc, PyngrokNgrokInstallError):
        return ServerStartError(
            "the ngrok agent is not installed and cannot be downloaded",
            fix=f"install it (https://ngrok.com/download) and set PYNGROK_NGROK_PATH to it, {_OTHERWISE}",
        )
    if getattr(exc, "status_code", None) == 404:  # /api/endpoints came with agent 3.16
        return ServerStartError("the ngrok agent is too old", fix=f"run: ngrok update, {_OTHERWISE}")
    told = f"{exc} {getattr(exc, 'ngrok_error', '')} {getattr(exc, 'body', '')}"
    found = re.search(r"ERR_NGROK_(\d+)", told)
    if found is None:
        return ServerStartError("ngrok did not come up", fix=f"check the network, {_OTHERWISE}")
    code = found[1]
    message, fix = _REFUSALS.get(
        code, ("ngrok refuses", f"see https://ngrok.com/docs/errors/err_ngrok_{code}, {_OTHERWISE}")
    )
    return ServerStartError(f"{message} (ERR_NGROK_{code})", fix=fix)
