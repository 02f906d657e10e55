"""Accounts, signing in and out, and API tokens.

Sessions and tokens are opaque: 256 random bits, of which the database keeps the SHA-256. Their
ends are compared with the link clock, for a session must not end faster because the calendar does.
"""

import base64
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from controller.accounts import repository
from controller.accounts.guessing import Failures, GuessLimit, Key
from controller.accounts.passwords import Passwords
from controller.accounts.repository import Account, Token, TokenKind
from controller.audit.service import Audit
from controller.db.engine import ReadSession, Session
from controller.domain.errors import Forbidden, NotFound, Refused
from controller.domain.ids import AccountId
from controller.domain.roles import Action, Actor, ActorKind, CloudRole, Scope
from controller.ports import Ids, LinkClock, Randomness
from controller.web.api import Transactions

SESSION_LIFE: Final = timedelta(hours=12)
TOKEN_BYTES: Final = 32
BY_ACCOUNT: Final = Failures(name="password by account", burst=5, per_hour=20)
BY_ADDRESS: Final = Failures(name="password by address", burst=30, per_hour=100)
_PREFIXES: Final = {TokenKind.SESSION: "dws_", TokenKind.API: "dwt_"}  # for secret scanners


class EmailTaken(Refused):
    """Another account has this e-mail address."""

    code = "email_taken"


class NoSuchAccount(Refused):
    """Nobody with this e-mail address may sign in."""

    code = "account_not_found"


class OwnAccount(Refused):
    """Nobody disables himself."""

    code = "own_account"


class WrongSignIn(Forbidden):
    """Unknown address, wrong password or disabled account: one answer, telling nothing."""

    code = "sign_in_refused"


@dataclass(frozen=True, slots=True)
class Issued:
    """A new token; this is the only time that it can be seen."""

    token: Token
    secret: str = field(repr=False)


