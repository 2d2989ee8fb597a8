"""What the hub's client raises, in words: `Trouble` for what may go right later, else `RunFailed`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from engines.engine import RunFailed
from engines.hub_door import Trouble
from engines.protocol import HubAccess


@contextlib.contextmanager
def told(repo: str, access: HubAccess) -> Iterator[None]:
    """Raise Trouble or RunFailed for whatever huggingface_hub and its HTTP client raise in the block."""
    import httpx2
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError as error:
        raise gated(repo, access) from error
    except errors.DisabledRepoError as error:
        raise RunFailed(
            "repository_disabled",
            f"The hub has switched off {repo}.",
            "Take the model from another repository.",
            repo=repo,
        ) from error
    except errors.RevisionNotFoundError as error:
        raise RunFailed(
            "revision_not_found",
            f"{repo} has no such revision.",
            "Leave the revision out, or look at its page.",
            repo=repo,
        ) from error
    except errors.RemoteEntryNotFoundError as error:
        raise RunFailed(
            "file_missing", f"A file of {repo} is gone from the hub.", "Plan the download again.", repo=repo
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise _not_found(repo, access) from error
    except errors.HFValidationError as error:
        raise RunFailed("bad_repository_name", "That is no name of a repository.", "Write owner/name.") from error
    except errors.OfflineModeIsEnabled as error:
        raise RunFailed("hub_offline", "Atelier is told to stay offline.", "Unset HF_HUB_OFFLINE.") from error
    except errors.HfHubHTTPError as error:
        raise _of_status(error.response, repo, access) from error
    except httpx2.TooManyRedirects as error:
        raise Trouble("redirect_loop", "The hub leads in circles.") from error
    except (httpx2.ReadError, httpx2.ReadTimeout, httpx2.RemoteProtocolError, httpx2.DecodingError) as error:
        raise Trouble("connection_lost", "The connection to the hub was lost.") from error
    except httpx2.HTTPError as error:
        raise Trouble(
            "hub_unreachable", f"The hub at {access.endpoint} cannot be reached.", endpoint=access.endpoint
        ) from error


def gated(repo: str, access: HubAccess) -> RunFailed:
    page = f"{access.endpoint}/{repo}"
    if access.token:
        return RunFailed(
            "gated_repository",
            f"{repo} is open only to those who accepted its terms, and the account of the stored token has not.",
            f"Open {page}, accept the terms with that account, then try again.",
            sentence="gated_for_token",
            repo=repo,
            page=page,
        )
    return RunFailed(
        "gated_repository",
        f"{repo} is open only to those who accepted its terms.",
        f"Open {page}, accept the terms, make a token there and store it in Atelier.",
        repo=repo,
        page=page,
    )


def pause(seconds: float) -> None:
    time.sleep(seconds)


def _not_found(repo: str, access: HubAccess) -> RunFailed:
    hint = "Check the name; a private one needs a token that may read it."
    if access.token:
        hint = "Check the name; a private one needs a token of somebody who may read it."
    return RunFailed("repository_not_found", f"The hub has no model {repo}, or does not show it.", hint, repo=repo)


def _of_status(response: object, repo: str, access: HubAccess) -> Exception:
    status = getattr(response, "status_code", 0)
    wait = str(getattr(response, "headers", {}).get("Retry-After", ""))
    retry_after = float(wait) if wait.isdigit() else None
    if status == 401 and access.token:
        return RunFailed(
            "token_refused", "The hub does not accept the stored token.", "Make a new one on the hub and store it."
        )
    if status in (401, 404):
        return _not_found(repo, access) if repo else RunFailed("token_needed", "The hub wants a token.", "Store one.")
    if status == 403:
        return RunFailed(
            "access_denied",
            f"The hub does not let this token read {repo or 'that'}.",
            "Give the token the right to read.",
            repo=repo,
        )
    if status == 429:
        return Trouble("rate_limited", "The hub asks for fewer requests.", 5.0 if retry_after is None else retry_after)
    return Trouble("hub_error", f"The hub answered {status}.", retry_after, status=status)
