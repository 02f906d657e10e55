"""What of a person goes over REST and stands in a sheet."""

from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Self, cast

from pydantic import ConfigDict, Field, StringConstraints, with_config
from typing_extensions import TypedDict

from controller.domain.access import Privilege
from controller.domain.ids import PersonId
from controller.domain.people import SitePerson
from controller.people.service import PersonEdit
from controller.web.fields import PRINTABLE, End, Name, Start
from controller.web.models import In, Out, Versioned

Email = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, to_lower=True, max_length=254, pattern=r"^[^@\s]+@[^@\s]+$"
    ),
    PRINTABLE,
]


class PrivilegeName(StrEnum):
    """What a person may do at a door beyond opening it."""

    OFFICE = "office"
    OVERRIDE_PRIVACY = "override_privacy"
    EXTENDED_OPENING = "extended_opening"


Privileges = Annotated[
    tuple[PrivilegeName, ...],
    Field(max_length=len(PrivilegeName), description="Needs the right doors:manage."),
]
_SUBSCRIBED: Final = Field(description="Takes a user seat of the plan.")
_GUEST: Final = Field(description="A guest has an end.")


class PersonIn(In):
    """A person to be."""

    name: Name
    email: Email | None = None
    is_guest: Annotated[bool, _GUEST] = False
    subscribed: Annotated[bool, _SUBSCRIBED] = False
    starts_at: Start = None
    expires_at: End = None
    privileges: Privileges = ()

    def edit(self) -> PersonEdit:
        """Return what makes this person out of nobody."""
        return PersonEdit(
            name=self.name,
            email=self.email,
            is_guest=self.is_guest,
            subscribed=self.subscribed,
            starts_at=self.starts_at,
            expires_at=self.expires_at,
            privileges=privilege_of(self.privileges),
        )


@with_config(ConfigDict(extra="forbid", strict=True))
class PersonPatch(TypedDict, total=False):
    """What is to become of a person; what is left out stays."""

    name: Name
    email: Email | None
    is_guest: Annotated[bool, _GUEST]
    subscribed: Annotated[bool, _SUBSCRIBED]
    starts_at: Start
    expires_at: End
    privileges: Privileges


def edit_of(patch: PersonPatch) -> PersonEdit:
    """Return what a patch is to do."""
    edit: dict[str, Any] = dict(patch)
    if "privileges" in patch:
        edit["privileges"] = privilege_of(patch["privileges"])
    return cast("PersonEdit", edit)


class PersonOut(Versioned):
    """A person."""

    id: PersonId
    name: str
    email: str | None
    is_guest: bool
    subscribed: Annotated[bool, Field(description="Has been given a user seat.")]
    subscribed_at: datetime | None
    starts_at: datetime | None
    expires_at: datetime | None
    expired: Annotated[bool, Field(description="The end has come; the seat is free.")]
    privileges: tuple[PrivilegeName, ...]
    created_at: datetime

    @classmethod
    def of(cls, person: SitePerson, now: datetime) -> Self:
        """Return a person as it is shown."""
        shown = asdict(person) | {"privileges": names_of(person.privileges)}
        return cls(
            **shown,
            subscribed=person.subscribed_at is not None,
            expired=person.expires_at is not None and now >= person.expires_at,
        )


class SeatsOut(Out):
    """How many of the plan's user seats are taken."""

    limit: int
    used: int
    free: int
    running_out: Annotated[bool, Field(description="Four fifths are taken, or more.")]


def privilege_of(names: tuple[PrivilegeName, ...]) -> Privilege:
    """Return the privileges of these names together."""
    privileges = Privilege(0)
    for name in names:
        privileges |= Privilege[name.name]
    return privileges


def names_of(privileges: Privilege) -> tuple[PrivilegeName, ...]:
    """Return the names of privileges."""
    return tuple(name for name in PrivilegeName if Privilege[name.name] in privileges)
