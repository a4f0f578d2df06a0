"""Structured logs: one event a line, JSON for machines or coloured for people."""

from __future__ import annotations

import logging
import sys
from typing import Any, Literal

import structlog

LogFormat = Literal["console", "json"]

KAFKA_LOGGER = "presence.kafka"
"""For librdkafka and FastStream, which would write to standard error in forms of their own."""


_LOUD = (KAFKA_LOGGER, "kafka", "psycopg.pool", "psycopg")
"""Libraries that report what their callers are told by an exception as well."""
_KNOWN = ("CONFWARN", "Auto create topics is disabled")
"""What our libraries say at every start about what we have chosen: FastStream gives the consumer's settings
to its producer too, and topics are never made automatically."""


class _SaidAtEveryStart(logging.Filter):
    """Drops the warnings that would teach people not to read warnings."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        return not any(known in message for known in _KNOWN)


def quiet() -> None:
    """For commands: what fails is said in a line of their own, and nothing else on either stream."""
    logging.getLogger().addHandler(logging.NullHandler())
    for loud in _LOUD:
        logging.getLogger(loud).setLevel(logging.CRITICAL + 1)
    structlog.configure(logger_factory=structlog.stdlib.LoggerFactory())


def configure(log_format: LogFormat, service: str, level: str = "INFO") -> None:
    """Send everything, the libraries' logs included, to standard error in one form."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    if log_format == "json":
        renderer: list[Any] = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    else:
        renderer = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_SaidAtEveryStart())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for quieter in (
        "uvicorn",
        "uvicorn.access",
        "uvicorn.error",
        "httpx",
        "httpcore",
        "faststream",
        *_LOUD,
    ):
        logging.getLogger(quieter).setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(service=service)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger; give facts as keywords: `log.info("cursor moved", source="mastodon")`."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
