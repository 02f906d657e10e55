"""Versions as ETags: an edit says which version it was made from."""

import re
from http import HTTPStatus
from typing import Final

from aiohttp import web

from controller.domain.errors import Stale
from controller.web.problems import Refusal

_STRONG: Final = re.compile(r'"([1-9][0-9]{0,8})"')  # fits into the 32 bits of every database


def of(version: int) -> str:
    """Return the ETag of a version."""
    return f'"{version}"'


def required(request: web.Request) -> int:
    """Return the version that the request was made from.

    Raises:
        Refusal: If-Match is missing (428).
        Stale: It names no version of ours (412).
    """
    header = request.headers.get("If-Match")
    if header is None:
        raise Refusal(
            HTTPStatus.PRECONDITION_REQUIRED,
            "if_match_missing",
            "Send the ETag of what you edit in the header If-Match, so that no edit is lost.",
        )
    match = _STRONG.fullmatch(header.strip())
    if match is None:
        raise Stale("If-Match names no version of this; read it again and send its ETag.")
    return int(match[1])
