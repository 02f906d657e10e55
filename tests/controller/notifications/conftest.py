"""A served ground, and a mail server that is really there."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from controller.db.engine import Database
from tests.controller.people.ground import Ground, served


@dataclass
class Inbox:
    """What a mail server has taken, and what it answers."""

    port: int = 0
    answer: str = "250 OK"
    mails: list[EmailMessage] = field(default_factory=list)

    async def handle_DATA(  # noqa: N802 - the library's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Take a mail, or say what was set."""
        del server, session
        if self.answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            mail = message_from_bytes(envelope.content, policy=policy.default)
            assert isinstance(mail, EmailMessage)
            self.mails.append(mail)
        return self.answer


@pytest.fixture
async def ground(database: Database) -> AsyncIterator[Ground]:
    """Two sites with 25 seats each."""
    async with served(database) as made:
        yield made


@pytest.fixture
async def inbox() -> AsyncIterator[Inbox]:
    """An SMTP server on a free port."""
    taken = Inbox()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(taken), "127.0.0.1", 0)
    async with server:
        taken.port = server.sockets[0].getsockname()[1]
        yield taken
