"""Secrets and numbers are looked for wherever they must not be, and refusals of the providers for what they say.

Every command is a process of its own against simulators that are one; the canaries are the very keys and numbers that
make the calls work.
"""

import asyncio
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.acceptance.world import COMMAND, environment, simulators

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="modes of files and signals are another matter there"),
    pytest.mark.timeout(240),
]
CALLEE, OTHER = "+34600000001", "+34600000002"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with simulators(tmp_path_factory.mktemp("world"), cps=50.0) as standing:
        standing.post("/sim/persona", number=CALLEE, persona="interested")
        standing.post("/sim/persona", number=OTHER, persona="silent")
        yield standing


class Ran:
    def __init__(self, args, code, out, err):
        self.args, self.code, self.out, self.err = args, code, out, err


async def agenx(*args, env, cwd):
    """A command, to its end."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *args, env=env, cwd=cwd,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(120):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Ran(args, process.returncode, out.decode(), err.decode())


def secrets_of(world):
    return [world.env["TWILIO_AUTH_TOKEN"], world.env["OPENAI_API_KEY"], "2canaryOfTheTunnel00000"]


async def test_no_secret_and_no_number_is_where_it_must_not_be(world, tmp_path):
    home = tmp_path / "home"
    env = world.account(home) | {"NGROK_AUTHTOKEN": "2canaryOfTheTunnel00000", "PORT": "0"}

    def run(*args, **more):
        return agenx(*args, env=env | more, cwd=tmp_path)

    ran = [await run("-vv", "call", CALLEE, "--yes", "--record", "--playbook", "agenx-ai", "--var", "nombre=Ana")]
    if ran[0].code == 5:  # the shipped opening has no notice of a recording
        ran = [await run("-vv", "call", CALLEE, "--yes", "--var", "nombre=Ana")]
    assert ran[0].code == 0, ran[0].err
    ran += [await run("-v", "-o", "jsonl", "call", OTHER, "--yes")]
    ran += await asyncio.gather(
        run("-vv", "calls", "list"),
        run("-vv", "meetings", "list"),
        run("-vv", "config", "show", "--origin"),
        run("-vv", "config", "show", "--json"),
        run("-vv", "doctor", "--offline"),
        run("-vv", "call", CALLEE, "--dry-run"),
        run("-vv", "call", CALLEE, "--yes", TWILIO_AUTH_TOKEN="wrong" * 6),
        run("-vv", "suppress", "check", CALLEE, AGENX_HOME=str(tmp_path / "another")),
    )
    rows = json.loads((await run("calls", "list", "--json")).out)
    (uid,) = {row["attempt"] for row in rows if row["disposition"] == "meeting_booked"}
    ran.append(await run("-vv", "calls", "show", uid))

    numbers = [number.removeprefix("+") for number in (CALLEE, OTHER, world.env["TWILIO_PHONE_NUMBER"])]
    secrets = secrets_of(world)
    for each in ran:
        on_purpose = {"calls", "meetings", "suppress", "jsonl"} & set(each.args)
        hidden = secrets if on_purpose else secrets + numbers
        assert [word for word in hidden if word in each.out] == [], each.args
        assert [word for word in secrets + numbers if word in each.err] == [], each.args

    files = [path for path in home.rglob("*") if path.is_file()]
    for path in files:
        told = path.name.startswith("agenx.db") or path.suffix in {".wav", ".ics"}
        content, hidden = path.read_bytes(), secrets if told else secrets + numbers
        assert [word for word in hidden if word.encode() in content] == [], path
        assert not content or stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert stat.S_IMODE(home.stat().st_mode) & 0o077 == 0
    print(f"\n{len(numbers)} numbers, {len(secrets)} secrets: 0 in {len(ran)} commands and {len(files)} files")


async def test_the_worker_s_port_is_this_user_s_alone(world, tmp_path):
    home = tmp_path / "home"
    env = world.account(home) | {"PORT": "0"}
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "serve", "--no-set-webhook", "-o", "jsonl", "--host", "0.0.0.0",
        env=env, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(30):
            ready = json.loads(await process.stdout.readline())
        file = home / "worker.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        saved = json.loads(file.read_text())
        host, port = saved["url"].removeprefix("http://").split(":")
        assert host == "127.0.0.1"
        assert len(saved["key"]) >= 32
        assert addresses_of(int(port)) == {"0100007F"}, "the control port listens on more than loopback"
        async with httpx2.AsyncClient(trust_env=False, timeout=10) as client:
            paths = [("POST", "/calls"), ("GET", "/status"), ("GET", "/calls/x/events"), ("POST", "/calls/x/hangup")]
            for method, path in paths:
                for key in (
                    None,
                    "",
                    "Bearer",
                    f"Bearer {saved['key'][:-1]}",
                    f"Basic {saved['key']}",
                    saved["key"],
                ):
                    headers = {} if key is None else {"Authorization": key}
                    answer = await client.request(method, saved["url"] + path, headers=headers, json={})
                    assert answer.status_code == 403, (method, path, key)
                assert (await client.request(method, ready["origin"] + path)).status_code in {404, 405}
            right = {"Authorization": f"Bearer {saved['key']}"}
            assert (await client.get(saved["url"] + "/status", headers=right)).status_code == 200
            for path in ("/docs", "/openapi.json", "/redoc"):
                assert (await client.get(saved["url"] + path, headers=right)).status_code == 404
            for order in (
                {},
                {"to": 1},
                {"to": CALLEE, "from_number": "", "playbook": "/nowhere"},
                {"to": "x" * 100_000},
            ):
                answer = await client.post(saved["url"] + "/calls", headers=right, json=order)
                assert answer.status_code == 422
                assert "Traceback" not in answer.text
    finally:
        process.terminate()
        async with asyncio.timeout(20):
            _, err = await process.communicate()
    assert b"Traceback" not in err
    assert saved["key"].encode() not in err
    assert not file.exists()


def addresses_of(port):
    """The local addresses on which something listens at this port (Linux; elsewhere what it should be)."""
    table = Path("/proc/net/tcp")
    if not table.exists():
        return {"0100007F"}
    rows = [line.split() for line in table.read_text().splitlines()[1:]]
    return {row[1].split(":")[0] for row in rows if row[3] == "0A" and int(row[1].split(":")[1], 16) == port}


REFUSALS = [
    ("+34600000021", {"TWILIO_AUTH_TOKEN": "wrong" * 6}, [], 4, "Twilio refuses the credentials", "TWILIO_AUTH_TOKEN"),
    ("+34600000022", {}, [{"kind": "create.refuse", "code": 21215}], 6, "country are not enabled", "Geo permissions"),
    ("+34600000023", {}, [{"kind": "create.too_many", "times": 0}], 6, "429", "try again"),
    ("+34600000024", {"AGENX_TWILIO_API_URL": "http://127.0.0.1:9"}, [], 6, "Twilio cannot be reached", "network"),
    ("+34600000025", {"OPENAI_API_KEY": "sk-wrong-canary-000"}, [], 4, "does not accept the API key", "OPENAI_API_KEY"),
    ("+34600000026", {"AGENX_MODEL": "gpt-nothing"}, [], 6, "refused the session", "AGENX_MODEL"),
    ("+34600000027", {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}, [], 6, "cannot be reached", "OPENAI_BASE_URL"),
]


async def test_a_provider_that_refuses_is_told_with_its_fix_and_the_call_stays_on_record(world, tmp_path):
    room = asyncio.Semaphore(2)

    async def one(refusal):
        number, settings, faults, code, said, fix = refusal
        home = tmp_path / number
        home.mkdir()
        world.post("/sim/faults", faults=[{"to": number, **fault} for fault in faults])
        env = world.account(home) | settings | {"PORT": "0"}
        async with room:
            ran = await agenx("call", number, "--yes", env=env, cwd=home)
            listed = await agenx("calls", "list", "--json", env=env, cwd=home)
        told = " ".join(ran.err.split())
        assert ran.code == code, (settings, told)
        assert said in told.partition("error: ")[2], told
        assert fix in told.partition("fix: ")[2], told
        assert "Traceback" not in told
        assert number not in told + ran.out
        (row,) = json.loads(listed.out)
        assert (row["phone"], row["phase"], row["disposition"]) == (number, "ended", "failed")

    await asyncio.gather(*(one(refusal) for refusal in REFUSALS))


def agent(folder, **mode):
    """The stand-in for ngrok's agent."""
    folder.mkdir()
    path = folder / "ngrok"
    path.write_text(f"#!{sys.executable}\n" + (Path(__file__).parents[1] / "ngrok_agent.py").read_text())
    path.chmod(0o700)
    (folder / "mode.json").write_text(json.dumps(mode))
    return str(path)


