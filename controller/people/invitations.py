"""Invitations: how somebody comes to a site with an account, and becomes one of its people.

Whoever reads the mail at a person's address holds the token, and nothing else ties an account to
a person: what an admin types gives nobody rights over anybody. A token works once, for 7 days of
the link clock, and only while the person has the address that it was sent to.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from controller.accounts import repository as account_rows
from controller.accounts.guessing import Failures, GuessLimit, Key
from controller.accounts.passwords import Passwords
from controller.accounts.repository import Account
from controller.accounts.service import normal_email
from controller.audit.service import Audit
from controller.db.engine import Session
from controller.domain.errors import Forbidden, Invalid, NotFound, Refused
from controller.domain.ids import AccountId, InvitationId, PersonId, SiteId
from controller.domain.roles import SITE_RIGHTS, Action, Actor, ActorKind, SiteRole
from controller.outbox import service as outbox
from controller.people import invitation_rows
from controller.people.invitation_rows import Invitation
from controller.ports import Ids, LinkClock, Randomness
from controller.sites.roles import Roles
from controller.web.api import Transactions

LIFE: Final = timedelta(days=7)
TOKEN_BYTES: Final = 32
PREFIX: Final = "dwi_"  # for secret scanners
BY_ADDRESS: Final = Failures(name="invitation by address", burst=10, per_hour=30)


class NoAddress(Refused):
    """The person has no e-mail address to send an invitation to."""

    code = "person_without_email"


class UnknownInvitation(NotFound):
    """Unknown, used, revoked, replaced or too old: one answer, telling nothing."""

    code = "invitation_unknown"


class SignInFirst(Refused):
    """The address has an account already, and whoever accepts must be it."""

    code = "sign_in_first"


class AnotherAccount(Forbidden):
    """Somebody else is signed in than the one who was invited."""

    code = "invited_another"


class PasswordMissing(Invalid):
    """A new account needs a password."""

    code = "password_missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """What somebody sends who was invited."""

    token: str = field(repr=False)
    name: str | None  # of the account to be; None: the person's
    password: str | None = field(repr=False)


class Invitations:
    """Sends, revokes and accepts them."""

    def __init__(
        self,
        *,
        roles: Roles,
        passwords: Passwords,
        audit: Audit,
        ids: Ids,
        randomness: Randomness,
        link: LinkClock,
        guesses: GuessLimit,
    ) -> None:
        self._roles = roles
        self._passwords = passwords
        self._audit = audit
        self._ids = ids
        self._randomness = randomness
        self._link = link
        self._guesses = guesses

    async def invite(
        self, tx: Session, actor: Actor, site_id: SiteId, person_id: PersonId, *, now: datetime
    ) -> Invitation:
        """Invite a person, which voids the invitation before.

        Raises:
            NotFound: The site knows nobody of this id.
            NoAddress: The person has no e-mail address.
            RightsExceeded: The actor lacks a right of a user, which the account will be.
        """
        person = await invitation_rows.held_person(tx, site_id, person_id)
        actor = await self._roles.turn(tx, actor, site_id)
        actor.require(Action.MANAGE_PEOPLE, site_id)
        actor.require_rights(SITE_RIGHTS[SiteRole.USER], site_id)
        if person.email is None:
            raise NoAddress("This person has no e-mail address; add one first.", field="email")
        random = base64.urlsafe_b64encode(self._randomness.token_bytes(TOKEN_BYTES))
        token = PREFIX + random.decode().rstrip("=")
        created_at = self._link.utc()
        invitation = Invitation(
            site_id=site_id,
            id=InvitationId(self._ids.new()),
            person_id=person_id,
            person_name=person.name,
            email=person.email,
            invited_by=actor.account_id,
            created_at=created_at,
            expires_at=created_at + LIFE,
        )
        await invitation_rows.keep(tx, invitation, token_hash=_hash(token))
        await self._record(tx, actor, "invitation_sent", invitation, now=now)
        facts = {"person_id": person_id, "email": person.email, "token": token}
        await outbox.put(tx, "invitation.sent", site_id=site_id, now=now, facts=facts, to_mail=True)
        return invitation

    async def revoke(
        self, tx: Session, actor: Actor, site_id: SiteId, person_id: PersonId, *, now: datetime
    ) -> None:
        """Void a person's invitation.

        Raises:
            NotFound: The person has none that could be accepted.
        """
        actor.require(Action.MANAGE_PEOPLE, site_id)
        at = self._link.utc()
        invitation = await invitation_rows.of_person(tx, site_id, person_id, at=at)
        if invitation is None or not await invitation_rows.void(tx, invitation):
            raise NotFound("This person has no open invitation.", object="invitation")
        await self._record(tx, actor, "invitation_revoked", invitation, now=now)

    async def accept(
        self,
        db: Transactions,
        signed_in: Actor | None,
        acceptance: Acceptance,
        *,
        address: str,
        now: datetime,
    ) -> tuple[Invitation, Account]:
        """Tie the account of the address that was invited to its person, making it if needed.

        Raises:
            TooMany: Too many unknown tokens came from this address.
            UnknownInvitation: The token opens nothing.
            SignInFirst: The address has an account; its session has to come along.
            AnotherAccount: Another account is signed in.
            PasswordMissing: A new account needs one.
            BadPassword: It is too short or too long.
            AccountIsTaken: The account is another person of the site.
            TooManyHolders: The site has no room for another account.
        """
        keys: tuple[Key, ...] = ((BY_ADDRESS, address),)
        self._guesses.require(keys)
        token_hash, at = _hash(acceptance.token), self._link.utc()
        async with db.read() as tx:
            invitation = await invitation_rows.by_token(tx, token_hash, at=at)
            known = await account_rows.by_email(tx, invitation.email) if invitation else None
        if invitation is None:
            self._guesses.failed(keys)
            raise _unknown()
        account = known[0] if known else None
        _require_invited(signed_in, account)
        hashed = None if account else await self._hashed(acceptance.password)
        async with db.write() as tx:
            if not await invitation_rows.use(tx, invitation, token_hash, at=at):
                raise _unknown()
            account = account or await self._make(tx, invitation, acceptance, hashed, now=now)
            if not await invitation_rows.tie(tx, invitation, account.id):
                raise _unknown()
            who = Actor(kind=ActorKind.USER, account_id=account.id, name=account.name)
            await self._roles.turn(tx, who, invitation.site_id)
            by = invitation.invited_by
            await self._roles.join(tx, invitation.site_id, account.id, granted_by=by)
            facts = {"account_id": account.id}
            await self._record(tx, who, "invitation_accepted", invitation, now=now, facts=facts)
        return invitation, account

    async def _hashed(self, password: str | None) -> str:
        if password is None:
            raise PasswordMissing(
                "password: choose one; it is for the account that will be made.", field="password"
            )
        return await self._passwords.hash(password)

    async def _make(
        self,
        tx: Session,
        invitation: Invitation,
        acceptance: Acceptance,
        hashed: str | None,
        *,
        now: datetime,
    ) -> Account:
        assert hashed is not None, "without an account a password was asked for"
        account = Account(
            id=AccountId(self._ids.new()),
            email=normal_email(invitation.email),
            name=acceptance.name or invitation.person_name,
            cloud_role=None,
            created_at=now,
            disabled_at=None,
        )
        if not await account_rows.keep_account(tx, account, password_hash=hashed):
            raise _sign_in_first()
        who = Actor(kind=ActorKind.USER, account_id=account.id, name=account.name)
        await self._audit.record(
            tx,
            who,
            "account_created",
            site_id=None,
            object_kind="account",
            object_id=account.id,
            now=now,
            facts={"cloud_role": None},
        )
        return account

    async def _record(
        self,
        tx: Session,
        actor: Actor,
        action: str,
        invitation: Invitation,
        *,
        now: datetime,
        facts: Mapping[str, object] | None = None,
    ) -> None:
        await self._audit.record(
            tx,
            actor,
            action,
            site_id=invitation.site_id,
            object_kind="person",
            object_id=invitation.person_id,
            now=now,
            facts=facts,
        )


def _require_invited(signed_in: Actor | None, account: Account | None) -> None:
    """Refuse an acceptance by anybody but the account of the address, if it has one."""
    if signed_in is None:
        if account is not None:
            raise _sign_in_first()
        return
    is_session = signed_in.kind is ActorKind.USER
    if not is_session or account is None or signed_in.account_id != account.id:
        raise AnotherAccount(
            "This invitation is for another e-mail address than yours. Sign out, or sign in as "
            "who was invited."
        )


def _unknown() -> UnknownInvitation:
    return UnknownInvitation(
        "This invitation is unknown, used, revoked or too old. Ask for a new one.",
        object="invitation",
    )


def _sign_in_first() -> SignInFirst:
    return SignInFirst(
        "Your e-mail address has an account here already. Sign in, then accept with that session."
    )


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
