"""The REST API of accounts, sessions and tokens."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Self

from pydantic import Field

from controller.accounts import queries, repository
from controller.accounts.passwords import LENGTH_MAX, LENGTH_MIN
from controller.accounts.repository import Account, Token, TokenKind
from controller.accounts.service import Accounts, Issued
from controller.domain.errors import NotFound
from controller.domain.ids import AccountId, PersonId, SiteId
from controller.domain.roles import Action, Actor, ActorKind, CloudRole, Scope
from controller.web.api import Call, delete, get, post
from controller.web.auth import PUBLIC, SIGNED_IN
from controller.web.fields import PRINTABLE, Name
from controller.web.models import WHOLE, In, Out
from controller.web.pagination import LIMIT_DEFAULT, Cursor, Limit, Page, decoded, page_of

LIFE_DAYS_MAX: Final = 365
TYPED_MAX: Final = 1_000  # of a password that is only compared

Email = Annotated[str, Field(max_length=254, pattern=r"^[^@\s]+@[^@\s]+$"), PRINTABLE]
NewPassword = Annotated[str, Field(min_length=LENGTH_MIN, max_length=LENGTH_MAX, repr=False)]
TypedPassword = Annotated[str, Field(max_length=TYPED_MAX, repr=False)]
TokenId = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]


class SignInIn(In):
    """Who wants to sign in."""

    email: Annotated[str, Field(max_length=254)]
    password: TypedPassword


class SessionOut(Out):
    """A session; ``token`` is shown only in the answer that starts it."""

    id: str
    created_at: datetime
    expires_at: datetime


class SignedInOut(SessionOut):
    """A new session."""

    token: Annotated[str, Field(description="Send it as Authorization: Bearer …", repr=False)]


class MyRoleOut(Out):
    """What somebody is at a site."""

    role: Annotated[str, Field(description="Such as admin, or the id of a custom role.")]
    rights: Annotated[list[Action], Field(description="What the token may be used for there.")]
    person_id: Annotated[PersonId | None, Field(description="Which person of the site it is.")]


class MeOut(Out):
    """Who asks, and what the token may be used for."""

    account_id: AccountId
    email: str
    name: str
    kind: ActorKind
    cloud_role: CloudRole | None
    site_roles: dict[SiteId, MyRoleOut]
    scopes: list[Scope] | None


class PasswordIn(In):
    """A new password for the own account."""

    present: TypedPassword
    wanted: NewPassword


class AccountIn(In):
    """An account to be."""

    email: Email
    name: Name
    password: NewPassword
    cloud_role: CloudRole | None = None


class AccountOut(Out):
    """An account."""

    id: AccountId
    email: str
    name: str
    cloud_role: CloudRole | None
    created_at: datetime
    disabled_at: datetime | None

    @classmethod
    def of(cls, account: Account) -> Self:
        """Return an account as it is shown."""
        return cls(**{name: getattr(account, name) for name in cls.model_fields})


class TokenIn(In):
    """An API token to be; it never may do more than its account."""

    name: Name
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(Scope))]
    days: Annotated[int, Field(ge=1, le=LIFE_DAYS_MAX), WHOLE] = 90


class TokenOut(Out):
    """An API token, without the token itself."""

    id: str
    name: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime


class IssuedOut(TokenOut):
    """A new API token; ``token`` is shown only now."""

    token: Annotated[str, Field(repr=False)]


class AccountsApi:
    """Accounts, sessions and tokens."""

    tag = "accounts"

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    @post("/sessions", requires=PUBLIC, status=201)
    async def sign_in(self, call: Call, body: SignInIn) -> SignedInOut:
        """Sign in for 12 hours."""
        issued = await self._accounts.sign_in(
            call.db,
            email=body.email,
            password=body.password,
            address=call.address,
            now=call.now,
        )
        return SignedInOut(**_session(issued.token), token=issued.secret)

    @get("/sessions", requires=SIGNED_IN)
    async def sessions(self, call: Call) -> list[SessionOut]:
        """List the own sessions, newest first."""
        async with call.db.read() as tx:
            found = await self._accounts.tokens(tx, call.actor, TokenKind.SESSION)
        return [SessionOut(**_session(token)) for token in found]

    @delete("/sessions/{session_id}", requires=SIGNED_IN, status=204)
    async def sign_out(self, call: Call, session_id: TokenId) -> None:
        """Sign out: end one of the own sessions."""
        async with call.db.write() as tx:
            await self._accounts.revoke(tx, call.actor, TokenKind.SESSION, session_id, now=call.now)

    @get("/me", requires=SIGNED_IN)
    async def me(self, call: Call) -> MeOut:
        """Say who asks."""
        actor = call.actor
        assert actor.account_id is not None, "whoever signs in has an account"
        async with call.db.read() as tx:
            account = await repository.account(tx, actor.account_id)
            persons = await queries.persons(tx, actor.account_id)
        if account is None:
            raise NotFound("There is no such account.", object="account")
        return MeOut(
            account_id=account.id,
            email=account.email,
            name=account.name,
            kind=actor.kind,
            cloud_role=actor.cloud_role,
            site_roles={
                site_id: _my_role(actor, site_id, persons.get(site_id))
                for site_id in actor.site_roles
            },
            scopes=sorted(actor.scopes) if actor.scopes is not None else None,
        )

    @post("/me/password", requires=SIGNED_IN, status=204)
    async def change_password(self, call: Call, body: PasswordIn) -> None:
        """Change the own password, which ends all sessions."""
        await self._accounts.change_password(
            call.db, call.actor, present=body.present, wanted=body.wanted, now=call.now
        )

    @post("/tokens", requires=SIGNED_IN, status=201)
    async def issue(self, call: Call, body: TokenIn) -> IssuedOut:
        """Make an API token; it is shown only in this answer."""
        async with call.db.write() as tx:
            issued = await self._accounts.issue(
                tx,
                call.actor,
                name=body.name,
                scopes=body.scopes,
                life=timedelta(days=body.days),
                now=call.now,
            )
        return _issued(issued)

    @get("/tokens", requires=SIGNED_IN)
    async def tokens(self, call: Call) -> list[TokenOut]:
        """List the own API tokens, newest first."""
        async with call.db.read() as tx:
            found = await self._accounts.tokens(tx, call.actor, TokenKind.API)
        return [TokenOut(**_token(token)) for token in found]

    @delete("/tokens/{token_id}", requires=SIGNED_IN, status=204)
    async def revoke(self, call: Call, token_id: TokenId) -> None:
        """Revoke one of the own API tokens."""
        async with call.db.write() as tx:
            await self._accounts.revoke(tx, call.actor, TokenKind.API, token_id, now=call.now)

    @post("/accounts", requires=Action.MANAGE_ACCOUNTS, status=201)
    async def create(self, call: Call, body: AccountIn) -> AccountOut:
        """Create an account."""
        account = await self._accounts.create(
            call.db,
            call.actor,
            email=body.email,
            name=body.name,
            password=body.password,
            cloud_role=body.cloud_role,
            now=call.now,
        )
        return AccountOut.of(account)

    @get("/accounts", requires=Action.MANAGE_ACCOUNTS)
    async def accounts(
        self, call: Call, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT
    ) -> Page[AccountOut]:
        """List accounts by e-mail address."""
        after = decoded(cursor, str)
        async with call.db.read() as tx:
            found = await queries.listed(
                tx, after=str(after[0]) if after else None, limit=limit + 1
            )
        shown = [AccountOut.of(account) for account in found]
        return page_of(shown, limit, lambda account: (account.email,))

    @post("/accounts/{account_id}/disable", requires=Action.MANAGE_ACCOUNTS, status=204)
    async def disable(self, call: Call, account_id: AccountId) -> None:
        """Disable an account: its sessions and tokens end at once."""
        await self._set_disabled(call, account_id, disabled=True)

    @post("/accounts/{account_id}/enable", requires=Action.MANAGE_ACCOUNTS, status=204)
    async def enable(self, call: Call, account_id: AccountId) -> None:
        """Let a disabled account sign in again."""
        await self._set_disabled(call, account_id, disabled=False)

    async def _set_disabled(self, call: Call, account_id: AccountId, *, disabled: bool) -> None:
        async with call.db.write() as tx:
            await self._accounts.set_disabled(
                tx, call.actor, account_id, disabled=disabled, now=call.now
            )


def _my_role(actor: Actor, site_id: SiteId, person_id: PersonId | None) -> MyRoleOut:
    held = actor.site_roles[site_id]
    return MyRoleOut(
        role=held.role,
        rights=sorted(right for right in held.rights if actor.may(right, site_id)),
        person_id=person_id,
    )


def _session(token: Token) -> dict[str, Any]:
    return {"id": token.id, "created_at": token.created_at, "expires_at": token.expires_at}


def _token(token: Token) -> dict[str, Any]:
    return _session(token) | {"name": token.name, "scopes": sorted(token.scopes or ())}


def _issued(issued: Issued) -> IssuedOut:
    return IssuedOut(**_token(issued.token), token=issued.secret)
