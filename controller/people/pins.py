"""Make PINs. A PIN is seen in one answer, once; its keyed digest is all that is kept.

The digest's uniqueness at the site decides whether a PIN is free, so two makers never hand out the
same one.

Source: docs/algorithms/pins.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from controller.accounts.guessing import Failures, GuessLimit, Key
from controller.db.engine import ReadSession, Session
from controller.domain import pins
from controller.domain.access import CredentialKind
from controller.domain.catalogue import Feature
from controller.domain.ids import CredentialId, PersonId, SiteId
from controller.domain.people import SiteCredential, end_of_stay
from controller.domain.pins import PinsSwitchedOff, PinTaken
from controller.domain.roles import Action, Actor
from controller.keys import Keys
from controller.people import repository
from controller.people.changes import Changes
from controller.people.credentials import Credentials, blank
from controller.ports import Ids, Randomness
from controller.subscriptions.entitlement import Entitlement
from gateway.protocol.sealing import pin_digest

TRIES_MAX: Final = 100
"""At 20,000 codes for each PIN the second draw is hardly ever needed."""

MADE: Final = Failures(name="pin by person", burst=10, per_hour=4)
"""Each PIN that is replaced uses up a code for 90 days, so nobody replaces his all day long."""

TAKEN: Final = Failures(name="taken pin by account", burst=5, per_hour=20)
"""Whoever hears that a chosen PIN is taken knows one that opens doors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MadePin:
    """A new PIN; this is the only time that it can be seen."""

    credential: SiteCredential
    pin: str = field(repr=False)


