"""Settings are right or refused by name."""

import os
from pathlib import Path

import pytest

from controller.settings import Settings, SettingsError, load

EXAMPLE = Path(__file__).parents[2] / "deploy" / "env.example"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("DOORWARD_"):
            monkeypatch.delenv(name)


def test_the_example_names_every_setting_with_its_meaning_and_default() -> None:
    """deploy/env.example is exactly what the settings say."""
    expected = [
        f"# {field.description}\n#DOORWARD_{name.upper()}={field.default}\n"
        for name, field in Settings.model_fields.items()
    ]

    assert EXAMPLE.read_text(encoding="utf-8").split("\n\n", 1)[1] == "\n".join(expected)


def test_the_defaults_stand() -> None:
    """Without any variable everything is embedded and local."""
    settings = load()

    assert settings.database == f"sqlite:///{Path.cwd()}/data/doorward.sqlite"
    assert (settings.web_host, settings.web_port) == ("127.0.0.1", 8480)
    assert settings.speed == 1


def test_the_command_line_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """A given value goes before the environment's."""
    monkeypatch.setenv("DOORWARD_SPEED", "2")

    assert load().speed == 2
    assert load(speed=3600).speed == 3600


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("DOORWARD_WEBPORT", "DOORWARD_WEB_PORT"), ("doorward_sped", "DOORWARD_SPEED")],
)
def test_a_misspelt_variable_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, nearest: str
) -> None:
    """The nearest right name is told."""
    monkeypatch.setenv(name, "1")

    with pytest.raises(SettingsError, match=f"{name} is no setting; did you mean {nearest}"):
        load()


@pytest.mark.parametrize("speed", ["0", "-1", "1000000000", "1.5", "fast", ""])
def test_a_speed_out_of_range_is_refused(monkeypatch: pytest.MonkeyPatch, speed: str) -> None:
    """Speed is a whole number from 1 to 100,000."""
    monkeypatch.setenv("DOORWARD_SPEED", speed)

    with pytest.raises(SettingsError, match=r"^DOORWARD_SPEED: "):
        load()


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"WEB_PORT": "0"}, "DOORWARD_WEB_PORT: "),
        ({"WEB_PORT": "8443"}, "DOORWARD_DEVICE_PORT and DOORWARD_WEB_PORT are both 8443"),
        ({"BROKER": "mqtts://b:8883", "MQTT_PORT": "1883"}, "leave one of them out"),
        ({"BROKER": "tcp://b:1883"}, "DOORWARD_BROKER: must be mqtts://HOST:PORT"),
        ({"BROKER": "mqtts://b"}, "DOORWARD_BROKER: must be mqtts://HOST:PORT"),
        ({"BROKER": "mqtts://b:99999"}, "DOORWARD_BROKER: must be mqtts://HOST:PORT"),
        ({"DATABASE_URL": "mysql://h/d"}, "DOORWARD_DATABASE_URL: must start with"),
        ({"DATABASE_URL": "sqlite://"}, "DOORWARD_DATABASE_URL: names no file"),
        ({"DATABASE_URL": "here"}, "DOORWARD_DATABASE_URL: is no URL"),
        ({"OFFLINE_GRACE_H": "169"}, "DOORWARD_OFFLINE_GRACE_H: "),
        ({"PUBLIC_HOST": "a b"}, "DOORWARD_PUBLIC_HOST: "),
        ({"LOG_LEVEL": "loud"}, "DOORWARD_LOG_LEVEL: "),
    ],
)
def test_wrong_and_contradictory_settings_are_refused(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], complaint: str
) -> None:
    """Each refusal names the setting and the remedy."""
    for name, value in variables.items():
        monkeypatch.setenv(f"DOORWARD_{name}", value)

    with pytest.raises(SettingsError, match=complaint):
        load()


def test_passwords_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the redacted settings nor a refusal tells a password."""
    monkeypatch.setenv("DOORWARD_DATABASE_URL", "postgresql://ada:hunter2@host/db")
    monkeypatch.setenv("DOORWARD_BROKER", "mqtts://ada:hunter2@host:8883")
    shown = load().redacted()
    monkeypatch.setenv("DOORWARD_BROKER", "mqtt://ada:hunter2@host:8883")
    with pytest.raises(SettingsError) as refusal:
        load()

    assert shown["database_url"] == "postgresql://ada:***@host/db"
    assert shown["broker"] == "mqtts://host:8883"
    assert "hunter2" not in str(shown) + str(refusal.value)