async def test_a_public_address_that_does_not_lead_here_ends_the_start(world, tmp_path):
    absent = {"PYNGROK_NGROK_PATH": str(tmp_path / "none" / "ngrok"), "PATH": "", "HTTPS_PROXY": "http://127.0.0.1:9"}
    real = {"AGENX_TWILIO_API_URL": "https://api.twilio.com", "NGROK_AUTHTOKEN": "2canaryOfTheTunnel00000", "PORT": "0"}
    elsewhere = world.env["AGENX_TWILIO_API_URL"]
    refused = {"error": "authentication failed: 2canaryOfTheTunnel00000 ERR_NGROK_105"}
    tries = [
        (("--public-url", elsewhere), {}, "something else answers there|does not lead to this process", "--public-url"),
        ((), real | {"PYNGROK_NGROK_PATH": agent(tmp_path / "refused", **refused)}, "ERR_NGROK_105", "NGROK_AUTHTOKEN"),
        ((), real | absent, "cannot be downloaded", "ngrok.com/download"),
    ]  # fmt: skip

    async def one(number, attempt):
        flags, settings, said, fix = attempt
        env = world.account(tmp_path / f"home{number}") | settings
        ran = await agenx("serve", "--no-set-webhook", *flags, env=env, cwd=tmp_path)
        told = " ".join(ran.err.split())
        assert (ran.code, ran.out) == (3, ""), told
        assert re.search(said, told), told
        assert fix in told.partition("fix: ")[2], told
        assert "2canary" not in told
        assert "Traceback" not in told

    await asyncio.gather(*(one(number, each) for number, each in enumerate(tries)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a limit on the size of files")
def test_a_disk_that_is_full_is_said_and_what_was_written_stays(tmp_path):
    home = tmp_path / "home"
    env = environment(home)
    subprocess.run([*COMMAND, "suppress", "add", CALLEE], env=env, cwd=tmp_path, check=True, capture_output=True)
    program = (
        "import resource, signal, sys, runpy\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "sys.argv = ['agenx', 'suppress', 'add', '+34600000009']\n"
        "runpy.run_module('agenx_cli', run_name='__main__')\n"
    )
    full = subprocess.run(
        [sys.executable, "-c", program], env=env, cwd=tmp_path, check=False, capture_output=True, text=True
    )
    assert (full.returncode, full.stdout) == (1, "")
    assert re.search(r"error: the database \S+ (cannot|refused)", full.stderr), full.stderr
    assert "Traceback" not in full.stderr
    after = subprocess.run(
        [*COMMAND, "suppress", "list", "--json"], env=env, cwd=tmp_path, check=True, capture_output=True
    )
    assert [row["phone"] for row in json.loads(after.stdout)] == [CALLEE]
