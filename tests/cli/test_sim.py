import json
import subprocess
import sys
import urllib.request

import pytest

from agenx_cli.settings import load_settings


@pytest.fixture
def world(clean_environment):
    """The simulators as a process that ends with us."""
    command = [sys.executable, "-m", "agenx_cli", "sim", "serve", "--with-parent", "--json", "--seed", "3"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        yield process
        if process.poll() is None:
            process.kill()


def test_the_first_line_is_all_that_a_client_needs_and_the_world_ends_with_its_parent(world):
    env = json.loads(world.stdout.readline())["env"]
    settings = load_settings({"simulate": "1"}).overlay(env)
    assert settings.carrier_on_loopback
    assert settings.sim_clock > 0
    assert settings.need_twilio().auth_token == env["TWILIO_AUTH_TOKEN"]
    assert settings.need_openai().base_url.endswith("/v1")
    with urllib.request.urlopen(f"{settings.twilio_api_url}/ledger", timeout=10) as answer:
        assert json.load(answer)["calls"] == []
    world.stdin.close()
    assert world.wait(20) == 0
    assert world.stderr.read() == b""


def test_a_port_in_use_is_an_error_of_its_own(world):
    env = json.loads(world.stdout.readline())["env"]
    port = env["AGENX_TWILIO_API_URL"].rpartition(":")[2]
    done = subprocess.run(
        [sys.executable, "-m", "agenx_cli", "sim", "serve", "--port", port],
        check=False, capture_output=True, text=True, timeout=50,
    )  # fmt: skip
    assert done.returncode == 3
    assert "fix:" in done.stderr


def test_a_moment_that_is_none_is_refused():
    done = subprocess.run(
        [sys.executable, "-m", "agenx_cli", "sim", "serve", "--at", "tomorrow"],
        check=False, capture_output=True, text=True, timeout=50,
    )  # fmt: skip
    assert done.returncode == 2
    assert "--at" in done.stderr
