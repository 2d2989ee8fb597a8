"""Structured logs: JSON lines or text, each with the request's id. Secrets never reach a log: see `_redact`."""

from __future__ import annotations

import logging
import logging.handlers
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

from atelier.config import LogSettings

_SECRET_WORDS = ("token", "password", "secret", "authorization", "cookie", "api_key")


def _redact(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    for key in event:
        if any(word in key.lower() for word in _SECRET_WORDS):
            event[key] = "[hidden]"
    return event


def _as_record(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """`{"ts","level","logger","message","extra"}`: the shape that the creature service's log readers expect."""
    known = {
        "ts": event.pop("ts"),
        "level": event.pop("level"),
        "logger": event.pop("logger", "atelier"),
        "message": event.pop("event"),
    }
    trace = event.pop("exception", None)
    extra: dict[str, Any] = dict(event)
    if trace:
        extra["exception"] = trace
    return {**known, "extra": extra}


def configure(settings: LogSettings) -> None:
    """Send structlog and the standard library's loggers to stdout, and to `<directory>/backend.log` when one is set."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        _redact,
    ]
    if settings.json:
        final: list[Any] = [structlog.processors.format_exc_info, _as_record, structlog.processors.JSONRenderer()]
    else:
        final = [
            structlog.dev.ConsoleRenderer(
                colors=sys.stdout.isatty(),
                timestamp_key="ts",
                # Not the default, which draws every local variable: slow enough to hold up the server, and secrets too.
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final]
    )
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout)]
    if settings.directory:
        settings.directory.mkdir(parents=True, exist_ok=True)
        handlers.append(
            logging.handlers.RotatingFileHandler(settings.directory / "backend.log", maxBytes=10_000_000, backupCount=5)
        )
    root = logging.getLogger()
    root.handlers.clear()
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)
    root.setLevel(settings.level)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    logging.getLogger("uvicorn.access").handlers.clear()
    logging.getLogger("uvicorn.access").propagate = False  # `front` logs requests, with their id
    logging.getLogger("aiosqlite").setLevel("WARNING")
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
