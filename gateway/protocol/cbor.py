"""Deterministic CBOR (RFC 8949 section 4.2.1), and nothing else of it.

Every value has exactly one encoding here, so bytes can be signed, hashed and compared. Map keys
are small integers, for which the encoder's order and the standard's agree.
"""

from typing import Any, Final

import cbor2

from gateway.protocol.errors import ProtocolError

MESSAGE_BYTES_MAX: Final = 16 * 1024
DEPTH_MAX: Final = 8


def encode(value: object) -> bytes:
    """Return the one encoding of a value made of int, bytes, str, bool, list and dict."""
    return cbor2.dumps(value, canonical=True)


def decode(data: bytes, *, bytes_max: int = MESSAGE_BYTES_MAX) -> Any:
    """Return the value that ``data`` encodes.

    Raises:
        ProtocolError: It is too long, too deep, not CBOR, has a repeated key, an indefinite
            length or trailing bytes, or is not the deterministic encoding of its value.
    """
    if len(data) > bytes_max:
        raise ProtocolError(f"message has {len(data)} bytes, at most {bytes_max} are read")
    try:
        value = cbor2.loads(
            data, max_depth=DEPTH_MAX, allow_indefinite=False, allow_duplicate_keys=False
        )
        # The library ignores what follows the value and takes long forms of short numbers.
        # Comparing with our own encoding refuses both, and every type that we do not write.
        again = encode(value)
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise ProtocolError(f"message is not CBOR as we write it: {error}") from error
    if again != data:
        raise ProtocolError("message is not in the deterministic encoding")
    return value
