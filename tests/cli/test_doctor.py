import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI, Request, WebSocket
from typer.testing import CliRunner

from agenx_cli.bridge import server
from agenx_cli.cli.app import app
from agenx_cli.cli.doctor.carrier import concurrency
from agenx_cli.cli.doctor.check import Check
from agenx_cli.cli.doctor.echo import Echo
from agenx_cli.cli.doctor.examine import checks
from agenx_cli.cli.doctor.live import live_trace
from agenx_cli.cli.doctor.report import exit_code
from agenx_cli.cli.doctor.ring import Ring
from agenx_cli.cli.doctor.trace import Trace
from agenx_cli.cli.running import Interrupts
from agenx_cli.clock import SystemClock
from agenx_cli.errors import ServerStartError
from agenx_cli.settings import load_settings
from agenx_cli.store.records import WorkerRecord
from agenx_cli.store.store import open_store
from tests.telephony.twilio_server import AC, TwilioServer, error, number, page, says

OWN = "+34910000001"
SECRET = "0123456789abcdef0123456789abcdef"
WELL = {
    f"/Accounts/{AC}.json": says(200, {"type": "Full", "status": "active"}),
    "/Balance.json": says(200, {"balance": "12.50", "currency": "USD"}),
    "/IncomingPhoneNumbers.json": says(200, page("incoming_phone_numbers", number())),
    "/DialingPermissions/Countries/ES": says(200, {"iso_code": "ES", "low_risk_numbers_enabled": True}),
    "/models/gpt-realtime-2.1": says(200, {"id": "gpt-realtime-2.1", "object": "model"}),
}


@pytest.fixture
def outside(monkeypatch):
    """Everything set, and Twilio and the model's HTTP side at one stand-in server."""

    def prepare(url: str, **more: str) -> None:
        env = {
            "OPENAI_API_KEY": "sk-test-000000000000",
            "OPENAI_BASE_URL": f"{url}/v1",
            "TWILIO_ACCOUNT_SID": AC,
            "TWILIO_AUTH_TOKEN": SECRET,
            "TWILIO_PHONE_NUMBER": OWN,
            "AGENX_TWILIO_API_URL": url,
        }
        for name, value in (env | more).items():
            monkeypatch.setenv(name, value)

    return prepare


async def never(*_) -> str:
    raise AssertionError("rung")


look = partial(checks, call=never)


def named(made: list[Check], name: str) -> Check:
    (found,) = [check for check in made if check.name == name]
    return found


async def seen(outside, routes: dict, **env: str) -> list[Check]:
    async with TwilioServer(routes=WELL | routes, script=[error(404, 20404)]) as twilio:
        outside(twilio.url, **env)
        return await look(load_settings())


# --- without a network


async def test_nothing_set_is_told_with_a_fix_for_each(clean_environment):
    made = await look(load_settings(), offline=True)
    missing = [check for check in made if check.status == "failed"]
    assert [check.name for check in missing] == [
        "setting: OpenAI key",
        "setting: Twilio account",
        "setting: our number",
        "setting: public address",
    ]
    assert all(check.fix for check in missing)
    assert exit_code(made) == 1
    assert named(made, "data directory").detail == str(clean_environment)
    assert named(made, "database").status == "ok"
    assert named(made, "time zone").detail == "Europe/Madrid"
    assert named(made, "network").status == "skipped"


async def test_an_address_that_is_set_is_enough(monkeypatch):
    monkeypatch.setenv("NGROK_AUTHTOKEN", "2abcdefgh")
    monkeypatch.setenv("AGENX_NGROK_URL", "https://me.ngrok.app")
    assert named(await look(load_settings(), offline=True), "setting: public address").detail.startswith("ngrok, ")
    monkeypatch.setenv("AGENX_PUBLIC_URL", "https://calls.example.com")
    assert "calls.example.com" in named(await look(load_settings(), offline=True), "setting: public address").detail


async def test_a_rehearsal_is_looked_at_in_a_world_of_its_own():
    told: list[Check] = []
    made = await look(load_settings({"simulate": "1"}), tell=told.append)
    assert told == made
    assert named(made, "simulators").status == "ok"
    assert named(made, "Twilio account").status == "ok"
    assert named(made, "model session").status == "ok"
    assert exit_code(made) == 0


async def test_a_rehearsal_needs_no_account():
    made = await look(load_settings({"simulate": "1"}), offline=True)
    assert named(made, "setting: OpenAI key").detail == "none needed: a rehearsal has its own"
    assert exit_code(made) == 0