class Pins:
    """The PINs of a site's people; each has one at most."""

    def __init__(
        self,
        *,
        changes: Changes,
        credentials: Credentials,
        entitlement: Entitlement,
        keys: Keys,
        ids: Ids,
        randomness: Randomness,
        guesses: GuessLimit,
    ) -> None:
        self._changes = changes
        self._credentials = credentials
        self._entitlement = entitlement
        self._keys = keys
        self._ids = ids
        self._randomness = randomness
        self._guesses = guesses

    async def generate(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        person_id: PersonId,
        *,
        ends_at: datetime | None,
        now: datetime,
    ) -> MadePin:
        """Give a person a PIN that nobody chose, instead of the one that it has.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site knows nobody of this id.
            PinsSwitchedOff: The site makes no PINs.
            PinsExhausted: None is left.
            TooMany: The person has had too many lately.
        """
        await self._begin(tx, actor, Action.MANAGE_ACCESS, site_id, person_id, now=now)
        return await self._draw(tx, actor, site_id, person_id, ends_at=ends_at, now=now)

    async def renew_own(
        self, tx: Session, actor: Actor, site_id: SiteId, person_id: PersonId, *, now: datetime
    ) -> MadePin:
        """Give the actor's own person a PIN, instead of the one that it has; its end stays.

        Raises:
            PinWithheld: The one before is blocked or over.
            NoValidSubscription: And all the others that ``generate`` raises.
        """
        before = await self._begin(tx, actor, Action.MANAGE_OWN_KEYS, site_id, person_id, now=now)
        pins.require_renewable(before, now=now)
        ends_at = before.ends_at if before else None
        return await self._draw(tx, actor, site_id, person_id, ends_at=ends_at, now=now)

    async def choose(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        person_id: PersonId,
        *,
        pin: str,
        ends_at: datetime | None,
        now: datetime,
    ) -> MadePin:
        """Give a person a PIN of its own choice, instead of the one that it has.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            FeatureNotEntitled: It runs without custom PINs.
            NotFound: The site knows nobody of this id.
            PinsSwitchedOff: The site makes no PINs, or none that somebody chose.
            InvalidPin: It is too short or too easy to guess.
            PinTaken: Somebody has it or had it lately.
            TooMany: The person has had too many lately, or the actor has hit too many taken ones.
        """
        keys: tuple[Key, ...] = ((TAKEN, str(actor.account_id)),)
        self._guesses.require(keys)
        await self._begin(tx, actor, Action.MANAGE_ACCESS, site_id, person_id, now=now)
        await self._entitlement.require(tx, site_id, Feature.CUSTOM_PIN, now=now)
        await _require_on(tx, site_id, custom=True)
        digits = pins.digits_for(await repository.count_pins(tx, site_id) + 1)
        pins.require_choosable(pin, digits=digits)
        made = self._new(site_id, person_id, pin, ends_at=ends_at, now=now)
        chosen = replace(made, custom=True)
        try:
            await self._put(tx, chosen, now=now)
        except PinTaken:
            self._guesses.failed(keys)
            raise
        return await self._end(tx, actor, chosen, pin, now=now)

    async def _begin(
        self,
        tx: Session,
        actor: Actor,
        right: Action,
        site_id: SiteId,
        person_id: PersonId,
        *,
        now: datetime,
    ) -> SiteCredential | None:
        """Take the site's turn, and from the person the PIN that it has, which is returned."""
        await self._changes.begin(tx, actor, right, site_id, now=now)
        person = await repository.person(tx, site_id, person_id)
        self._guesses.require(((MADE, person.id),))
        held = await repository.credentials_of(tx, site_id, person.id)
        before = next((one for one in held if one.kind is CredentialKind.PIN), None)
        if before is not None:
            await self._credentials.drop(tx, before, if_match=before.version, now=now)
        return before

    async def _draw(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        person_id: PersonId,
        *,
        ends_at: datetime | None,
        now: datetime,
    ) -> MadePin:
        """Give a person without a PIN one that nobody chose."""
        await _require_on(tx, site_id)
        digits = pins.digits_for(await repository.count_pins(tx, site_id) + 1)
        for pin in self._drawn(digits):
            made = self._new(site_id, person_id, pin, ends_at=ends_at, now=now)
            try:
                await self._put(tx, made, now=now)
            except PinTaken:
                continue
            return await self._end(tx, actor, made, pin, now=now)
        raise pins.exhausted()

    def _drawn(self, digits: int) -> Iterator[str]:
        for _ in range(TRIES_MAX):
            pin = pins.drawn(digits, self._randomness.token_bytes(pins.RANDOM_BYTES))
            if pin is not None:
                yield pin

    def _new(
        self,
        site_id: SiteId,
        person_id: PersonId,
        pin: str,
        *,
        ends_at: datetime | None,
        now: datetime,
    ) -> SiteCredential:
        made = blank(
            site_id,
            person_id,
            credential_id=CredentialId(self._ids.new()),
            kind=CredentialKind.PIN,
            digest=pin_digest(pin, self._keys.tag_key(site_id)),
            now=now,
        )
        return replace(made, ends_at=end_of_stay(ends_at, field="ends_at"))

    async def _put(self, tx: Session, made: SiteCredential, *, now: datetime) -> None:
        """Write a PIN, unless somebody has it or had it within 90 days.

        Raises:
            PinTaken: So it is.
        """
        taken = PinTaken(
            "pin: this PIN cannot be had here: somebody has it, or had it in the last 90 days. "
            "Choose another.",
            field="pin",
        )
        since = now - pins.NOT_AGAIN
        if await repository.was_revoked(tx, made.site_id, made.digest, since=since):
            raise taken
        await self._credentials.put(tx, made, taken)

    async def _end(
        self, tx: Session, actor: Actor, made: SiteCredential, pin: str, *, now: datetime
    ) -> MadePin:
        await self._credentials.end(tx, actor, "pin_made", made, now=now)
        tx.on_commit(lambda: self._guesses.failed(((MADE, made.person_id),)))
        return MadePin(credential=made, pin=pin)


async def _require_on(tx: ReadSession, site_id: SiteId, *, custom: bool = False) -> None:
    """Refuse to make a PIN where the site's settings say so.

    Raises:
        PinsSwitchedOff: It names the setting.
    """
    settings = await repository.pin_settings(tx, site_id)
    off = [name for name in ("pins", *(["custom_pins"] * custom)) if not getattr(settings, name)]
    if off:
        raise PinsSwitchedOff(
            f"The site has its setting {off[0]} switched off. An admin can switch it on.",
            setting=off[0],
            remedy="switch_on",
        )
