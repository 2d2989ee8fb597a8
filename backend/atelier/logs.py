"""Structured logs: JSON lines or text, each with the request's id. Secrets never reach a log: see `_redact`."""

from __future__ import annotations

import asyncio
import logging
import logging.handlers
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

from atelier.config import LogSettings

LINES_SECONDS = 0.25
MOST_LINES = 1000
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


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """For records of both kinds: those that are still to be written out, and `RequestLines`'."""

    as_json = False

    def format(self, record: logging.LogRecord) -> str:
        ready = getattr(record, "ready", None)
        return ready if ready is not None else super().format(record)


class RequestLines:
    """One line for each request of a door that is in a hurry: kept as it is, written a few times a second all at once.

    The way of other log lines costs as much as the rest of such a request. What was kept since the last time is lost
    when the server is killed.
    """

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)
        self._kept: list[tuple[float, str, Mapping[str, Any]]] = []

    @property
    def is_wanted(self) -> bool:
        return self._logger.isEnabledFor(logging.INFO)

    def add(self, event: str, values: Mapping[str, Any]) -> None:
        """`values` hold no secret, and no text with spaces."""
        self._kept.append((time.time(), event, values))
        if len(self._kept) == 1:
            asyncio.get_running_loop().call_later(LINES_SECONDS, self.write)
        elif len(self._kept) >= MOST_LINES:
            self.write()

    def write(self) -> None:
        kept, self._kept = self._kept, []
        if kept:
            lines = "\n".join(_line(self._logger.name, *one) for one in kept)
            record = self._logger.makeRecord(self._logger.name, logging.INFO, "", 0, lines, (), None)
            record.ready = lines
            self._logger.handle(record)


def _line(name: str, moment: float, event: str, values: Mapping[str, Any]) -> str:
    ts = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if _Formatter.as_json:
        return orjson.dumps({"ts": ts, "level": "info", "logger": name, "message": event, "extra": values}).decode()
    return f"{ts} [info     ] {event:<30} [{name}] " + " ".join(f"{key}={value}" for key, value in values.items())


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
    _Formatter.as_json = settings.json
    formatter = _Formatter(
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
