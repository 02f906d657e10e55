"""People of a site and their credentials, as the cloud keeps them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from controller.domain.access import CredentialKind, Privilege
from controller.domain.errors import Invalid, Refused
from controller.domain.ids import CredentialId, PersonId, SiteId
from controller.domain.instants import EPOCH, from_seconds, to_text, whole_second
from vouchers.products import HORIZON_S

CREDENTIALS_MAX: Final = 20  # of one person; as many as a section has room for
GROUPS_MAX: Final = 100  # of one person; likewise
TAG_BYTES_MIN: Final = 4
TAG_BYTES_MAX: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class SitePerson:
    """Somebody who is known at a site."""

    site_id: SiteId
    id: PersonId
    name: str
    email: str | None
    is_guest: bool
    subscribed_at: datetime | None  # None: takes no seat and opens nothing
    starts_at: datetime | None  # opens nothing before; the seat is held from the start
    expires_at: datetime | None  # first instant outside the person's stay
    privileges: Privilege
    created_at: datetime
    version: int

    def holds_seat(self, now: datetime) -> bool:
        """Return whether the person takes one of the plan's user seats.

        Whoever has expired frees the seat at once, without anybody's doing.
        """
        expired = self.expires_at is not None and now >= self.expires_at
        return self.subscribed_at is not None and not expired


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteCredential:
    """What a person presents. Of a tag's number and of a PIN only the keyed digest is kept."""

    site_id: SiteId
    id: CredentialId
    person_id: PersonId
    kind: CredentialKind
    digest: bytes
    public_key: bytes | None  # Ed25519, of a digital key's phone
    document_issued_at: datetime | None  # of a digital key's newest access document
    custom: bool  # a PIN that its holder chose
    usable: bool  # False: a custom PIN while these are switched off; no hub is told of it
    label: str
    offline: bool
    blocked_at: datetime | None
    ends_at: datetime | None
    created_at: datetime
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Seats:
    """The user seats of a plan."""

    limit: int
    used: int

    @property
    def free(self) -> int:
        """Return how many are left; none after a renewal with fewer seats than holders."""
        return max(0, self.limit - self.used)

    @property
    def running_out(self) -> bool:
        """Return whether four fifths are taken, or more."""
        return self.used * 5 >= self.limit * 4


class SeatsExhausted(Refused):
    """Fewer user seats of the plan are free than are to be taken."""

    code = "seats_exhausted"

    def __init__(self, *, limit: int, used: int, adding: int) -> None:
        super().__init__(
            f"{used} of the subscription's {limit} user seats are taken, and {adding} more would "
            "be too many. Unsubscribe or delete somebody, or redeem a voucher for more users.",
            limit=limit,
            used=used,
            adding=adding,
            remedy="unsubscribe_or_redeem_plan_voucher",
        )


class InvalidStay(Invalid):
    """A stay that cannot be."""

    code = "invalid_stay"


class InvalidTagNumber(Invalid):
    """A tag number that no reader would read."""

    code = "invalid_tag_number"


class TagTaken(Refused):
    """The site knows the tag already."""

    code = "tag_taken"


class NotATag(Refused):
    """Only a tag is replaced by another; the other kinds are made anew."""

    code = "not_a_tag"


class OfflineAutomatic(Refused):
    """Nobody grants a PIN offline access: it has it wherever there is room."""

    code = "offline_automatic"


class TooManyCredentials(Refused):
    """The person holds as many credentials as one can."""

    code = "too_many_credentials"


class TooManyGroups(Refused):
    """The person is in as many access groups as one can be."""

    code = "too_many_groups"


def tag_number(text: str) -> bytes:
    """Return the number of a tag, typed in hexadecimal with or without colons and spaces.

    Raises:
        InvalidTagNumber: It is not hexadecimal, or not 4 to 10 bytes long.
    """
    try:
        number = bytes.fromhex(text.replace(":", " ").replace("-", " "))
    except ValueError as error:
        raise InvalidTagNumber(
            "number: write the tag's number in hexadecimal digits, two for each byte.",
            field="number",
        ) from error
    if not TAG_BYTES_MIN <= len(number) <= TAG_BYTES_MAX:
        raise InvalidTagNumber(
            f"number: a tag's number has {TAG_BYTES_MIN} to {TAG_BYTES_MAX} bytes, this one has "
            f"{len(number)}.",
            field="number",
            bytes=len(number),
            bytes_min=TAG_BYTES_MIN,
            bytes_max=TAG_BYTES_MAX,
        )
    return number


def ends_earlier(before: datetime | None, after: datetime | None) -> bool:
    """Return whether an end has been brought forward. A lock's memory may hold the later one."""
    return after is not None and (before is None or after < before)


def starts_later(before: datetime | None, after: datetime | None) -> bool:
    """Return whether a start has been put off. A lock's memory knows of none."""
    return after is not None and (before is None or after > before)


def require_stay(person: SitePerson) -> None:
    """Refuse a stay that ends before it starts, and a guest without an end.

    Raises:
        InvalidStay: It names the field.
    """
    if person.is_guest and person.expires_at is None:
        raise InvalidStay(
            "expires_at: a guest has an end; say when, or add a person who is no guest.",
            field="expires_at",
        )
    starts_at, expires_at = person.starts_at, person.expires_at
    if starts_at is not None and expires_at is not None and expires_at <= starts_at:
        raise InvalidStay("expires_at: a stay ends after it starts.", field="expires_at")


def end_of_stay(instant: datetime | None, *, field: str) -> datetime | None:
    """Return an end as it is kept, at a whole second.

    Raises:
        Invalid: It is before 1970 or after 2100-01-01, which no hub could be told.
    """
    horizon = from_seconds(HORIZON_S)
    if instant is None:
        return None
    if not EPOCH <= instant <= horizon:
        raise Invalid(
            f"{field}: an end lies between {to_text(EPOCH)} and {to_text(horizon)}.", field=field
        )
    return whole_second(instant)
