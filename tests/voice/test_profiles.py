"""Who speaks the protocol: addresses, headers, abilities."""

import pytest

from agenx_cli.errors import SettingsError
from agenx_cli.voice.openai.profiles import OPENAI, Capabilities, host_of


@pytest.mark.parametrize(
    ("base", "address"),
    [
        ("https://api.openai.com/v1", "wss://api.openai.com/v1/realtime?model=gpt-realtime-2.1"),
        ("https://api.openai.com/v1/", "wss://api.openai.com/v1/realtime?model=gpt-realtime-2.1"),
        ("", "wss://api.openai.com/v1/realtime?model=gpt-realtime-2.1"),
        ("http://127.0.0.1:9/v1", "ws://127.0.0.1:9/v1/realtime?model=gpt-realtime-2.1"),
        ("http://[::1]:9/v1", "ws://[::1]:9/v1/realtime?model=gpt-realtime-2.1"),
        ("WSS://eu.api.openai.com/v1", "wss://eu.api.openai.com/v1/realtime?model=gpt-realtime-2.1"),
    ],
)
def test_an_api_base_becomes_a_socket_address(base, address):
    assert OPENAI.address(base, "gpt-realtime-2.1") == address


def test_a_models_name_cannot_change_the_address():
    assert OPENAI.address("", "a&call_id=b/c").endswith("?model=a%26call_id%3Db%2Fc")


@pytest.mark.parametrize(
    "base",
    [
        "api.openai.com",
        "ftp://x/v1",
        "https://",
        "http://127.0.0.1:abc",
        "https://h:0/",
        "https://" + "a" * 70,
        "http://[x",
    ],
)
def test_what_is_no_web_address_is_refused_with_the_setting_to_mend(base):
    with pytest.raises(SettingsError) as refused:
        OPENAI.address(base, "m")
    assert "OPENAI_BASE_URL" in refused.value.fix


def test_the_key_does_not_cross_a_network_in_the_clear():
    with pytest.raises(SettingsError, match="in the clear"):
        OPENAI.address("http://voice.example/v1", "m")


def test_no_beta_header_is_ever_sent():
    assert OPENAI.headers("sk-1") == {"Authorization": "Bearer sk-1"}


@pytest.mark.parametrize(
    ("model", "reasons"),
    [
        ("gpt-realtime-2", True),
        ("gpt-realtime-2.1", True),
        ("gpt-realtime-2.1-mini", True),
        ("gpt-realtime-2.1-2026-09-01", True),
        ("gpt-realtime-3-mini", True),
        ("gpt-realtime-1.5", False),
        ("gpt-realtime", False),
        ("gpt-realtime-mini", False),
        ("gpt-realtime-2025-08-28", False),
    ],
)
def test_only_models_from_the_second_generation_on_reason(model, reasons):
    assert OPENAI.capabilities.reasons(model) is reasons
    assert not Capabilities().reasons(model)


def test_what_is_no_address_has_no_host():
    assert host_of("not an address") == ""
