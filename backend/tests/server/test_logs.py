"""Logs: an unforeseen error is written quickly and without what stood in local variables; secrets are hidden."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

import pytest
import structlog
from atelier import logs
from atelier.config import LogSettings


@pytest.fixture(autouse=True)
def _restore():  # type: ignore[no-untyped-def]
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = before, level
    structlog.reset_defaults()


def written(folder: Path, **settings: bool) -> str:
    """What an error and a secret leave in the log file."""
    logs.configure(LogSettings(directory=folder, **settings))
    log = structlog.get_logger("atelier.test")
    huge_local = {"password_of_somebody": ["swordfish"] * 10_000}
    begun = time.monotonic()
    try:
        raise ValueError(f"{len(huge_local)} thing went wrong")
    except ValueError:
        log.exception("test.failed", token="swordfish")
    assert time.monotonic() - begun < 2
    return (folder / "backend.log").read_text()


@pytest.mark.parametrize("as_json", [True, False])
def test_an_error_is_logged_without_local_variables_and_secrets(tmp_path: Path, as_json: bool) -> None:
    text = written(tmp_path, json=as_json)
    assert "1 thing went wrong" in text
    assert "Traceback" in text
    assert "swordfish" not in text
    assert len(text) < 5000


def test_json_lines_have_the_agreed_shape(tmp_path: Path) -> None:
    line = json.loads(written(tmp_path, json=True).splitlines()[-1])
    assert set(line) == {"ts", "level", "logger", "message", "extra"}
    assert (line["level"], line["logger"], line["message"]) == ("error", "atelier.test", "test.failed")
