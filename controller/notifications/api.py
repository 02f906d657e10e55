"""Notification rules over REST."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Self, cast

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from controller.domain.ids import LockId, PersonId, RuleId, ScheduleId, SiteId
from controller.domain.incidents import IncidentKind
from controller.domain.notifications import PLACES_MAX, RECEIVERS_MAX, NotificationRule
from controller.domain.roles import Action
from controller.notifications import repository
from controller.notifications.service import Notifications, RuleEdit
from controller.web.api import Call, delete, get, patch, post
from controller.web.fields import Name
from controller.web.models import ID, In, Out, Versioned
from gateway.protocol.messages import FIRST_INCIDENT, EntryKind

RULES = "/sites/{site_id}/notification-rules"
RULE = RULES + "/{rule_id}"

_KINDS: Final = dict.fromkeys(
    [kind.name.lower() for kind in EntryKind if kind < FIRST_INCIDENT]
    + [kind.value for kind in IncidentKind]
)
HappeningKind = StrEnum("HappeningKind", {name.upper(): name for name in _KINDS})  # type: ignore[misc]  # names that the link and the rules define

Kinds = Annotated[
    tuple[HappeningKind, ...],
    Field(min_length=1, max_length=len(_KINDS), description="Entries and incidents."),
]
LockIds = Annotated[
    tuple[Annotated[LockId, ID], ...] | None,
    Field(max_length=PLACES_MAX, description="Null: all locks, and what concerns no lock."),
]
PersonIds = Annotated[
    tuple[Annotated[PersonId, ID], ...] | None,
    Field(max_length=PLACES_MAX, description="Whose entries; null: everybody's."),
]
Receivers = Annotated[
    tuple[Annotated[PersonId, ID], ...],
    Field(min_length=1, max_length=RECEIVERS_MAX, description="Who is told, at their addresses."),
]


class RuleIn(In):
    """A rule to be."""

    name: Name
    kinds: Kinds
    receiver_ids: Receivers
    lock_ids: LockIds = None
    person_ids: PersonIds = None
    schedule_id: Annotated[ScheduleId, ID] | None = None
    by_mail: bool = True
    enabled: bool = True


@with_config(ConfigDict(extra="forbid", strict=True))
class RulePatch(TypedDict, total=False):
    """What is to become of a rule; what is left out stays."""

    name: Name
    kinds: Kinds
    receiver_ids: Receivers
    lock_ids: LockIds
    person_ids: PersonIds
    schedule_id: Annotated[ScheduleId, ID] | None
    by_mail: bool
    enabled: bool


class RuleOut(Versioned):
    """Whom to tell of what."""

    id: RuleId
    name: str
    kinds: list[str]
    lock_ids: list[LockId] | None
    person_ids: list[PersonId] | None
    schedule_id: ScheduleId | None
    receiver_ids: list[PersonId]
    by_mail: bool
    enabled: bool
    created_at: datetime

    @classmethod
    def of(cls, rule: NotificationRule) -> Self:
        """Return a rule as it is shown."""
        return cls(
            id=rule.id,
            name=rule.name,
            kinds=sorted(rule.kinds),
            lock_ids=None if rule.lock_ids is None else sorted(rule.lock_ids),
            person_ids=None if rule.person_ids is None else sorted(rule.person_ids),
            schedule_id=rule.schedule_id,
            receiver_ids=sorted(rule.receiver_ids),
            by_mail=rule.by_mail,
            enabled=rule.enabled,
            created_at=rule.created_at,
            version=rule.version,
        )


class RulesOut(Out):
    """All notification rules of a site, and whether mail leaves at all."""

    items: list[RuleOut]
    mail: Annotated[bool, Field(description="False: the operator has set up no mail server.")]


class NotificationsApi:
    """Who is told of what happens at a site."""

    tag = "notifications"

    def __init__(self, notifications: Notifications, *, mail: bool) -> None:
        self._notifications = notifications
        self._mail = mail

    @get(RULES, requires=Action.MANAGE_NOTIFICATIONS)
    async def listed(self, call: Call, site_id: SiteId) -> RulesOut:
        """List notification rules."""
        async with call.db.read() as tx:
            found = await repository.rules_of(tx, [site_id])
        return RulesOut(items=[RuleOut.of(rule) for rule in found], mail=self._mail)

    @post(RULES, requires=Action.MANAGE_NOTIFICATIONS, status=201)
    async def add(self, call: Call, site_id: SiteId, body: RuleIn) -> RuleOut:
        """Make a rule: what happens of these kinds is told to these people.

        By mail to their addresses, gathered for ten seconds, and as an event
        ``notification.raised`` for webhooks.
        """
        edit = _edit(cast("RulePatch", {name: getattr(body, name) for name in RuleIn.model_fields}))
        async with call.db.write() as tx:
            rule = await self._notifications.add(tx, call.actor, site_id, edit, now=call.now)
        return RuleOut.of(rule)

    @get(RULE, requires=Action.MANAGE_NOTIFICATIONS)
    async def one(self, call: Call, site_id: SiteId, rule_id: RuleId) -> RuleOut:
        """Show a rule."""
        async with call.db.read() as tx:
            return RuleOut.of(await repository.rule(tx, site_id, rule_id))

    @patch(RULE, requires=Action.MANAGE_NOTIFICATIONS)
    async def edit(
        self, call: Call, site_id: SiteId, rule_id: RuleId, if_match: int, body: RulePatch
    ) -> RuleOut:
        """Edit a rule."""
        async with call.db.write() as tx:
            rule = await self._notifications.edit(
                tx,
                call.actor,
                site_id,
                rule_id,
                edit=_edit(body),
                if_match=if_match,
                now=call.now,
            )
        return RuleOut.of(rule)

    @delete(RULE, requires=Action.MANAGE_NOTIFICATIONS)
    async def remove(self, call: Call, site_id: SiteId, rule_id: RuleId, if_match: int) -> None:
        """Delete a rule."""
        async with call.db.write() as tx:
            await self._notifications.delete(
                tx, call.actor, site_id, rule_id, if_match=if_match, now=call.now
            )


def _edit(patch: RulePatch) -> RuleEdit:
    """Return what a patch is to do; what is a list on the way is a set to the rules."""
    edit = {
        name: frozenset(map(str, value)) if isinstance(value, tuple) else value
        for name, value in patch.items()
    }
    return cast("RuleEdit", edit)
