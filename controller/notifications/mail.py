"""Mail on its way out: written from what waits, sent once the server takes it.

A mail is a row until the server has taken it. It is claimed by moving ``next_at`` on, sent outside
any transaction, and then deleted; a crash between the two sends it again, under the same
Message-ID. What fails is tried again, later each time, and given up after two days.
"""

from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

import aiosmtplib
import structlog

from controller.db.engine import Database
from controller.notifications import letters, mailbox
from controller.notifications.mailbox import Mail
from controller.notifications.service import WAKE_MAIL
from controller.ports import Bus, LinkClock

PATIENCE_S: Final = 30.0
PAUSE_S: Final = 5.0
NEVER: Final = 500  # from this reply code on the server will not take the mail later either

_log = structlog.get_logger(__name__)


class Refused(Exception):
    """The server will never take this mail."""


class Unreachable(Exception):
    """The server takes nothing now."""


class Post(Protocol):
    """The way to people's mail boxes."""

    async def send(self, mail: Mail) -> None:
        """Hand one mail to the server.

        Raises:
            Refused: It will never be taken.
            Unreachable: It may be taken later.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpPost:
    """A mail server, over SMTP with STARTTLS where the server offers it, or over TLS."""

    host: str
    port: int
    tls: bool
    user: str | None
    password: str | None
    sender: str

    async def send(self, mail: Mail) -> None:
        """Hand one mail to the server."""
        message = EmailMessage()
        message["From"] = self.sender
        message["To"] = mail.receiver
        message["Subject"] = mail.subject
        message["Date"] = format_datetime(mail.created_at)
        message["Message-ID"] = f"<{mail.id}.{int(mail.created_at.timestamp())}@{_domain(self)}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(mail.body)
        try:
            await aiosmtplib.send(
                message,
                hostname=self.host,
                port=self.port,
                use_tls=self.tls,
                # A password never goes out in the clear; without one, whatever the server offers.
                start_tls=True if self.user and not self.tls else None,
                username=self.user,
                password=self.password,
                timeout=PATIENCE_S,
            )
        except (aiosmtplib.SMTPRecipientsRefused, aiosmtplib.SMTPResponseException) as error:
            if _is_final(error):
                raise Refused(_said(error)) from error
            raise Unreachable(_said(error)) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise Unreachable(type(error).__name__) from error


def post_of(url: str, *, sender: str) -> SmtpPost:
    """Return the way to a mail server.

    Args:
        url: smtp://USER:PASSWORD@HOST:PORT or smtps://…, as the settings have checked it.
        sender: Address that mail comes from.
    """
    parts = urlsplit(url)
    assert parts.hostname is not None, "settings check the mail server's address"
    assert parts.port is not None, "settings check the mail server's address"
    return SmtpPost(
        host=parts.hostname,
        port=parts.port,
        tls=parts.scheme == "smtps",
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        sender=sender,
    )


class MailRoom:
    """Writes and sends what waits, until cancelled."""

    def __init__(
        self, db: Database, link: LinkClock, bus: Bus, post: Post, *, address: str
    ) -> None:
        self._db = db
        self._link = link
        self._bus = bus
        self._post = post
        self._address = address

    async def run(self) -> None:
        """Work and sleep. What fails is logged and tried again."""
        with self._bus.subscribe(WAKE_MAIL) as waiter:
            while True:  # for the life of the process
                try:
                    await self.turn()
                except Exception:  # noqa: BLE001 - the database is away; look again in a moment
                    _log.exception("mail_failed")
                await waiter.wait(PAUSE_S)

    async def turn(self) -> int:
        """Write what is to be told, send what is due, and return how many mails left."""
        utc = self._link.utc()
        async with self._db.write() as tx:
            await letters.write(tx, address=self._address, utc=utc)
            await mailbox.gather(tx, utc=utc)
            due = await mailbox.claim(tx, utc=utc)
        sent = 0
        for mail in due:
            sent += await self._deliver(mail)
        return sent

    async def _deliver(self, mail: Mail) -> bool:
        try:
            await self._post.send(mail)
        except Unreachable as error:
            _log.warning("mail_put_off", mail_id=mail.id, reason=str(error))
            return False
        except Refused as error:
            _log.warning("mail_given_up", mail_id=mail.id, reason=str(error))
            async with self._db.write() as tx:
                await mailbox.give_up(tx, mail, reason=str(error), utc=self._link.utc())
            return False
        async with self._db.write() as tx:
            await mailbox.sent(tx, mail)
        return True


def _domain(post: SmtpPost) -> str:
    return post.sender.rpartition("@")[2]


def _said(error: aiosmtplib.SMTPException) -> str:
    """Return what the server said, without what was sent to it."""
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return f"{error.code}"
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return " ".join(str(one.code) for one in error.recipients)
    return type(error).__name__


def _is_final(error: aiosmtplib.SMTPException) -> bool:
    """Return whether the server said never (5xx) about this mail, and not about us."""
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        return False
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return all(one.code >= NEVER for one in error.recipients)
    return isinstance(error, aiosmtplib.SMTPResponseException) and error.code >= NEVER
