from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agenx_cli.errors import SettingsError
from agenx_cli.reading import FIELDS
from agenx_cli.settings import Settings, child_environment, load_settings

SID = "AC" + "0123456789abcdef" * 2
TOKEN = "a-secret-token-of-a-test"
ACCOUNT = {
    "OPENAI_API_KEY": "sk-test-0123456789",
    "TWILIO_ACCOUNT_SID": SID,
    "TWILIO_AUTH_TOKEN": TOKEN,
    "TWILIO_PHONE_NUMBER": "+15555550100",
    "NGROK_AUTHTOKEN": "ngrok-secret-of-a-test",
    "AGENX_PUBLIC_URL": "https://calls.example.com",
    "AGENX_DATABASE_URL": "postgresql://user:hunter2hunter2@db.example.com/agenx",
}
LOOPBACK = "http://127.0.0.1:8123"


def read(directory: Path, environ: dict[str, str] | None = None, **flags: str | None) -> Settings:
    return load_settings(flags, environ={"AGENX_HOME": str(directory / "home"), **(environ or {})}, directory=directory)


def port_and_origin(*args, **flags) -> tuple[int, str]:
    settings = read(*args, **flags)
    return settings.port, settings.origin("port")


def user_config(directory: Path, text: str) -> Path:
    path = directory / "home" / "config.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def test_with_nothing_set_every_value_is_a_default_and_the_state_is_at_home(tmp_path):
    settings = read(tmp_path)
    assert settings.home == tmp_path / "home"
    assert settings.database_url == f"sqlite:///{(tmp_path / 'home' / 'agenx.db').as_posix()}"
    assert (settings.host, settings.port, settings.output) == ("127.0.0.1", 5050, "text")
    assert settings.origin("port") == "default"
    assert settings.origin("home") == "environment AGENX_HOME"


def test_each_source_gives_way_to_the_one_before_it(tmp_path):
    config = user_config(tmp_path, "port = 1\n")
    assert port_and_origin(tmp_path) == (1, str(config))
    (tmp_path / "agenx.toml").write_text("port = 2\n")
    assert port_and_origin(tmp_path) == (2, "agenx.toml")
    (tmp_path / ".env").write_text("PORT=3\n")
    assert port_and_origin(tmp_path) == (3, ".env")
    assert port_and_origin(tmp_path, {"PORT": "4"}) == (4, "environment PORT")
    assert port_and_origin(tmp_path, {"PORT": "4"}, port="5") == (5, "flag")


def test_an_empty_value_counts_as_not_set(tmp_path):
    (tmp_path / ".env").write_text("PORT=3\n")
    (tmp_path / "agenx.toml").write_text('voice = ""\n')
    settings = read(tmp_path, {"PORT": ""}, port=None)
    assert (settings.port, settings.voice) == (3, None)


def test_a_profile_goes_before_the_top_level_of_its_file_only(tmp_path):
    user_config(tmp_path, '[profile.eu]\nport = 1\nvoice = "cedar"\n')
    (tmp_path / "agenx.toml").write_text('port = 2\nmodel = "m"\n[profile.eu]\nmodel = "m-eu"\n')
    environ = {"AGENX_HOME": str(tmp_path / "home")}
    settings = load_settings(profile="eu", environ=environ, directory=tmp_path)
    assert (settings.port, settings.model, settings.voice) == (2, "m-eu", "cedar")
    assert settings.origin("model") == "agenx.toml [profile.eu]"
    by_name = load_settings(environ={**environ, "AGENX_PROFILE": "eu"}, directory=tmp_path)
    assert by_name.model == "m-eu"


def test_an_unknown_profile_is_refused_with_the_known_ones(tmp_path):
    (tmp_path / "agenx.toml").write_text("[profile.eu]\nport = 2\n")
    with pytest.raises(SettingsError) as caught:
        load_settings(profile="us", environ={"AGENX_HOME": str(tmp_path)}, directory=tmp_path)
    assert "eu" in (caught.value.fix or "")


@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        ("agenx.toml", 'host = "h"\nport = = 5\n', "line 2"),
        ("agenx.toml", "host = 'h'\nprot = 5\n", "line 2"),
        ("agenx.toml", "port = [1]\n", "line 1"),
        ("agenx.toml", "profile = 3\n", "profile"),
        (".env", "A=1\nthis is no line\n", "line 2"),
        (".env", "PORT=99999\n", "PORT"),
    ],
)
def test_a_broken_line_is_named_by_file_and_line(tmp_path, name, text, word):
    (tmp_path / name).write_text(text)
    with pytest.raises(SettingsError) as caught:
        read(tmp_path)
    assert name in str(caught.value)
    assert word in str(caught.value)
    assert caught.value.fix


