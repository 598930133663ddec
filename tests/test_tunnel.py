import asyncio
import json
import os
import sys
import sysconfig
from pathlib import Path

import pytest

from agenx_cli.errors import ServerStartError, SettingsError
from agenx_cli.tunnel import FixedUrl, NgrokTunnel, check_public_url, reachable

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in agent is a script with a shebang")

TOKEN = "2abcSECRETtoken_of_an_account"


@pytest.fixture
def agent(tmp_path):
    """A function that installs the stand-in agent with a mode and gives its path."""

    def install(**mode) -> Path:
        path = tmp_path / "ngrok"
        path.write_text(f"#!{sys.executable}\n" + (Path(__file__).parent / "ngrok_agent.py").read_text())
        path.chmod(0o700)
        (tmp_path / "mode.json").write_text(json.dumps(mode))
        return path

    return install


def left(path: Path, name: str) -> dict:
    return json.loads((path.parent / name).read_text())


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# --- ngrok


async def test_a_tunnel_gives_an_https_origin_and_takes_it_down(agent):
    path = agent()
    tunnel = NgrokTunnel(authtoken=TOKEN, ngrok_path=path)
    assert await tunnel.open(5050) == "https://dev.ngrok-free.app"
    asked = left(path, "asked.json")
    assert asked == {"path": "/api/endpoints", "name": "agenx-5050", "upstream": {"url": "http://127.0.0.1:5050"}}
    pid = left(path, "seen.json")["pid"]
    assert runs(pid)
    await tunnel.close()
    await tunnel.close()
    assert not runs(pid)
    assert (path.parent / "deleted").read_text() == "/api/endpoints/agenx-5050"


async def test_the_agent_forwards_to_where_our_server_listens(agent):
    path = agent()
    tunnel = NgrokTunnel(authtoken=TOKEN, host="192.0.2.7", ngrok_path=path)
    await tunnel.open(5050)
    await tunnel.close()
    assert left(path, "asked.json")["upstream"] == {"url": "http://192.0.2.7:5050"}


@pytest.mark.parametrize(
    ("host", "reached"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("localhost", "localhost"),
        ("0.0.0.0", "127.0.0.1"),
        ("::", "[::1]"),
        ("::1", "[::1]"),
        ("fd00::7", "[fd00::7]"),
    ],
)
def test_a_server_that_listens_everywhere_is_reached_on_loopback(host, reached):
    assert reachable(host) == reached


async def test_the_token_is_in_a_private_file_and_not_among_the_arguments(agent, monkeypatch):
    monkeypatch.setenv("NGROK_AUTHTOKEN", TOKEN)
    path = agent()
    tunnel = NgrokTunnel(authtoken=TOKEN, ngrok_path=path)
    await tunnel.open(5050)
    seen = left(path, "seen.json")
    await tunnel.close()
    assert TOKEN not in " ".join(seen["argv"])
    assert TOKEN in seen["config"]
    assert not os.path.exists(seen["argv"][seen["argv"].index("--config") + 1])  # noqa: ASYNC240, PTH110
    assert seen["session"]


async def test_a_reserved_domain_is_asked_for_by_url(agent):
    path = agent()
    tunnel = NgrokTunnel(authtoken=TOKEN, url="https://me.ngrok.app", ngrok_path=path)
    assert await tunnel.open(5050) == "https://me.ngrok.app"
    await tunnel.close()
    assert left(path, "asked.json")["url"] == "https://me.ngrok.app"


async def test_a_tunnel_can_be_opened_again_after_it_was_closed(agent):
    tunnel = NgrokTunnel(authtoken=TOKEN, ngrok_path=agent())
    for _ in range(2):
        await tunnel.open(5050)
        await tunnel.close()


REFUSED = [
    ({"error": f"authentication failed: Your authtoken: {TOKEN} ERR_NGROK_105"}, "105", "NGROK_AUTHTOKEN"),
    ({"error": "authentication failed: ERR_NGROK_107"}, "107", "NGROK_AUTHTOKEN"),
    ({"error": "Usage of ngrok requires a verified account and authtoken. ERR_NGROK_4018"}, "4018", "NGROK_AUTHTOKEN"),
    ({"error": "limited to 1 simultaneous ngrok agent sessions ERR_NGROK_108"}, "108", "stop the other agent"),
    ({"refuse": "The endpoint is already online. ERR_NGROK_334"}, "334", "stop the other agent"),
    ({"refuse": "domain is not reserved ERR_NGROK_319"}, "319", "AGENX_NGROK_URL"),
    ({"refuse": "something of the future ERR_NGROK_99999"}, "99999", "err_ngrok_99999"),
]


@pytest.mark.parametrize(("mode", "code", "fix"), REFUSED)
async def test_a_refusal_of_ngrok_is_told_with_its_fix_and_without_the_token(agent, mode, code, fix):
    path = agent(**mode)
    with pytest.raises(ServerStartError) as caught:
        await NgrokTunnel(authtoken=TOKEN, ngrok_path=path).open(5050)
    assert f"ERR_NGROK_{code}" in caught.value.message
    assert fix in caught.value.fix
    assert "--public-url" in caught.value.fix
    assert TOKEN not in caught.value.message + caught.value.fix
    assert not runs(left(path, "seen.json")["pid"])


