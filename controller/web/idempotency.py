"""Idempotency keys: a request that is sent again is answered again, and not done again.

The key is claimed, the work done and the answer remembered in one transaction, so after a crash
either all three are there or none. Answers are sealed in the database, because they may hold
voucher codes. They are kept for 30 days; the key itself is never free again.
"""

import hashlib
import hmac
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Final, Self

from aiohttp import web
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Row, bindparam, func, insert, select, update

from controller.db.engine import ReadSession, Session
from controller.db.tables.idempotency import KEY_LENGTH_MAX, idempotency_keys
from controller.domain.errors import Conflict, DomainError, TooMany
from controller.domain.roles import Actor
from controller.ports import LinkClock, Randomness
from controller.web import problems
from controller.web.api import Transactions
from controller.web.problems import Refusal

KEPT: Final = timedelta(days=30)
NONCE_BYTES: Final = 12
KEY_FORM: Final = re.compile(rf"[\x21-\x7e]{{1,{KEY_LENGTH_MAX}}}")
REMEMBERED_HEADERS: Final = ("Content-Type", "ETag", "Location")

Work = Callable[[Transactions], Awaitable[web.Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request with its key."""

    actor: str
    key: str
    request: bytes

    @classmethod
    def by(cls, request: web.Request, actor: Actor, body: bytes) -> Self:
        """Return what an actor asks with a request.

        Raises:
            Refusal: The key is missing or has another form (400).
        """
        key = request.headers.get("Idempotency-Key", "")
        if not KEY_FORM.fullmatch(key):
            raise Refusal(
                HTTPStatus.BAD_REQUEST,
                "idempotency_key_missing" if not key else "idempotency_key_invalid",
                "Send a header Idempotency-Key of 1 to 200 visible ASCII characters, a new one "
                "(such as a UUID) for each new intention and the same one for each retry.",
            )
        line = f"{request.method} {request.path_qs}\n".encode()
        return cls(actor=str(actor.account_id), key=key, request=line + body)

    @property
    def name(self) -> bytes:
        """Actor and key as bytes."""
        return f"{self.actor}\n{self.key}".encode()


class AnswerBook:
    """Does each thing once and remembers what was answered."""

    def __init__(
        self, db: Transactions, *, key: bytes, randomness: Randomness, link: LinkClock
    ) -> None:
        self._db = db
        self._seal = AESGCM(_derived(key, b"answer"))
        self._digest_key = _derived(key, b"request")
        self._randomness = randomness
        self._link = link
        self._in_flight: set[bytes] = set()

    async def once(self, asked: Asked, work: Work) -> web.Response:
        """Return the answer of ``work``, done now or earlier.

        A refusal by the rules is an answer like any other. One that another try may change
        (``Conflict``, ``TooMany``) is not remembered, nor is a failure.

        Raises:
            Refusal: The key belongs to another request (422) or to one still in flight (409).
        """
        if asked.name in self._in_flight:
            raise _in_flight()
        self._in_flight.add(asked.name)
        try:
            async with self._db.write() as tx:
                return await self._once(tx, asked, work)
        finally:
            self._in_flight.discard(asked.name)

    async def _once(self, tx: Session, asked: Asked, work: Work) -> web.Response:
        await _fence(tx, asked)
        row = await self._remembered(tx, asked)
        if row is not None:
            return self._again(row, asked)
        await self._claim(tx, asked)
        try:
            async with tx.savepoint():
                answer = await work(_Joined(tx))
        except (Conflict, TooMany):
            raise
        except DomainError as refusal:
            answer = problems.of_domain(refusal)
        await self._remember(tx, asked, answer)
        return answer

    async def _remembered(self, tx: Session, asked: Asked) -> Row[tuple[object, ...]] | None:
        found = await tx.execute(
            select(idempotency_keys).filter_by(actor=asked.actor, key=asked.key)
        )
        return found.one_or_none()

    async def _claim(self, tx: Session, asked: Asked) -> None:
        """Take the key; its primary key decides between two who got here at once."""
        row = insert(idempotency_keys).values(
            actor=asked.actor,
            key=asked.key,
            request_digest=self._digest(asked),
            status=0,
            headers={},
            created_at=self._link.utc(),
        )
        await tx.execute(row)

    async def _remember(self, tx: Session, asked: Asked, answer: web.Response) -> None:
        assert isinstance(answer.body, bytes) or answer.body is None
        nonce = self._randomness.token_bytes(NONCE_BYTES)
        sealed = nonce + self._seal.encrypt(nonce, answer.body or b"", asked.name)
        headers = {
            name: answer.headers[name] for name in REMEMBERED_HEADERS if name in answer.headers
        }
        await tx.execute(
            update(idempotency_keys)
            .filter_by(actor=asked.actor, key=asked.key)
            .values(status=answer.status, headers=headers, body_sealed=sealed)
        )

    def _again(self, row: Row[tuple[object, ...]], asked: Asked) -> web.Response:
        if not hmac.compare_digest(row.request_digest, self._digest(asked)):
            raise Refusal(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "idempotency_key_reused",
                "This Idempotency-Key was used for another request; take a new one.",
            )
        if row.body_sealed is None:
            raise Refusal(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "idempotency_key_expired",
                "This request was answered more than 30 days ago; look at what it did.",
            )
        nonce, sealed = row.body_sealed[:NONCE_BYTES], row.body_sealed[NONCE_BYTES:]
        body = self._seal.decrypt(nonce, sealed, asked.name)
        return web.Response(
            status=row.status, body=body, headers=row.headers | {"Idempotent-Replayed": "true"}
        )

    def _digest(self, asked: Asked) -> bytes:
        return hmac.digest(self._digest_key, asked.request, hashlib.sha256)

    async def forget(self, tx: Session, *, limit: int) -> int:
        """Drop remembered answers older than 30 days; the keys stay taken.

        Returns:
            How many were dropped, at most ``limit``.
        """
        table = idempotency_keys
        old = (
            select(table.c.actor, table.c.key)
            .where(table.c.body_sealed.is_not(None), table.c.created_at < self._link.utc() - KEPT)
            .limit(limit)
        )
        keys = [
            {"old_actor": row.actor, "old_key": row.key} for row in (await tx.execute(old)).all()
        ]
        if keys:
            one = (table.c.actor == bindparam("old_actor"), table.c.key == bindparam("old_key"))
            await tx.execute(update(table).where(*one).values(body_sealed=None), keys)
        return len(keys)


class _Joined:
    """The transaction that is already open, for a handler that asks for one."""

    def __init__(self, tx: Session) -> None:
        self._tx = tx

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Session]:
        yield self._tx

    @asynccontextmanager
    async def read(self) -> AsyncIterator[ReadSession]:
        yield self._tx


async def _fence(tx: Session, asked: Asked) -> None:
    """Refuse a key that another process is busy with; within this one ``once`` has seen to it."""
    if tx.dialect == "postgresql":
        number = int.from_bytes(hashlib.sha256(asked.name).digest()[:8], signed=True)
        taken = await tx.execute(select(func.pg_try_advisory_xact_lock(number)))
        if not taken.scalar_one():
            raise _in_flight()


def _in_flight() -> Refusal:
    return Refusal(
        HTTPStatus.CONFLICT,
        "idempotency_key_in_flight",
        "A request with this Idempotency-Key is being worked on; ask again in a moment.",
        headers={"Retry-After": "1"},
    )


def _derived(key: bytes, purpose: bytes) -> bytes:
    return HKDF(
        algorithm=SHA256(), length=32, salt=None, info=b"doorward idempotency " + purpose
    ).derive(key)
