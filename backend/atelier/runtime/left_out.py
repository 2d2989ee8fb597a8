"""Load options that a worker could not have, in words for its user."""

from __future__ import annotations

from engines import protocol

from atelier.said import Said


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