def test_a_misspelled_key_is_told_the_right_one(tmp_path):
    (tmp_path / "agenx.toml").write_text("prot = 5\n")
    with pytest.raises(SettingsError) as caught:
        read(tmp_path)
    assert "'port'" in (caught.value.fix or "")


def test_a_file_that_is_not_utf8_is_refused_and_a_byte_order_mark_is_not(tmp_path):
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfPORT=7\n")
    assert read(tmp_path).port == 7
    (tmp_path / ".env").write_bytes(b"PORT=\xff\xfe\n")
    with pytest.raises(SettingsError, match="UTF-8"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("env", "value"),
    [
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "٣"),
        ("PORT", "5050x"),
        ("TWILIO_ACCOUNT_SID", "AC123"),
        ("TWILIO_PHONE_NUMBER", "600000001"),
        ("TWILIO_PHONE_NUMBER", "+34 600 000 001"),
        ("OPENAI_API_KEY", "sk test"),
        ("OPENAI_BASE_URL", "ftp://api.example.com"),
        ("OPENAI_BASE_URL", "http://api.example.com/v1"),
        ("AGENX_TWILIO_API_URL", "https://user:pass@api.example.com"),
        ("AGENX_TWILIO_API_URL", "https://api.example.com:port"),
        ("AGENX_PUBLIC_URL", "http://calls.example.com"),
        ("AGENX_PUBLIC_URL", "https://calls.example.com/path"),
        ("AGENX_PUBLIC_URL", "http://127.0.0.1:5050"),
        ("AGENX_OUTPUT", "xml"),
        ("AGENX_SIMULATE", "perhaps"),
        ("AGENX_SIM_CLOCK", "nan"),
        ("AGENX_TIME_ZONE", "Mars/Olympus"),
        ("AGENX_TIME_ZONE", "../etc/passwd"),
        ("HOST", "a\nb"),
    ],
)
def test_a_bad_value_names_its_source_and_a_fix_and_never_a_secret(tmp_path, env, value):
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, {env: value})
    assert "environment" in str(caught.value)
    assert caught.value.fix
    if FIELDS[next(n for n, row in FIELDS.items() if row.env == env)].secret or env == "TWILIO_PHONE_NUMBER":
        assert value not in str(caught.value)
    assert caught.value.exit_code == 2


def test_no_repr_no_shown_value_and_no_error_has_a_secret(tmp_path):
    settings = read(tmp_path, ACCOUNT)
    told = f"{settings!r} {settings.shown()} {settings.need_twilio()!r} {settings.need_openai()!r}"
    for secret in (*settings.secrets, "hunter2hunter2", "+15555550100"):
        assert secret not in told
    assert set(settings.secrets) == {ACCOUNT[k] for k in ("OPENAI_API_KEY", "TWILIO_AUTH_TOKEN", "NGROK_AUTHTOKEN")}


def test_what_is_missing_is_asked_for_all_at_once_with_where_to_find_it(tmp_path):
    with pytest.raises(SettingsError) as caught:
        read(tmp_path).need_twilio()
    assert "TWILIO_ACCOUNT_SID" in str(caught.value)
    assert "TWILIO_AUTH_TOKEN" in str(caught.value)
    assert "Twilio console" in (caught.value.fix or "")
    with pytest.raises(SettingsError, match="OPENAI_API_KEY"):
        read(tmp_path).need_openai()
    with pytest.raises(SettingsError, match="TWILIO_PHONE_NUMBER"):
        read(tmp_path).need_number()
    with pytest.raises(SettingsError, match="TWILIO_API_SECRET"):
        read(tmp_path, {**ACCOUNT, "TWILIO_API_KEY": "SK" + SID[2:]}).need_twilio()


def test_a_rehearsal_has_its_own_state_and_knows_no_account_of_the_real_world(tmp_path):
    settings = read(tmp_path, {**ACCOUNT, "AGENX_SIMULATE": "1", "AGENX_VOICE": "cedar"})
    assert settings.simulate
    assert settings.home == tmp_path / "home" / "simulation"
    assert settings.database_url.endswith("/simulation/agenx.db")
    assert settings.secrets == ()
    assert (settings.public_url, settings.twilio_phone_number, settings.twilio_account_sid) == (None, None, None)
    assert settings.voice == "cedar"
    by_flag = read(tmp_path, ACCOUNT, simulate="1")
    assert by_flag.secrets == ()


