"""Digital keys: which public keys a phone may have, and how long its access document lasts.

Source: docs/algorithms/digital-keys.md.
"""

from datetime import datetime, timedelta
from typing import Final

from controller.domain.errors import Invalid, Refused
from controller.domain.instants import from_seconds, to_seconds, to_text
from controller.domain.people import SiteCredential, SitePerson

KEY_BYTES: Final = 32
DOCUMENT_LIFE: Final = timedelta(days=7)
RENEWED_AFTER: Final = timedelta(days=4)

_P: Final = 2**255 - 19  # RFC 8032 section 5.1
_D: Final = -121_665 * pow(121_666, -1, _P) % _P
_ROOT_OF_MINUS_1: Final = pow(2, (_P - 1) // 4, _P)


class InvalidPhoneKey(Invalid):
    """No phone has such a key."""

    code = "invalid_phone_key"


class DigitalKeyTaken(Refused):
    """The site knows the phone's key already."""

    code = "digital_key_taken"


class NoAccessDocument(Refused):
    """A digital key that opens nothing gets no document."""

    code = "no_access_document"


def public_key(text: str) -> bytes:
    """Return the Ed25519 public key that is written in hexadecimal.

    A key of small order is refused: everybody can sign for it.

    Raises:
        InvalidPhoneKey: It is none.
    """
    try:
        key = bytes.fromhex(text)
    except ValueError as error:
        raise _invalid("write the key in hexadecimal digits, two for each byte.") from error
    if len(key) != KEY_BYTES:
        raise _invalid(f"an Ed25519 public key has {KEY_BYTES} bytes, this one has {len(key)}.")
    point = _point(key)
    if point is None:
        raise _invalid("this is no Ed25519 public key.")
    if _is_of_small_order(point):
        raise _invalid("this key is of small order: everybody could open with it.")
    return key


def is_due(credential: SiteCredential, now: datetime) -> bool:
    """Return whether the next document is a new one: the last was issued four days ago or never."""
    issued_at = credential.document_issued_at
    return issued_at is None or now >= issued_at + RENEWED_AFTER


def document_end(credential: SiteCredential, person: SitePerson) -> datetime:
    """Return the first instant outside a digital key's newest document.

    It lasts for seven days, and never beyond the end of credential or person.
    """
    assert credential.document_issued_at is not None, "a document has been issued"
    ends = (
        credential.document_issued_at + DOCUMENT_LIFE,
        credential.ends_at,
        person.expires_at,
    )
    return from_seconds(to_seconds(min(end for end in ends if end is not None)))


def require_open(credential: SiteCredential, person: SitePerson, *, now: datetime) -> None:
    """Refuse a document for a digital key that opens nothing now or any more.

    Raises:
        NoAccessDocument: ``reason`` says why.
    """
    ends_at = min(filter(None, (credential.ends_at, person.expires_at)), default=None)
    if credential.blocked_at is not None:
        reason, text = "credential_blocked", "it is blocked; an admin can unblock it"
    elif ends_at is not None and now >= ends_at:
        reason, text = "credential_expired", f"it ended at {to_text(ends_at)}"
    elif person.subscribed_at is None:
        reason, text = "person_unsubscribed", "its holder has no user seat"
    else:
        return
    raise NoAccessDocument(f"This digital key gets no access document: {text}.", reason=reason)


def _invalid(text: str) -> InvalidPhoneKey:
    return InvalidPhoneKey(f"public_key: {text}", field="public_key")


def _point(key: bytes) -> tuple[int, int] | None:
    """Return the point of the curve that a key encodes; RFC 8032 section 5.1.3."""
    encoded = int.from_bytes(key, "little")
    y, sign = encoded & (2**255 - 1), encoded >> 255
    if y >= _P:
        return None
    u, v = (y * y - 1) % _P, (_D * y * y + 1) % _P
    x = u * pow(v, 3, _P) * pow(u * pow(v, 7, _P), (_P - 5) // 8, _P) % _P
    if v * x * x % _P == -u % _P:
        x = x * _ROOT_OF_MINUS_1 % _P
    if v * x * x % _P != u or (x == 0 and sign):
        return None
    return (_P - x if x % 2 != sign else x), y


def _is_of_small_order(point: tuple[int, int]) -> bool:
    """Return whether eight times the point is nothing; RFC 8032 section 5.1.4 doubles."""
    (x, y), z = point, 1
    for _ in range(3):
        a, b, c = x * x, y * y, 2 * z * z
        e, f, g, h = a + b - (x + y) ** 2, c + a - b, a - b, a + b
        x, y, z = e * f % _P, g * h % _P, f * g % _P
    return x == 0 and y == z
