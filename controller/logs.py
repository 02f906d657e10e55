"""Log lines: JSON, one event a line, without the values of local variables."""

import logging
from typing import Final, TextIO

import structlog

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def configure(stream: TextIO, *, level: str) -> None:
    """Send the program's own lines, and its libraries' warnings, to a stream."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(
        stream=stream,
        level=logging.WARNING,
        format='{"logger": "%(name)s", "level": "%(levelname)s", "event": "%(message)s"}',
        force=True,
    )