def test_the_simulators_settings_go_on_top_of_a_rehearsal(tmp_path):
    rehearsal = read(tmp_path, ACCOUNT, simulate="1")
    settings = rehearsal.overlay(
        {
            "AGENX_TWILIO_API_URL": LOOPBACK,
            "OPENAI_BASE_URL": f"{LOOPBACK}/v1",
            "OPENAI_API_KEY": "sk-simulated",
            "TWILIO_ACCOUNT_SID": SID,
            "TWILIO_AUTH_TOKEN": "simulated-token",
            "TWILIO_PHONE_NUMBER": "+15555550111",
            "AGENX_SIM_CLOCK": "3600.5",
            "PATH": "/bin",
        }
    )
    assert settings.carrier_on_loopback
    assert settings.sim_clock == 3600.5
    assert settings.need_twilio().api_url == LOOPBACK
    assert settings.origin("openai_api_key") == "simulators"
    assert settings.home == rehearsal.home


def test_the_rehearsal_clock_counts_only_with_a_carrier_on_this_machine(tmp_path):
    assert read(tmp_path, {"AGENX_SIM_CLOCK": "60"}).sim_clock == 0
    for carrier in (LOOPBACK, "http://localhost:1", "http://[::1]:1", "http://127.9.9.9:1"):
        assert read(tmp_path, {"AGENX_SIM_CLOCK": "60", "AGENX_TWILIO_API_URL": carrier}).sim_clock == 60
    for carrier in ("https://127.0.0.1.example.com", "https://localhost.example.com", "https://10.0.0.1"):
        settings = read(tmp_path, {"AGENX_SIM_CLOCK": "60", "AGENX_TWILIO_API_URL": carrier})
        assert settings.sim_clock == 0
        assert "ignored" in settings.origin("sim_clock")


def test_a_plain_public_address_is_fine_for_a_carrier_on_this_machine(tmp_path):
    environ = {"AGENX_PUBLIC_URL": "http://127.0.0.1:5050", "AGENX_TWILIO_API_URL": LOOPBACK}
    assert read(tmp_path, environ).public_url == "http://127.0.0.1:5050"


def test_a_child_process_sees_none_of_our_settings(tmp_path):
    settings = read(tmp_path, ACCOUNT)
    environ = {**ACCOUNT, "PATH": "/bin", "AGENX_ANYTHING": "x", "COPY": TOKEN, "https_proxy": "http://10.0.0.1"}
    child = child_environment(settings, environ)
    assert child["PATH"] == "/bin"
    assert not set(child) & {*ACCOUNT, "AGENX_ANYTHING", "COPY", "https_proxy"}
    assert TOKEN not in child.values()


def test_every_row_is_a_field_of_settings_and_every_default_is_readable(tmp_path):
    settings = read(tmp_path)
    for name, row in FIELDS.items():
        value = getattr(settings, name)
        assert row.env.isupper()
        if isinstance(value, str):
            assert row.read(value) == value


def test_a_settings_file_that_is_a_folder_has_no_settings_and_an_unreadable_one_is_an_error(tmp_path):
    (tmp_path / ".env").mkdir()
    assert read(tmp_path).port == 5050
    deep = tmp_path / ("x" * 300)
    with pytest.raises(SettingsError, match="cannot be read"):
        read(deep)


def test_names_that_are_not_ours_are_left_alone_in_an_environment_file(tmp_path):
    (tmp_path / ".env").write_text("export OTHER='x y'\nPORT=7 # a comment\nEMPTY=\nNAME_ONLY\n")
    assert read(tmp_path).port == 7


def test_a_key_that_is_like_nothing_is_refused_too(tmp_path):
    (tmp_path / "agenx.toml").write_text("simulate = true\nzzz = 1\n")
    with pytest.raises(SettingsError, match="line 2") as caught:
        read(tmp_path)
    assert "config show" in (caught.value.fix or "")
    (tmp_path / "agenx.toml").write_text("simulate = true\n[profile.a]\nport = 7.5\n")
    assert read(tmp_path).simulate


def test_without_agenx_home_the_platform_decides(tmp_path):
    settings = load_settings(environ={"PATH": "/bin"}, directory=tmp_path)
    assert "agenx" in settings.home.parts[-1]
    assert settings.home.is_absolute()


@given(st.dictionaries(st.sampled_from([row.env for row in FIELDS.values()]), st.text(max_size=40), max_size=6))
@example({"AGENX_HOME": "~nobody-of-this-name"})
@example({"HOST": " "})
def test_whatever_the_environment_holds_settings_are_read_or_refused_with_a_fix(environ):
    fix = "none was needed"
    try:
        load_settings(environ={"AGENX_HOME": "/nowhere", **environ}, directory=Path("/nowhere"))
    except SettingsError as error:
        fix = error.fix
    assert fix
