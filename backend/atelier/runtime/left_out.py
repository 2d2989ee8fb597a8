"""Load options that a worker could not have, in words for its user; and what the log is told of the attention that it
chose."""

from __future__ import annotations

import structlog
from engines import protocol

from atelier.said import Said

log = structlog.get_logger("atelier.runtime")


def log_attention(model: str, chosen: protocol.Attention | None) -> None:
    """One event: whose attention it is, and of each that would have come first why not."""
    if chosen is not None:
        without = {one.option: str(left_out(one)) for one in chosen.without}
        log.info("attention.chosen", model=model, backend=chosen.backend, without=without)


def left_out(what: protocol.LeftOut) -> Said:
    option, reason = what.option, what.reason
    match what.why:
        case "cpu":
            return Said(f"{option} is left out: it is for GPUs.", "load.left_out_cpu", option=option)
        case "compiler":
            return Said(f"{option} is left out: there is no compiler here.", "load.left_out_compiler", option=option)
        case "model":
            return Said(f"{option} is left out: it is not for this model.", "load.left_out_model", option=option)
        case "engine":
            return Said(f"{option} is left out: this engine cannot do it.", "load.left_out_engine", option=option)
    return Said(f"{option} is left out: {reason}", "load.left_out", option=option, reason=reason)
