"""Reading a worker's log: whole lines, bounded, without secrets."""

from __future__ import annotations

from pathlib import Path

import pytest
from atelier.system.worker_log import AT_ONCE, read_log


class TestReadLog:
    def test_a_line_that_is_being_written_waits(self, tmp_path: Path) -> None:
        log = tmp_path / "w.log"
        log.write_text("one\ntwo\nthr")
        first = read_log(log, 0)
        assert (first.lines, first.next, first.skipped) == (["one", "two"], 8, False)
        log.write_text("one\ntwo\nthree\n")
        assert read_log(log, first.next).lines == ["three"]

    def test_only_the_last_part_of_too_much(self, tmp_path: Path) -> None:
        log = tmp_path / "w.log"
        log.write_text("".join(f"line {number:06d}\n" for number in range(20_000)))
        found = read_log(log, 0)
        assert found.skipped and found.lines[-1] == "line 019999" and len(found.lines) < AT_ONCE / 11
        assert all(len(line) == 11 for line in found.lines)

    def test_a_file_that_was_cut_back_is_read_anew(self, tmp_path: Path) -> None:
        log = tmp_path / "w.log"
        log.write_text("new\n")
        found = read_log(log, 10_000)
        assert (found.lines, found.next, found.skipped) == (["new"], 4, True)

    def test_no_file(self, tmp_path: Path) -> None:
        assert read_log(tmp_path / "none.log", 5).lines == []

    @pytest.mark.parametrize(
        "line",
        [
            "token=hf_abcdefghijklmnop",
            "using hf_abcdefghijklmnop now",
            "Authorization: Bearer abcdefghijklmnop",
            '{"api_key": "abcdefghijklmnop"}',
            "PASSWORD=abcdefghijklmnop",
        ],
    )
    def test_no_secret(self, tmp_path: Path, line: str) -> None:
        log = tmp_path / "w.log"
        log.write_text(f"{line}\n")
        (found,) = read_log(log, 0).lines
        assert "abcdefghijklmnop" not in found