async def test_a_rehearsal_that_is_running_is_left_alone():
    rehearsal = load_settings({"simulate": "1"})
    store = open_store(rehearsal.database_url)
    store.worker.acquire(WorkerRecord("me", 1, "here", None, "serve", SystemClock().now(), None))
    made = await look(rehearsal)
    assert "is running" in named(made, "simulators").detail
    assert "agenx serve is running" in named(made, "database").detail
    assert exit_code(made) == 0
    store.close()


async def test_a_rehearsal_that_cannot_start_says_why():
    rehearsal = load_settings({"simulate": "1"})
    rehearsal.home.mkdir(parents=True)
    (rehearsal.home / "clock.json").write_text("{")
    made = await look(rehearsal)
    assert (named(made, "simulators").status, exit_code(made)) == ("failed", 1)
    assert "delete" in named(made, "simulators").fix


async def test_a_data_directory_that_cannot_be_written(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AGENX_HOME", str(tmp_path / "file" / "home"))
    made = await look(load_settings({}), offline=True)
    assert named(made, "data directory").status == "failed"
    assert "AGENX_HOME" in named(made, "data directory").fix
    assert not [check for check in made if check.name == "database"]


async def test_a_full_disk(monkeypatch):
    usage = shutil.disk_usage(".")._replace(free=3_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    assert named(await look(load_settings(), offline=True), "disk space").detail == "3 MB free"


async def test_a_damaged_database(clean_environment):
    clean_environment.mkdir()
    (clean_environment / "agenx.db").write_bytes(b"not a database at all" * 100)
    assert named(await look(load_settings(), offline=True), "database").status == "failed"


async def test_a_playbook_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv("AGENX_PLAYBOOK", str(tmp_path / "nowhere"))
    made = await look(load_settings(), offline=True)
    assert named(made, "playbook").status == "failed"
    assert named(made, "time zone").status == "skipped"


# --- the account at the carrier


async def test_a_good_account_and_number(outside):
    made = await seen(outside, {})
    assert named(made, "Twilio account") == Check("Twilio account", "ok", "full, active")
    assert named(made, "Twilio balance").detail == "12.50 USD"
    assert named(made, "Twilio number").status == "ok"
    assert named(made, "Twilio geo permission").detail == "calls to ES are allowed"
    assert named(made, "model access").status == "ok"
    assert OWN not in repr(made)
    assert SECRET not in repr(made)


async def test_refused_credentials_are_exit_code_4_and_end_the_looking(outside):
    made = await seen(outside, {f"/Accounts/{AC}.json": error(401, 20003)})
    assert named(made, "Twilio account").credentials
    assert exit_code(made) == 4
    assert not [check for check in made if check.name == "Twilio number"]


async def test_an_api_key_is_looked_at_beside_the_token(outside):
    key = {"TWILIO_API_KEY": "SK" + "0" * 32, "TWILIO_API_SECRET": "s" * 32}
    made = await seen(outside, {"/IncomingPhoneNumbers.json": error(401, 20003)}, **key)
    assert named(made, "Twilio account").status == "ok"
    assert named(made, "Twilio number").credentials


TROUBLE = [
    ("Twilio account", f"/Accounts/{AC}.json", says(200, {"type": "Full", "status": "suspended"}), "console"),
    ("Twilio balance", "/Balance.json", says(200, {"balance": "0.40", "currency": "USD"}), "add money"),
    ("Twilio balance", "/Balance.json", says(500, ""), "status.twilio.com"),
    ("Twilio number", "/IncomingPhoneNumbers.json", says(200, page("incoming_phone_numbers")), "TWILIO_PHONE_NUMBER"),
    (
        "Twilio number",
        "/IncomingPhoneNumbers.json",
        says(200, page("incoming_phone_numbers", number(capabilities={"voice": False}))),
        "voice capability",
    ),
    (
        "Twilio number",
        "/IncomingPhoneNumbers.json",
        says(200, page("incoming_phone_numbers", number(voice_application_sid="AP1"))),
        "off a TwiML app",
    ),
    (
        "Twilio number",
        "/IncomingPhoneNumbers.json",
        says(200, page("incoming_phone_numbers", number(trunk_sid="TK1"))),
        "off a SIP trunk",
    ),
    (
        "Twilio geo permission",
        "/DialingPermissions/Countries/ES",
        says(200, {"low_risk_numbers_enabled": False}),
        "Geo permissions",
    ),
    ("model access", "/models/gpt-realtime-2.1", says(404, {}), "AGENX_MODEL"),
    ("model access", "/models/gpt-realtime-2.1", says(429, {}), "credit"),
    ("model access", "/models/gpt-realtime-2.1", says(503, {}), "status.openai.com"),
]


@pytest.mark.parametrize(("name", "path", "answer", "fix"), TROUBLE)
async def test_each_trouble_has_its_fix(outside, name, path, answer, fix):
    made = await seen(outside, {path: answer})
    assert named(made, name).status == "failed"
    assert fix in named(made, name).fix
    assert exit_code(made) == 1


@pytest.mark.parametrize(
    ("kind", "cap", "status", "told"),
    [
        ("trial", 1, "ok", "5"),
        ("trial", 5, "ok", "5 at a time"),
        ("trial", 6, "failed", "trial"),
        ("full", 2, "ok", "at least 2"),
        ("full", 3, "skipped", "cannot be seen"),
        ("of the future", 1, "ok", "at least 2"),
    ],
)
def test_calls_at_once_are_held_against_what_the_kind_of_account_is_known_to_have(kind, cap, status, told):
    check = concurrency(kind, cap)
    assert check.status == status
    assert told in check.detail
    assert f"{cap} at a time" in check.detail
    assert (check.fix is None) == (status == "ok")


async def test_what_cannot_be_known_fails_nothing(outside):
    made = await seen(
        outside, {"/Balance.json": says(200, {"balance": None}), "/DialingPermissions/Countries/ES": error(404, 20404)}
    )
    assert named(made, "Twilio balance").status == "skipped"
    assert named(made, "Twilio geo permission").status == "skipped"


async def test_without_a_number_its_checks_are_left_out(outside):
    made = await seen(outside, {}, TWILIO_PHONE_NUMBER="")
    assert named(made, "Twilio number").status == "skipped"
    assert named(made, "Twilio geo permission").status == "skipped"


# --- the model


async def test_a_refused_key_is_exit_code_4_and_opens_no_session(outside):
    made = await seen(outside, {"/models/gpt-realtime-2.1": says(401, {})})
    assert named(made, "model access").credentials
    assert named(made, "model session").status == "skipped"
    assert exit_code(made) == 4


async def test_a_session_that_is_refused_says_so(outside):
    made = await seen(outside, {"/realtime": says(401, {})})
    assert named(made, "model session").status == "failed"
    assert named(made, "model session").credentials


async def test_the_model_looked_at_is_the_one_that_calls_would_use(outside, tmp_path):
    shutil.copytree(Path(__file__).parents[2] / "campaigns" / "agenx-ai", tmp_path / "mine")
    file = tmp_path / "mine" / "playbook.toml"
    file.write_text(
        file.read_text("utf-8").replace('voice = "marin"', 'voice = "marin"\nmodel = "gpt-realtime-2"'), "utf-8"
    )
    other = {"/models/gpt-realtime-2": says(200, {}), "/models/gpt-realtime-3": says(200, {})}
    made = await seen(outside, other, AGENX_PLAYBOOK=str(tmp_path / "mine"))
    assert named(made, "model access").detail == "gpt-realtime-2"
    made = await seen(outside, other, AGENX_PLAYBOOK=str(tmp_path / "mine"), AGENX_MODEL="gpt-realtime-3")
    assert named(made, "model access").detail == "gpt-realtime-3"


async def test_a_model_that_cannot_be_reached(outside, free_port):
    made = await seen(outside, {}, OPENAI_BASE_URL=f"http://127.0.0.1:{free_port}/v1")
    assert "cannot be reached" in named(made, "model access").detail


@pytest.fixture
def free_port():
    bound = server.bind("127.0.0.1", 0)
    port = bound.getsockname()[1]
    bound.close()
    return port


# --- the public address


async def test_an_address_that_leads_here_is_walked_with_a_nonce(outside, free_port):
    made = await seen(outside, {}, PORT=str(free_port), AGENX_PUBLIC_URL=f"http://127.0.0.1:{free_port}")
    assert named(made, "public address").detail.endswith("leads here")


async def test_a_port_in_use_is_walked_too_because_serve_may_run_there(outside, free_port):
    echo = FastAPI()
    echo.add_api_route("/healthz", _echo)
    async with server.serving(echo, server.bind("127.0.0.1", free_port)):
        made = await seen(outside, {}, PORT=str(free_port), AGENX_PUBLIC_URL=f"http://127.0.0.1:{free_port}")
    assert named(made, "public address").status == "ok"


async def _echo(nonce: str) -> dict[str, str]:
    return {"nonce": nonce}


async def test_an_address_that_leads_elsewhere_fails(outside, monkeypatch, free_port):
    monkeypatch.setattr("agenx_cli.wiring.PROBE_PAUSE_S", 0)
    async with TwilioServer(routes=WELL, script=[says(200, {"nonce": "mine"})]) as twilio:
        outside(twilio.url, PORT=str(free_port), AGENX_PUBLIC_URL=twilio.url)
        made = await look(load_settings())
    assert "something else answers" in named(made, "public address").detail
    assert named(made, "public address").fix


# --- the live call


async def test_a_live_call_waits_until_everything_before_it_is_well():
    settings = load_settings({"twilio_api_url": "http://127.0.0.1:9"})
    made = await look(settings, live="+34600000001")
    assert named(made, "live call").status == "skipped"


async def test_a_live_call_that_cannot_be_placed_is_told_with_its_fix():
    async def refused(*_):
        raise ServerStartError("port 5050 is in use", fix="--port 5051")

    check = await live_trace(load_settings(), "+34600000001", refused)
    assert (check.status, check.fix) == ("failed", "--port 5051")


JUDGED = [
    ([], "no upgrade was seen", "no callback came"),
    ([("initiated", 204)], "no upgrade was seen", "report the trace"),
    ([("initiated", 403), ("completed", 403)], "no upgrade was seen", "TWILIO_AUTH_TOKEN"),
    ([("ringing", 204), ("no-answer", 204)], "no upgrade was seen", "pick up"),
    ([("completed", 204)], "none of ours", "TWILIO_AUTH_TOKEN"),
]


@pytest.mark.parametrize(("statuses", "signed", "fix"), JUDGED)
async def test_what_a_trace_lacks_is_judged(statuses, signed, fix):
    async def call(_settings, _number, trace: Trace) -> str:
        for status, answered in statuses:
            trace.callbacks.append({"route": "/twilio/status", "CallStatus": status, "answered": answered})
        if signed == "none of ours":
            trace._upgrade = ("/media-stream", "x", None)
        return "https://h.example"

    settings = load_settings({"twilio_auth_token": SECRET})
    check = await live_trace(settings, "+34600000001", call)
    assert check.status == "failed"
    assert fix in check.fix


async def test_a_live_call_beside_a_running_server_says_who_is_in_the_way(simulators):
    settings = load_settings().overlay(simulators)
    store = open_store(settings.database_url)
    store.worker.acquire(WorkerRecord("me", 1, "here", None, "serve", SystemClock().now(), None))
    check = await live_trace(settings, "+34600000001", Ring(Interrupts(), print))
    assert check.status == "failed"
    assert "agenx serve" in check.detail
    assert "end that process" in check.fix
    store.close()


def frame(side: str, event: str, **more) -> tuple[str, str]:
    return side, json.dumps({"event": event, **more})


def tone(level: int, ms: int = 20) -> bytes:
    """A square wave of a level from 0 (silence) to 7."""
    high, low = (0xFF, 0x7F) if level == 0 else (0x80 + 16 * (8 - level), 16 * (8 - level))
    return bytes(high if step % 8 < 4 else low for step in range(8 * ms))


def test_a_trace_tells_what_a_clear_did():
    moments = iter(range(1000))
    trace = Trace(now=lambda: next(moments) / 1000)
    assert trace.interruption() == {"clear_seen": False}
    seen = [
        *(frame("agenx", "mark", mark={"name": name}) for name in "abc"),
        frame("carrier", "mark", mark={"name": "a"}),
        frame("agenx", "clear"),
        frame("carrier", "mark", mark={"name": "b"}),
        frame("carrier", "media", media={"payload": "not base64"}),
        frame("carrier", "mark", mark={"name": "c"}),
    ]
    for side, text in seen:
        trace._frame(side, text)
    told = trace.interruption()
    assert (told["clear_seen"], told["marks_waiting"]) == (True, 2)
    assert len(told["marks_back_after_ms"]) == 2
    assert all(0 < after < 20 for after in told["marks_back_after_ms"])


@pytest.mark.parametrize("delay_ms", [0, 240, 560])
def test_a_line_that_gives_back_what_it_is_played_is_heard_as_an_echo(delay_ms):
    chance, echo = random.Random(5), Echo()
    said = [tone(chance.randint(0, 7)) for _ in range(300)]
    echo.sent(1000, b"".join(said))  # at once, as a reply comes: the carrier plays it in real time
    for step, audio in enumerate(said):
        echo.came(1000 + 20 * step + delay_ms, audio)
    told = echo.measured()
    assert told["heard"]
    assert told["delay_ms"] == delay_ms
    assert told["likeness"] > 0.9


def test_two_who_take_turns_are_no_echo():
    chance, echo = random.Random(6), Echo()
    for turn in range(8):
        for step in range(100):
            at = 20 * (100 * turn + step)
            loud = tone(chance.randint(3, 7))
            if turn % 2 == 0:
                echo.sent(at, loud)
            echo.came(at, tone(0) if turn % 2 == 0 else loud)
    assert echo.measured()["heard"] is False


def test_too_little_or_nothing_but_silence_is_not_judged_as_an_echo():
    echo = Echo()
    assert echo.measured()["heard"] is None
    echo.sent(0, tone(5, 400))
    echo.came(0, tone(5))
    assert echo.measured() == {"heard": None, "likeness": None, "delay_ms": None}
    for step in range(200):
        echo.came(20 * step, tone(0))
    echo.sent(500, tone(5, 3000))
    assert echo.measured()["heard"] is False
    echo.cleared(600)
    assert echo.measured()["heard"] is None, "what was cleared was never played"


async def test_a_trace_sees_frames_and_callbacks_and_keeps_nothing_private():
    moments = iter(range(1000))
    trace = Trace(now=lambda: next(moments) / 1000)
    watched = FastAPI()

    async def status(request: Request) -> dict[str, int]:
        return {"bytes": len(await request.body())}

    async def stream(socket: WebSocket) -> None:
        await socket.accept()
        for _ in range(5):
            await socket.receive()
        await socket.send_text('{"event":"media","media":{"payload":"AAAA"}}')
        await socket.send_text('{"event":"clear","streamSid":"MZ1"}')
        await socket.close()

    watched.add_api_route("/twilio/status/{uid}", status, methods=["POST"])
    watched.add_api_route("/healthz", _echo)
    watched.add_api_websocket_route("/media-stream", stream)
    watched.add_middleware(trace.observe)
    from websockets.asyncio.client import connect

    async with server.serving(watched, server.bind("127.0.0.1", 0)) as port, httpx2.AsyncClient() as client:
        base = f"http://127.0.0.1:{port}"
        await client.get(f"{base}/healthz?nonce=1")
        form = {"CallStatus": "busy", "SequenceNumber": "2", "To": OWN, "CallSid": "CA1"}
        await client.post(f"{base}/twilio/status/attempt17", data=form, headers={"I-Twilio-Idempotency-Token": "x"})
        await client.post(f"{base}/twilio/status/attempt17", content=b"a=\xff")
        async with connect(f"ws://127.0.0.1:{port}/media-stream", additional_headers={"x-twilio-signature": "x"}) as ws:
            await ws.send("not json")
            await ws.send(json.dumps({"event": "start", "start": {"customParameters": {"ticket": SECRET}}}))
            await ws.send(json.dumps({"event": "start", "start": 7}))
            await ws.send(json.dumps({"event": "media", "media": {"payload": "AAA="}}))
            await ws.send(json.dumps({"event": "mark", "mark": {"name": "a word"}}))
            events = [json.loads(frame)["event"] async for frame in ws]
            assert events == ["media", "media", "mark", "clear"], "the clear gets something to throw away"
    document = trace.document(SECRET, base)
    assert document["upgrade"]["signed_over"] == "none of ours"
    assert document["media"] == {
        "carrier_frames": 1,
        "carrier_bytes": 2,
        "agenx_frames": 2,
        "agenx_bytes": 1603,
        "longest_gap_ms": 0,
    }
    assert [(frame["from"], frame["event"], frame["mark"]) for frame in document["marks_and_clears"]] == [
        ("carrier", "unreadable", None),
        ("carrier", "mark", 1),
        ("agenx", "mark", 2),
        ("agenx", "clear", None),
    ]
    first, second = document["callbacks"]
    assert (first["route"], first["CallStatus"], first["SequenceNumber"]) == ("/twilio/status", "busy", "2")
    assert (first["answered"], first["idempotency_token"]) == (200, True)
    assert second["form"] == "unreadable"
    assert document["ulaw"] == {"carrier": False, "model": True}
    assert document["interruption"]["clear_seen"]
    text = json.dumps(document)
    for private in (OWN, "CA1", "attempt17", SECRET, "a word", "AAAA"):
        assert private not in text


# --- from the command line, against the simulators


@pytest.fixture(scope="module")
def simulators():
    command = [sys.executable, "-m", "agenx_cli", "sim", "serve", "--json", "--with-parent"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield json.loads(process.stdout.readline())["env"]
        process.stdin.close()


def agenx(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agenx_cli", *words]
    return subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, timeout=50, check=False)


def test_doctor_on_the_command_line_rings_the_operator_and_leaves_a_trace(simulators, clean_environment, free_port):
    persona = {"number": "+34600000001", "persona": "interrupts"}
    httpx2.post(f"{simulators['AGENX_TWILIO_API_URL']}/sim/persona", json=persona, trust_env=False).raise_for_status()
    done = agenx("doctor", "--live", "+34600000001", "--yes", "--json", **simulators, PORT=str(free_port))
    assert done.returncode == 0, done.stderr + done.stdout
    document = json.loads(done.stdout)
    assert document["ok"]
    (live,) = [check for check in document["checks"] if check["check"] == "live call"]
    assert "initiated, ringing, in-progress, completed; stream signed over ws://HOST" in live["detail"]
    assert "a clear was seen" in live["detail"]
    assert "talk over it once" in done.stderr
    (trace,) = (clean_environment / "doctor").glob("live-*.json")
    written = trace.read_text()
    seen = json.loads(written)
    assert seen["upgrade"]["start"]["parameters"] == ["attempt", "ticket"]
    assert seen["ulaw"] == {"carrier": True, "model": True}
    assert len(seen["interruption"]["marks_back_after_ms"]) == seen["interruption"]["marks_waiting"] > 0
    assert seen["echo"]["heard"] is False
    assert "600000001" not in written
    for secret in ("TWILIO_AUTH_TOKEN", "OPENAI_API_KEY", "TWILIO_ACCOUNT_SID"):
        assert simulators[secret] not in written + done.stdout + done.stderr


def calls_to(number: str, url: str) -> list[dict]:
    calls = httpx2.get(f"{url}/ledger", trust_env=False).json()["calls"]
    return [call for call in calls if call["to"] == number]


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process")
def test_ctrl_c_in_the_live_call_ends_it_and_not_only_us(simulators, clean_environment, free_port):
    url = simulators["AGENX_TWILIO_API_URL"]
    silent = {"number": "+34600000009", "persona": "silent"}
    httpx2.post(f"{url}/sim/persona", json=silent, trust_env=False).raise_for_status()
    command = [sys.executable, "-m", "agenx_cli", "doctor", "--live", "+34600000009", "--yes"]
    env = {**os.environ, **simulators, "PORT": str(free_port)}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert "talk over it once" in process.stderr.readline()
        while not calls_to("+34600000009", url):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=40)[1]
    assert process.returncode == 130
    assert "Saying goodbye" in told
    (call,) = calls_to("+34600000009", url)
    assert call["ended_at"]


def test_doctor_for_people_ticks_and_fixes_and_exits_with_4_for_a_wrong_token(simulators):
    done = agenx("doctor", **simulators | {"TWILIO_AUTH_TOKEN": "0" * 32})
    assert done.returncode == 4
    assert "✗ Twilio account: Twilio refuses the credentials" in done.stdout
    assert "    fix: check TWILIO_ACCOUNT_SID" in done.stdout
    assert "✓ model session" in done.stdout
    assert done.stdout.rstrip().endswith("checks failed.")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--live", "+34600000001"), "--yes"),
        (("--live", "12"), "--live"),
        (("--live", "+34600000001", "--offline"), "contradict"),
    ],
)
def test_a_live_call_is_asked_for_properly(words, told):
    done = CliRunner().invoke(app, ["doctor", *words])
    assert done.exit_code == 2
    assert told in done.stderr


def test_each_check_is_a_line_of_jsonl():
    done = CliRunner().invoke(app, ["doctor", "--offline", "-o", "jsonl"])
    assert done.exit_code == 1
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["event"] for line in lines} == {"check"}
    assert [line["status"] for line in lines if line["check"] == "network"] == ["skipped"]


def test_a_rehearsal_is_looked_at_by_flag_or_environment(monkeypatch):
    assert CliRunner().invoke(app, ["doctor", "--offline"]).exit_code == 1
    assert CliRunner().invoke(app, ["doctor", "--offline", "--simulate"]).exit_code == 0
    monkeypatch.setenv("AGENX_SIMULATE", "1")
    assert CliRunner().invoke(app, ["doctor", "--offline"]).exit_code == 0
