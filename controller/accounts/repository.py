"""Accounts and the tokens they hold, read and written."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Row, and_, bindparam, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from controller.db.engine import ReadSession, Session
from controller.db.tables.accounts import accounts, custom_roles, site_roles, tokens
from controller.domain.ids import AccountId, SiteId
from controller.domain.roles import Actor, ActorKind, CloudRole, HeldRole, Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Somebody who may sign in."""

    id: AccountId
    email: str
    name: str
    cloud_role: CloudRole | None
    created_at: datetime
    disabled_at: datetime | None


class TokenKind(StrEnum):
    """What a token was made for."""

    SESSION = "session"
    API = "api"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token as stored; the token itself cannot be read back."""

    id: str
    account_id: AccountId
    kind: TokenKind
    name: str
    scopes: frozenset[Scope] | None  # None: everything that the account may do
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None


_WITH_ROLES: Final = accounts.outerjoin(
    site_roles,
    and_(
        site_roles.c.account_id == accounts.c.id,
        or_(site_roles.c.ends_at.is_(None), site_roles.c.ends_at > bindparam("at")),
    ),
).outerjoin(
    custom_roles,
    and_(
        custom_roles.c.site_id == site_roles.c.site_id,
        custom_roles.c.id == site_roles.c.role,
    ),
)
_ROLES: Final = (
    accounts.c.id,
    accounts.c.name,
    accounts.c.cloud_role,
    site_roles.c.site_id,
    site_roles.c.role,
    site_roles.c.ends_at,
    custom_roles.c.rights,
)
_ACTOR: Final = (
    select(*_ROLES, tokens.c.kind, tokens.c.scopes)
    .select_from(tokens.join(_WITH_ROLES, accounts.c.id == tokens.c.account_id))
    .where(
        tokens.c.token_hash == bindparam("hash"),
        tokens.c.expires_at > bindparam("at"),
        tokens.c.revoked_at.is_(None),
        accounts.c.disabled_at.is_(None),
    )
)
_PRESENT: Final = (
    select(*_ROLES)
    .select_from(_WITH_ROLES)
    .where(accounts.c.id == bindparam("account"), accounts.c.disabled_at.is_(None))
)


async def keep_account(tx: Session, account: Account, *, password_hash: str) -> bool:
    """Store an account, unless another has its e-mail address."""
    dialect = postgresql.insert if tx.dialect == "postgresql" else sqlite.insert
    row = dialect(accounts).values(
        id=account.id,
        email=account.email,
        name=account.name,
        password_hash=password_hash,
        cloud_role=account.cloud_role,
        created_at=account.created_at,
    )
    done = await tx.execute(row.on_conflict_do_nothing(index_elements=[accounts.c.email]))
    return done.rowcount == 1


async def account(tx: ReadSession, account_id: AccountId) -> Account | None:
    """Return an account by its id."""
    row = (await tx.execute(select(accounts).filter_by(id=account_id))).one_or_none()
    return account_of(row) if row else None


async def by_email(tx: ReadSession, email: str) -> tuple[Account, str] | None:
    """Return an account by its e-mail address, with its password hash."""
    row = (await tx.execute(select(accounts).filter_by(email=email))).one_or_none()
    return (account_of(row), row.password_hash) if row else None


async def password_hash(tx: ReadSession, account_id: AccountId) -> str | None:
    """Return what is stored instead of an account's password."""
    found = await tx.execute(select(accounts.c.password_hash).filter_by(id=account_id))
    return found.scalar_one_or_none()


async def set_disabled(tx: Session, account_id: AccountId, disabled_at: datetime | None) -> bool:
    """Disable or enable an account; ``False`` if there is none."""
    this = update(accounts).where(accounts.c.id == account_id)
    return (await tx.execute(this.values(disabled_at=disabled_at))).rowcount == 1


