"""The settings of the cloud: environment variables, checked at start."""

import os
import re
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from controller.clock import SPEED_MAX

PREFIX: Final = "DOORWARD_"
OFFLINE_GRACE_H_MAX: Final = 168
SQLITE_FILE: Final = "doorward.sqlite"
_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+")
BACKENDS: Final = ("sqlite", "postgresql")

Port = Annotated[int, Field(ge=1, le=65535)]
Host = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[0-9A-Za-z.:_-]+$")]


class SettingsError(Exception):
    """The settings cannot be right; the message names each one and what to do."""


class Settings(BaseSettings):
    """What one process is told; ``load`` is the way to get it."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="forbid", frozen=True, use_attribute_docstrings=True
    )

    data_dir: Path = Path("data")
    """Directory for the SQLite file, keys and the embedded broker's files."""

    database_url: str = ""
    """sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME; empty: a SQLite file in data_dir."""

    web_host: Host = "127.0.0.1"
    """Address on which web pages and API listen."""

    web_port: Port = 8480
    """Port of web pages and API."""

    device_port: Port = 8443
    """Port of the HTTPS server where hubs are claimed."""

    mqtt_port: Port = 8883
    """Port of the embedded MQTT broker."""

    public_host: Host = "localhost"
    """Name or address by which hubs reach this machine; it stands in the certificates."""

    broker: str = ""
    """External MQTT broker as mqtts://HOST:PORT; empty: the embedded one."""

    offline_grace_h: Annotated[int, Field(ge=0, le=OFFLINE_GRACE_H_MAX)] = 24
    """Hours that a hub without contact goes on serving after the subscription's end."""

    smtp: str = ""
    """Mail server as smtp://USER:PASSWORD@HOST:PORT (STARTTLS) or smtps://…; empty: no mail."""

    mail_from: Annotated[str, Field(max_length=254)] = ""
    """Address that mail comes from; needed with smtp."""

    speed: Annotated[int, Field(ge=1, le=SPEED_MAX)] = 1
    """How many times faster than real time the calendar runs; more than 1 is for demonstrations."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level of the lines that are logged."""

    @field_validator("database_url")
    @classmethod
    def _is_a_database(cls, value: str) -> str:
        if not value:
            return value
        try:
            url = make_url(value)
        except ArgumentError:
            raise ValueError("is no URL; write sqlite:///PATH or postgresql://…") from None
        if url.get_backend_name() not in BACKENDS:
            raise ValueError("must start with sqlite:/// or postgresql://")
        if url.get_backend_name() == "sqlite" and url.database in {None, "", ":memory:"}:
            raise ValueError("names no file; write sqlite:///PATH")
        return value

    @field_validator("broker")
    @classmethod
    def _is_a_broker(cls, value: str) -> str:
        if not value:
            return value
        try:
            parts = urlsplit(value)
            complete = parts.scheme == "mqtts" and parts.hostname and parts.port
        except ValueError:
            complete = False
        if not complete:
            raise ValueError("must be mqtts://HOST:PORT")
        return value

    @field_validator("smtp")
    @classmethod
    def _is_a_mail_server(cls, value: str) -> str:
        if not value:
            return value
        try:
            parts = urlsplit(value)
            complete = parts.scheme in {"smtp", "smtps"} and parts.hostname and parts.port
        except ValueError:
            complete = False
        if not complete:
            raise ValueError("must be smtp://HOST:PORT or smtps://HOST:PORT")
        return value

    @model_validator(mode="after")
    def _have_a_sender(self) -> Self:
        if self.smtp and not _ADDRESS.fullmatch(self.mail_from):
            raise ValueError(f"{PREFIX}MAIL_FROM must be a mail address when {PREFIX}SMTP is set")
        return self

    @model_validator(mode="after")
    def _agree(self) -> Self:
        ports = {"web_port": self.web_port, "device_port": self.device_port}
        if not self.broker:
            ports["mqtt_port"] = self.mqtt_port
        elif "mqtt_port" in self.model_fields_set:
            raise ValueError(
                f"{PREFIX}MQTT_PORT is the embedded broker's and {PREFIX}BROKER names another "
                "broker; leave one of them out"
            )
        for name, port in ports.items():
            for other, other_port in ports.items():
                if name < other and port == other_port:
                    raise ValueError(
                        f"{PREFIX}{name.upper()} and {PREFIX}{other.upper()} are both {port}; "
                        "give each its own port"
                    )
        return self

    @property
    def database(self) -> str:
        """The URL of the database, spelt out."""
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / SQLITE_FILE}"

    def redacted(self) -> dict[str, str]:
        """Return every setting as text that may be shown: without passwords."""
        shown = {name: str(getattr(self, name)) for name in type(self).model_fields}
        if self.database_url:
            shown["database_url"] = make_url(self.database_url).render_as_string()
        if self.broker:
            parts = urlsplit(self.broker)
            shown["broker"] = f"{parts.scheme}://{parts.hostname}:{parts.port}"
        if self.smtp:
            parts = urlsplit(self.smtp)
            shown["smtp"] = f"{parts.scheme}://{parts.hostname}:{parts.port}"
        return shown


def load(**given: object) -> Settings:
    """Return the settings out of the environment; ``given`` ones (the command line's) win.

    Raises:
        SettingsError: One is unknown, wrong or contradicts another.
    """
    _refuse_misspelt()
    try:
        return Settings(**given)  # type: ignore[arg-type] # the model checks them
    except ValidationError as error:
        lines = [_line(detail["loc"], detail["msg"]) for detail in error.errors()]
        raise SettingsError("\n".join(lines)) from None  # the cause shows values


def _refuse_misspelt() -> None:
    """A misspelt variable would be ignored, and its author would think otherwise."""
    known = [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]
    lines = []
    for name in sorted(os.environ):
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            near = get_close_matches(name.upper(), known, n=1, cutoff=0)
            lines.append(f"{name} is no setting; did you mean {near[0]}?")
    if lines:
        raise SettingsError("\n".join(lines))


def _line(where: tuple[int | str, ...], message: str) -> str:
    message = message.removeprefix("Value error, ")
    return f"{PREFIX}{str(where[0]).upper()}: {message}" if where else message
