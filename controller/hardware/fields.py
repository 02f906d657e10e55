"""Fields that the bodies of hubs, repeaters and locks have."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints

Serial = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[\x21-\x7e]{1,40}$")]
StickerCode = Annotated[
    str,
    Field(
        min_length=1,
        max_length=100,
        description="From the device's sticker: 12 to 32 letters and digits. It is not kept.",
    ),
]


class Presence(StrEnum):
    """Whether a device is reached."""

    ONLINE = "online"
    OFFLINE = "offline"
    UNKNOWN = "unknown"

    @classmethod
    def of(cls, online: bool | None) -> Self:  # noqa: FBT001 - a column of three values
        """Return the word for a column that may be NULL."""
        return cls("unknown" if online is None else "online" if online else "offline")
