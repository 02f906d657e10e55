"""Deterministic CBOR (RFC 8949 section 4.2.1), and nothing else of it.

Every value has exactly one encoding here, so bytes can be signed, hashed and compared. Map keys
are small integers, for which the encoder's order and the standard's agree.
"""

from collections.abc import Callable
from typing import Any, Final

import cbor2

from gateway.protocol.errors import ProtocolError

MESSAGE_BYTES_MAX: Final = 16 * 1024
DEPTH_MAX: Final = 8
_SCALARS: Final = frozenset({int, bytes, bool})


class _NoTags(dict[int, Any]):
    """Decoders of the library's tags: for each one a refusal, before what it tags is looked at.

    Left to itself the library would compile regular expressions and multiply out big fractions.
    """

    def __missing__(self, tag: int) -> Callable[[Any], Any]:
        return _refuse_tag


_NO_TAGS: Final = _NoTags()


def encode(value: object) -> bytes:
    """Return the one encoding of a value made of int, bytes, str, bool, list and dict."""
    return cbor2.dumps(value, canonical=True)


def decode(data: bytes, *, bytes_max: int = MESSAGE_BYTES_MAX) -> Any:
    """Return the value that ``data`` encodes.

    Raises:
        ProtocolError: It is too long, too deep, not CBOR, has a repeated key, a tag, an indefinite
            length or trailing bytes, is not the deterministic encoding of its value, or holds
            anything but int, bytes, printable ASCII text, bool, list, and dict keyed by int.
    """
    if len(data) > bytes_max:
        raise ProtocolError(f"message has {len(data)} bytes, at most {bytes_max} are read")
    try:
        value = cbor2.loads(
            data,
            max_depth=DEPTH_MAX,
            allow_indefinite=False,
            allow_duplicate_keys=False,
            semantic_decoders=_NO_TAGS,
        )
    except cbor2.CBORError as error:
        raise ProtocolError(f"message is not CBOR as we write it: {error}") from error
    _check(value)
    # The library ignores what follows the value and takes long forms of short numbers.
    # Comparing with our own encoding refuses both.
    if encode(value) != data:
        raise ProtocolError("message is not in the deterministic encoding")
    return value


def _check(value: Any) -> None:
    """Refuse what we never write. ``type`` is asked because to Python True and 1.0 are 1."""
    kind = type(value)
    if kind is dict:
        for key, item in value.items():
            if type(key) is not int:
                raise ProtocolError(f"a map key is {type(key).__name__}, integers are read")
            _check(item)
    elif kind is list:
        for item in value:
            _check(item)
    elif kind is str:
        if not (value.isascii() and value.isprintable()):
            raise ProtocolError("a text holds something else than printable ASCII")
    elif kind not in _SCALARS:
        raise ProtocolError(f"message holds {kind.__name__}, which we never write")


def _refuse_tag(*_: Any) -> Any:
    raise ValueError("tags are not read")