class Accounts:
    """Who may sign in, and what they hold."""

    def __init__(
        self,
        *,
        ids: Ids,
        randomness: Randomness,
        link: LinkClock,
        passwords: Passwords,
        audit: Audit,
        guesses: GuessLimit,
    ) -> None:
        self._ids = ids
        self._randomness = randomness
        self._link = link
        self._passwords = passwords
        self._audit = audit
        self._guesses = guesses

    async def create(
        self,
        db: Transactions,
        actor: Actor,
        *,
        email: str,
        name: str,
        password: str,
        cloud_role: CloudRole | None,
        now: datetime,
    ) -> Account:
        """Create an account; the password is hashed before the transaction begins.

        Raises:
            BadPassword: It is too short or too long.
            EmailTaken: Another account has the address.
        """
        actor.require(Action.MANAGE_ACCOUNTS)
        password_hash = await self._passwords.hash(password)
        account = Account(
            id=AccountId(self._ids.new()),
            email=normal_email(email),
            name=name,
            cloud_role=cloud_role,
            created_at=now,
            disabled_at=None,
        )
        async with db.write() as tx:
            if not await repository.keep_account(tx, account, password_hash=password_hash):
                raise EmailTaken("email: another account has this address.", field="email")
            facts = {"cloud_role": cloud_role}
            await self._record(tx, actor, "account_created", account.id, now=now, facts=facts)
        return account

    async def set_disabled(
        self, tx: Session, actor: Actor, account_id: AccountId, *, disabled: bool, now: datetime
    ) -> None:
        """Disable an account, which ends its sessions and tokens at once, or enable it again.

        Raises:
            OwnAccount: The actor would lock himself out.
            NotFound: There is no such account.
        """
        actor.require(Action.MANAGE_ACCOUNTS)
        if actor.account_id == account_id:
            raise OwnAccount("Nobody disables the own account; ask another operator.")
        if not await repository.set_disabled(tx, account_id, now if disabled else None):
            raise NotFound("There is no such account.", object="account")
        action = "account_disabled" if disabled else "account_enabled"
        await self._record(tx, actor, action, account_id, now=now)

    async def sign_in(
        self, db: Transactions, *, email: str, password: str, address: str, now: datetime
    ) -> Issued:
        """Start a session of 12 hours.

        The password is checked outside of any transaction, and for an unknown address too.

        Raises:
            TooMany: Too many wrong passwords, for this account or from this address.
            WrongSignIn: For every other reason, in the same words.
        """
        email = normal_email(email)
        keys: tuple[Key, ...] = ((BY_ACCOUNT, email), (BY_ADDRESS, address))
        self._guesses.require(keys)
        async with db.read() as tx:
            found = await repository.by_email(tx, email)
        fits = await self._passwords.fits(password, found[1] if found else None)
        if found is None or not fits or found[0].disabled_at is not None:
            self._guesses.failed(keys)
            raise WrongSignIn(
                "This e-mail address and password do not belong together. Compare both; whoever "
                "runs this cloud can give you a new password."
            )
        account = found[0]
        async with db.write() as tx:
            issued = await self._issue(tx, account.id, TokenKind.SESSION, life=SESSION_LIFE)
            who = Actor(kind=ActorKind.USER, account_id=account.id, name=account.name)
            await self._record(tx, who, "session_started", issued.token.id, "token", now=now)
        return issued

    async def change_password(
        self, db: Transactions, actor: Actor, *, present: str, wanted: str, now: datetime
    ) -> None:
        """Replace the own password, which ends all sessions.

        Raises:
            TooMany: Too many wrong passwords.
            WrongSignIn: ``present`` is not the present password.
            BadPassword: The new one is too short or too long.
        """
        account_id = _person(actor)
        keys: tuple[Key, ...] = ((BY_ACCOUNT, account_id),)
        self._guesses.require(keys)
        async with db.read() as tx:
            stored = await repository.password_hash(tx, account_id)
        if not await self._passwords.fits(present, stored):
            self._guesses.failed(keys)
            raise WrongSignIn("present: this is not your present password.", field="present")
        password_hash = await self._passwords.hash(wanted)
        async with db.write() as tx:
            await repository.set_password(tx, account_id, password_hash)
            at = self._link.utc()
            await repository.revoke(tx, account_id, TokenKind.SESSION, None, now=at)
            await self._record(tx, actor, "password_changed", account_id, now=now)

    async def issue(
        self,
        tx: Session,
        actor: Actor,
        *,
        name: str,
        scopes: Collection[Scope],
        life: timedelta,
        now: datetime,
    ) -> Issued:
        """Make an API token, limited to scopes.

        Raises:
            Forbidden: A token makes no token.
        """
        issued = await self._issue(
            tx, _person(actor), TokenKind.API, life=life, name=name, scopes=frozenset(scopes)
        )
        facts = {"name": name, "scopes": sorted(scopes)}
        await self._record(
            tx, actor, "token_issued", issued.token.id, "token", now=now, facts=facts
        )
        return issued

    async def tokens(self, tx: ReadSession, actor: Actor, kind: TokenKind) -> list[Token]:
        """Return the actor's sessions or API tokens that work."""
        return list(await repository.live_tokens(tx, _person(actor), kind, now=self._link.utc()))

    async def revoke(
        self, tx: Session, actor: Actor, kind: TokenKind, token_id: str, *, now: datetime
    ) -> None:
        """End one of the actor's sessions (sign out) or API tokens.

        Raises:
            NotFound: The actor has no such token that works.
        """
        account_id = _person(actor)
        if not await repository.revoke(tx, account_id, kind, token_id, now=self._link.utc()):
            raise NotFound("You have no such token.", object="token")
        action = "session_ended" if kind is TokenKind.SESSION else "token_revoked"
        await self._record(tx, actor, action, token_id, "token", now=now)

    async def _issue(
        self,
        tx: Session,
        account_id: AccountId,
        kind: TokenKind,
        *,
        life: timedelta,
        name: str = "",
        scopes: frozenset[Scope] | None = None,
    ) -> Issued:
        random = base64.urlsafe_b64encode(self._randomness.token_bytes(TOKEN_BYTES))
        secret = _PREFIXES[kind] + random.decode().rstrip("=")
        created_at = self._link.utc()
        token = Token(
            id=self._ids.new(),
            account_id=account_id,
            kind=kind,
            name=name,
            scopes=scopes,
            created_at=created_at,
            expires_at=created_at + life,
        )
        await repository.keep_token(tx, token, token_hash=_hash(secret))
        return Issued(token, secret)

    async def _record(
        self,
        tx: Session,
        actor: Actor,
        action: str,
        object_id: str,
        object_kind: str = "account",
        *,
        now: datetime,
        facts: Mapping[str, object] | None = None,
    ) -> None:
        await self._audit.record(
            tx,
            actor,
            action,
            site_id=None,
            object_kind=object_kind,
            object_id=object_id,
            now=now,
            facts=facts,
        )


class TokenAuthenticator:
    """Knows who a bearer token stands for."""

    def __init__(self, db: Transactions, link: LinkClock) -> None:
        self._db = db
        self._link = link

    async def actor_of(self, token: str) -> Actor | None:
        """Return who a token stands for, or nothing if it is unknown, expired or revoked."""
        async with self._db.read() as tx:
            return await repository.actor(tx, _hash(token), now=self._link.utc())


async def by_email(tx: ReadSession, email: str, *, field: str) -> Account:
    """Return the account with an e-mail address; ``field`` is where it was typed.

    Raises:
        NoSuchAccount: There is none, or it is disabled.
    """
    found = await repository.by_email(tx, normal_email(email))
    if found is None or found[0].disabled_at is not None:
        raise NoSuchAccount(
            f"{field}: nobody with this e-mail address may sign in here. Ask whoever runs this "
            "cloud for an account first.",
            field=field,
        )
    return found[0]


def normal_email(email: str) -> str:
    """Return an e-mail address as it is stored and compared."""
    return email.strip().lower()


def _person(actor: Actor) -> AccountId:
    if actor.kind is not ActorKind.USER or actor.account_id is None:
        raise Forbidden("Passwords, sessions and tokens are for people: sign in for this.")
    return actor.account_id


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
