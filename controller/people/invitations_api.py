"""The REST API of invitations."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from controller.accounts.passwords import LENGTH_MAX, LENGTH_MIN
from controller.domain.ids import AccountId, PersonId, SiteId
from controller.domain.roles import Action
from controller.people.invitations import Acceptance, Invitations
from controller.web.api import Call, delete, post
from controller.web.auth import ANYBODY
from controller.web.fields import Name
from controller.web.models import In, Out

INVITATION = "/sites/{site_id}/people/{person_id}/invitation"


class InvitationOut(Out):
    """An invitation; its token is in the mail only."""

    person_id: PersonId
    email: str
    expires_at: datetime


class AcceptIn(In):
    """The token of the mail and, where the address has no account yet, what that is to have."""

    token: Annotated[str, Field(min_length=1, max_length=100, repr=False)]
    name: Annotated[Name | None, Field(description="As the site calls you if left out.")] = None
    password: Annotated[
        str | None, Field(min_length=LENGTH_MIN, max_length=LENGTH_MAX, repr=False)
    ] = None


class AcceptedOut(Out):
    """Who came to which site."""

    account_id: AccountId
    email: str
    site_id: SiteId
    person_id: PersonId


class InvitationsApi:
    """Invitations to a site."""

    tag = "invitations"

    def __init__(self, invitations: Invitations) -> None:
        self._invitations = invitations

    @post(INVITATION, requires=Action.MANAGE_PEOPLE, status=201)
    async def invite(self, call: Call, site_id: SiteId, person_id: PersonId) -> InvitationOut:
        """Invite a person by mail to have an account at the site.

        It can be accepted within 7 days; an invitation sent before does not work any more.
        """
        async with call.db.write() as tx:
            sent = await self._invitations.invite(tx, call.actor, site_id, person_id, now=call.now)
        return InvitationOut(person_id=person_id, email=sent.email, expires_at=sent.expires_at)

    @delete(INVITATION, requires=Action.MANAGE_PEOPLE, status=204)
    async def revoke(self, call: Call, site_id: SiteId, person_id: PersonId) -> None:
        """Void a person's invitation."""
        async with call.db.write() as tx:
            await self._invitations.revoke(tx, call.actor, site_id, person_id, now=call.now)

    @post("/invitations/accept", requires=ANYBODY)
    async def accept(self, call: Call, body: AcceptIn) -> AcceptedOut:
        """Accept an invitation.

        An address without an account gets one, with the password that is sent along. One with an
        account accepts with its session.
        """
        invitation, account = await self._invitations.accept(
            call.db,
            call.signed_in,
            Acceptance(token=body.token, name=body.name, password=body.password),
            address=call.address,
            now=call.now,
        )
        return AcceptedOut(
            account_id=account.id,
            email=account.email,
            site_id=invitation.site_id,
            person_id=invitation.person_id,
        )
