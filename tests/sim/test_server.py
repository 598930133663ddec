"""The simulated world as a process of its own: what a client is told, and how it ends."""

import json
import signal
import subprocess
import sys

import httpx2
import pytest

from agenx_cli.errors import ServerStartError
from agenx_cli.sim.server import bind
from agenx_cli.sim.sound import Listener, Said

SERVE = """
import sys
from pathlib import Path
from agenx_cli.sim.server import serve
ledger, wire_log, with_parent = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "1"
serve(ledger=ledger, wire_log=wire_log, clock_offset=86400.0, cps=50.0, with_parent=with_parent)
"""


def start(tmp_path, *, with_parent):
    command = [sys.executable, "-c", SERVE, str(tmp_path / "l.jsonl"), str(tmp_path / "wire"), str(int(with_parent))]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return process, json.loads(process.stdout.readline())["env"]


def test_one_process_serves_the_carrier_and_the_voice_model_and_ends_with_its_parent(tmp_path):
    process, env = start(tmp_path, with_parent=True)
    assert set(env) == {
        "AGENX_TWILIO_API_URL",
        "OPENAI_BASE_URL",
        "TWILIO_ACCOUNT_SID",
        "TWILIO_AUTH_TOKEN",
        "OPENAI_API_KEY",
        "TWILIO_PHONE_NUMBER",
        "AGENX_SIM_CLOCK",
    }
    assert float(env["AGENX_SIM_CLOCK"]) == 86_400.0
    auth = (env["TWILIO_ACCOUNT_SID"], env["TWILIO_AUTH_TOKEN"])
    with httpx2.Client(trust_env=False, verify=False) as client:
        url = env["AGENX_TWILIO_API_URL"]
        account = f"{url}/2010-04-01/Accounts/{env['TWILIO_ACCOUNT_SID']}"
        balance = client.get(f"{account}/Balance.json", auth=auth)
        assert balance.json()["currency"] == "USD"
        models = client.get(
            f"{env['OPENAI_BASE_URL']}/models", headers={"Authorization": f"Bearer {env['OPENAI_API_KEY']}"}
        )
        assert models.status_code == 200
        client.post(f"{url}/sim/persona", json={"number": "+34600000001", "persona": "voicemail"})
        form = {
            "To": "+34600000001",
            "From": env["TWILIO_PHONE_NUMBER"],
            "Twiml": "<Response><Say>Hola</Say></Response>",
        }
        sid = client.post(f"{account}/Calls.json", auth=auth, data=form).json()["sid"]
        assert client.get(f"{url}/ledger").json()["calls"][0]["sid"] == sid
    process.stdin.close()
    assert process.wait(10) == 0
    lines = (tmp_path / "l.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[-1])["calls"]["persona"] == "voicemail"
    assert (tmp_path / "wire" / "rest.jsonl").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
def test_sigterm_ends_it_cleanly(tmp_path):
    process, env = start(tmp_path, with_parent=False)
    with httpx2.Client(trust_env=False, verify=False) as client:
        assert client.get(f"{env['AGENX_TWILIO_API_URL']}/ledger").json()["calls"] == []
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) in (0, -signal.SIGTERM)
    process.stdin.close()
    process.stdout.close()


def test_a_port_in_use_is_an_error_with_a_fix():
    with bind(0) as taken, pytest.raises(ServerStartError) as refused:
        bind(taken.getsockname()[1])
    assert refused.value.exit_code == 3
    assert refused.value.fix


def test_the_real_callees_fit_the_line():
    """What the line asks of a phone is what the six callees have."""
    from agenx_cli.sim.carrier.line import Clip, Line, tone
    from agenx_cli.sim.server import new_exchange

    exchange = new_exchange(seed=1, ledger=None, wire_log=None, clock_offset=0.0, cps=1.0)
    said = {}
    for persona in exchange.personas:
        for calling in (False, True):
            phone = exchange.phone(persona, "+34600000001", calling=calling)
            spoken = bytearray()
            line = Line(phone, lambda: None)
            line.source = Clip(tone(0.1))
            line.sink = lambda audio, at_ms, spoken=spoken: spoken.extend(audio)
            for _ in range(500):
                if not line.step():
                    break
            listener = Listener()
            heard = listener.hear(bytes(spoken)) + listener.flush()
            said[persona, calling] = [h.text for h in heard if isinstance(h, Said)]
            assert isinstance(phone.machine_verdict_ms, int)
            assert isinstance(phone.end_of_greeting_ms, int)
    assert said["interested", False]
    assert said["voicemail", False]
    assert not said["silent", False]
