"""What has just been written down: an entry at a door, or an incident."""

from dataclasses import dataclass
from datetime import datetime

from controller.domain.ids import HubId, LockId, PersonId, SiteId


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """A new entry or incident, as whoever waits for such things needs it."""

    site_id: SiteId
    id: str  # names it for ever within its site
    kind: str  # as the API names kinds of entries and incidents
    at: datetime  # by the clock of who noticed
    lock_id: LockId | None = None
    hub_id: HubId | None = None
    person_id: PersonId | None = None
    reason: str | None = None  # why a door stayed shut
    count: int | None = None