async def set_password(tx: Session, account_id: AccountId, password_hash: str) -> None:
    """Replace an account's password."""
    this = update(accounts).where(accounts.c.id == account_id)
    await tx.execute(this.values(password_hash=password_hash))


async def keep_token(tx: Session, token: Token, *, token_hash: bytes) -> None:
    """Store a token by its hash."""
    scopes = sorted(token.scopes) if token.scopes is not None else None
    await tx.execute(
        insert(tokens),
        {
            "id": token.id,
            "account_id": token.account_id,
            "token_hash": token_hash,
            "kind": token.kind,
            "name": token.name,
            "scopes": scopes,
            "created_at": token.created_at,
            "expires_at": token.expires_at,
        },
    )


async def live_tokens(
    tx: ReadSession, account_id: AccountId, kind: TokenKind, *, now: datetime
) -> Sequence[Token]:
    """Return an account's tokens that work, newest first."""
    rows = await tx.execute(
        select(tokens)
        .where(
            tokens.c.account_id == account_id,
            tokens.c.kind == kind,
            tokens.c.revoked_at.is_(None),
            tokens.c.expires_at > now,
        )
        .order_by(tokens.c.created_at.desc(), tokens.c.id)
    )
    return [_token_of(row) for row in rows]


async def revoke(
    tx: Session, account_id: AccountId, kind: TokenKind, token_id: str | None, *, now: datetime
) -> int:
    """Revoke one of an account's tokens of a kind, or with no id all of them."""
    live = update(tokens).where(
        tokens.c.account_id == account_id, tokens.c.kind == kind, tokens.c.revoked_at.is_(None)
    )
    if token_id is not None:
        live = live.where(tokens.c.id == token_id)
    return (await tx.execute(live.values(revoked_at=now))).rowcount


async def actor(tx: ReadSession, token_hash: bytes, *, now: datetime) -> Actor | None:
    """Return who a token stands for, with all roles, while token and account are in force."""
    rows = (await tx.execute(_ACTOR, {"hash": token_hash, "at": now})).all()
    if not rows:
        return None
    kind = ActorKind.USER if rows[0].kind == TokenKind.SESSION else ActorKind.TOKEN
    return _actor(rows, kind, _scopes(rows[0].scopes))


async def present(tx: ReadSession, account_id: AccountId, *, now: datetime) -> Actor | None:
    """Return an account with all the roles that it has now; None if it may not sign in.

    For what somebody asked for earlier and what is done now.
    """
    rows = (await tx.execute(_PRESENT, {"account": account_id, "at": now})).all()
    return _actor(rows, ActorKind.USER, None) if rows else None


def account_of(row: Row[Any]) -> Account:
    """Return the account that a row of the table holds, without its password hash."""
    return Account(
        id=row.id,
        email=row.email,
        name=row.name,
        cloud_role=CloudRole(row.cloud_role) if row.cloud_role else None,
        created_at=row.created_at,
        disabled_at=row.disabled_at,
    )


def _actor(rows: Sequence[Row[Any]], kind: ActorKind, scopes: frozenset[Scope] | None) -> Actor:
    """Return the actor of rows that hold one account, each with one of its roles."""
    who = rows[0]
    return Actor(
        kind=kind,
        account_id=who.id,
        name=who.name,
        cloud_role=CloudRole(who.cloud_role) if who.cloud_role else None,
        site_roles={
            SiteId(row.site_id): HeldRole.of(
                row.role, custom=row.rights, is_granted=row.ends_at is not None
            )
            for row in rows
            if row.site_id is not None
        },
        scopes=scopes,
    )


def _token_of(row: Row[Any]) -> Token:
    return Token(
        id=row.id,
        account_id=row.account_id,
        kind=TokenKind(row.kind),
        name=row.name,
        scopes=_scopes(row.scopes),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )


def _scopes(stored: Sequence[str] | None) -> frozenset[Scope] | None:
    return None if stored is None else frozenset(Scope(scope) for scope in stored)
