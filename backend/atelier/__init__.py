"""Atelier's server: one process, no model library."""

import warnings

__version__ = "0.1.0"

try:
    from pydantic import BaseModel
    from pydantic.warnings import UnsupportedFieldAttributeWarning
except ModuleNotFoundError:
    pass  # the guard process (`runtime.reaper`) runs on the standard library alone
else:
    # Models are built when first used, FastAPI's own too: there are hundreds, and a start needs a few. Said here, since
    # a model takes this setting on when its class is made.
    BaseModel.model_config["defer_build"] = True
    # FastAPI makes its validators of parameters with their aliases and silences what pydantic says of that, but only
    # while it makes them: a model that is built later says it then.
    warnings.filterwarnings("ignore", "The 'alias' attribute", UnsupportedFieldAttributeWarning)