async def test_an_agent_that_says_nothing_is_ended_in_time(agent):
    path = agent(silent=True)
    with pytest.raises(ServerStartError, match="did not come up within 1 s"):
        await NgrokTunnel(authtoken=TOKEN, ngrok_path=path, start_s=1).open(5050)
    assert not runs(left(path, "seen.json")["pid"])


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ({"error": "no route"}, "did not come up"),
        ({"refuse": "404 page not found", "status": 404}, "too old"),
        ({"url": "http://dev.ngrok-free.app"}, "not https"),
    ],
)
async def test_other_failures_of_the_agent_have_their_own_words(agent, mode, message):
    path = agent(**mode)
    with pytest.raises(ServerStartError, match=message):
        await NgrokTunnel(authtoken=TOKEN, ngrok_path=path).open(5050)
    assert not runs(left(path, "seen.json")["pid"])


async def test_an_absent_agent_that_cannot_be_downloaded_is_told_so(tmp_path, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nothing listens there: no download
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ServerStartError, match="cannot be downloaded") as caught:
        await NgrokTunnel(authtoken=TOKEN, ngrok_path=tmp_path / "bin" / "ngrok").open(5050)
    assert "https://ngrok.com/download" in caught.value.fix


async def test_a_file_that_is_no_program_is_told_so(tmp_path):
    broken = tmp_path / "ngrok"
    broken.write_text("words")
    broken.chmod(0o600)
    with pytest.raises(ServerStartError, match="cannot be started"):
        await NgrokTunnel(authtoken=TOKEN, ngrok_path=broken).open(5050)


async def test_an_agent_on_the_path_is_used_before_anything_is_downloaded(agent, monkeypatch):
    path = agent()
    monkeypatch.setenv("PATH", str(path.parent))
    monkeypatch.setenv("PYNGROK_NGROK_PATH", str(path.parent / "absent"))
    tunnel = NgrokTunnel(ngrok_path=None)
    monkeypatch.setenv("HOME", str(path.parent))
    assert tunnel._configure().ngrok_path == str(path)


async def test_pyngrok_s_own_command_is_not_taken_for_an_agent(tmp_path, monkeypatch):
    wrapper = tmp_path / "ngrok"
    wrapper.write_text("#!/usr/bin/env python3\nfrom pyngrok.ngrok import main\nmain()\n")
    wrapper.chmod(0o755)
    absent = str(tmp_path / "absent")
    monkeypatch.setenv("PYNGROK_NGROK_PATH", absent)
    for directory in (str(tmp_path), sysconfig.get_path("scripts")):
        monkeypatch.setenv("PATH", directory)
        assert NgrokTunnel()._configure().ngrok_path == absent


async def test_giving_up_on_opening_ends_the_agent(agent):
    path = agent(silent=True)
    opening = asyncio.create_task(NgrokTunnel(ngrok_path=path, authtoken=TOKEN).open(5050))
    while not (path.parent / "seen.json").exists() or not (path.parent / "seen.json").read_text():  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.02)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert not runs(left(path, "seen.json")["pid"])


async def test_closing_what_was_never_opened_is_fine():
    await NgrokTunnel(authtoken=TOKEN).close()


# --- an address that is given


@pytest.mark.parametrize(
    ("url", "loopback", "origin"),
    [
        ("https://calls.example.com", False, "https://calls.example.com"),
        (" https://calls.example.com/ ", False, "https://calls.example.com"),
        ("https://calls.example.com:443", False, "https://calls.example.com:443"),
        ("http://127.0.0.1:5050", True, "http://127.0.0.1:5050"),
        ("http://[::1]:5050/", True, "http://[::1]:5050"),
        ("https://calls.example.com:8443", True, "https://calls.example.com:8443"),
    ],
)
async def test_a_good_public_url_is_taken_as_it_is(url, loopback, origin):
    tunnel = FixedUrl(url, carrier_on_loopback=loopback)
    assert await tunnel.open(5050) == origin
    await tunnel.close()


@pytest.mark.parametrize(
    ("url", "loopback", "why"),
    [
        ("calls.example.com", False, "not an https address"),
        ("ftp://calls.example.com", False, "not an https address"),
        ("https://", False, "not an https address"),
        ("https://u:p@calls.example.com", False, "not an https address"),
        ("https://calls.example.com:x", False, "not an address"),
        ("https://[calls", False, "not an address"),
        ("https://calls.example.com/agenx", False, "path"),
        ("https://calls.example.com?x=1", False, "path"),
        ("https://my_calls.example.com", False, "underscore"),
        ("https://calls.example.com:8443", False, "443 only"),
        ("http://calls.example.com", False, "plain http"),
        ("http://calls.example.com", True, "plain http"),
        ("http://127.0.0.1:5050", False, "plain http"),
    ],
)
def test_a_public_url_that_the_carrier_would_not_take_is_refused_before_any_call(url, loopback, why):
    with pytest.raises(SettingsError, match=why) as caught:
        check_public_url(url, carrier_on_loopback=loopback)
    assert caught.value.fix
