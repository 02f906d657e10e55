"""Enrolling tags at locks over REST."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Self

from pydantic import Field

from controller.access.enrolments import Enrolments
from controller.domain.enrolments import (
    SECONDS_DEFAULT,
    SECONDS_MAX,
    SECONDS_MIN,
    Enrolment,
    EnrolmentState,
)
from controller.domain.ids import CommandId, CredentialId, LockId, PersonId, SiteId
from controller.domain.roles import Action
from controller.people.credentials_api import Label
from controller.web.api import Call, get, post
from controller.web.models import ID, WHOLE, In, Out

ENROLMENTS = "/sites/{site_id}/locks/{lock_id}/enrolments"


class EnrolmentIn(In):
    """Whose the next tag shall be."""

    person_id: Annotated[PersonId, ID]
    label: Label = ""
    offline: Annotated[bool, Field(description="May open locks that reach no hub.")] = False
    seconds: Annotated[
        int,
        Field(ge=SECONDS_MIN, le=SECONDS_MAX, description="How long the lock waits."),
        WHOLE,
    ] = SECONDS_DEFAULT


class EnrolmentOut(Out):
    """A tag that is awaited at a lock."""

    id: Annotated[CommandId, Field(description="Also of the order to the lock.")]
    lock_id: LockId
    person_id: PersonId
    label: str
    offline: bool
    actor_name: str
    created_at: datetime
    until: Annotated[datetime, Field(description="What the lock tells later counts no more.")]
    state: EnrolmentState
    refusal: Annotated[
        str | None, Field(description="Code of why the tag was not taken.", examples=["tag_taken"])
    ]
    credential_id: Annotated[CredentialId | None, Field(description="Once it is enrolled.")]

    @classmethod
    def of(cls, enrolment: Enrolment) -> Self:
        """Return an enrolment as it is shown."""
        return cls(**asdict(enrolment))


class EnrolmentsApi:
    """Tags that are awaited at locks."""

    tag = "enrolments"

    def __init__(self, enrolments: Enrolments) -> None:
        self._enrolments = enrolments

    @post(ENROLMENTS, requires=Action.MANAGE_ACCESS, status=201, idempotent=True)
    async def begin(
        self, call: Call, site_id: SiteId, lock_id: LockId, body: EnrolmentIn
    ) -> EnrolmentOut:
        """Give a person the next tag that is held to a lock.

        The lock waits for so many seconds and opens to nobody by a tag meanwhile. Ask the
        enrolment for what became of it.
        """
        async with call.db.write() as tx:
            begun = await self._enrolments.begin(
                tx,
                call.actor,
                site_id,
                lock_id,
                person_id=body.person_id,
                label=body.label,
                offline=body.offline,
                seconds=body.seconds,
                now=call.now,
            )
        return EnrolmentOut.of(begun)

    @get(ENROLMENTS + "/{enrolment_id}", requires=Action.READ_ACCESS)
    async def one(
        self, call: Call, site_id: SiteId, lock_id: LockId, enrolment_id: CommandId
    ) -> EnrolmentOut:
        """Show what became of an enrolment."""
        async with call.db.read() as tx:
            return EnrolmentOut.of(await self._enrolments.one(tx, site_id, lock_id, enrolment_id))
