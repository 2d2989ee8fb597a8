"""Every error that a caller can see, as one tree.

    AtelierError                 status, code, message, hint
    ├── BadRequest               400 / 422   the request is wrong; names the field   ModelNotRecognised, InputRefused, …
    ├── Unauthorized             401
    ├── Forbidden                403
    ├── HubFailed                by code     what the hub refused, or why it cannot be reached
    ├── NotFound                 404         JobNotFound, ImageNotFound, ModelNotFound, …
    ├── Conflict                 409
    ├── TooManyJobs              429         carries retry_after
    └── Unavailable              503         EnvironmentNotReady, WorkerStartFailed, WorkerDied, NotEnoughMemory, …

Features raise these; `atelier.problems` turns them into the envelope of the API that was called. A message names the
field, the limit and the remedy; internals stay in the log.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class AtelierError(Exception):
    """Base: `status` is the HTTP status, `code` a stable word for clients, `hint` the next step for a person. `fields`
    says what is wrong with each of several."""

    status = 500
    code = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        field: str | None = None,
        fields: Mapping[str, str] | None = None,
        log_tail: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.field = field
        self.fields = dict(fields or ({field: message} if field else {}))
        self.log_tail = log_tail

    def in_words_of(self, names: Mapping[str, str]) -> None:
        """Say the fields in the words of the API that was called."""
        self.fields = {names.get(field, field): words for field, words in self.fields.items()}
        self.field = names.get(self.field or "", self.field)

    def blame(self, field: str) -> None:
        """Name the field that brought it about, where whoever raised it could not know."""
        if not self.fields:
            self.field, self.fields = field, {field: self.message}


class BadRequest(AtelierError):
    status = 422
    code = "validation_failed"


class Complaints:
    """Hears what is wrong with each part of a request, so that one answer names all of it.

    with complaints.heard():
        width = …
    with complaints.heard():
        scheduler = …
    complaints.raise_any()
    """

    def __init__(self) -> None:
        self._errors: list[AtelierError] = []

    @contextmanager
    def heard(self) -> Iterator[None]:
        """What is raised in here, when it blames a field, is kept for later; what follows must do without."""
        try:
            yield
        except (BadRequest, NotFound) as error:
            if not error.fields:
                raise
            self._errors.append(error)

    def raise_any(self) -> None:
        """Raises the only one as it came, several as one BadRequest with a sentence for each field."""
        if len(self._errors) == 1:
            raise self._errors[0]
        if self._errors:
            fields: dict[str, str] = {}
            for error in self._errors:
                for field, words in error.fields.items():
                    fields.setdefault(field, words)
            hints = dict.fromkeys(error.hint for error in self._errors if error.hint)
            raise BadRequest(
                " ".join(dict.fromkeys(error.message for error in self._errors)),
                hint=" ".join(hints),
                field=next(iter(fields)),
                fields=fields,
            )


class Coded(AtelierError):
    """Raised with a code that says what happened, and brings its status; one that is not listed is a 422."""

    STATUS: Mapping[str, int] = {}

    def __init__(self, message: str, *, code: str, hint: str = "", field: str | None = None) -> None:
        super().__init__(message, hint=hint, field=field)
        self.code = code
        self.status = self.STATUS.get(code, 422)


class HubFailed(Coded):
    """The hub, or the engine that speaks to it, refused or could not be reached. Codes: `engines.hub_errors`,
    `engines.hub_files`, `engines.hub_parts`."""

    STATUS = {
        "hub_offline": 503,
        "hub_unreachable": 503,
        "hub_error": 503,
        "connection_lost": 503,
        "rate_limited": 503,
        "repository_not_found": 404,
        "revision_not_found": 404,
        "file_missing": 404,
        "gated_repository": 403,
        "access_denied": 403,
        "insufficient_storage": 507,
        "internal_error": 500,
    }


class ModelNotRecognised(BadRequest):
    """A folder or file is no model that Atelier can run, or not one that is safe to read."""

    code = "model_not_recognised"


class Unauthorized(AtelierError):
    """`scheme` is the kind of credential that would help, as `WWW-Authenticate` says it."""

    status = 401
    code = "unauthorized"

    def __init__(self, message: str, *, hint: str = "", field: str | None = None, scheme: str = "Bearer") -> None:
        super().__init__(message, hint=hint, field=field)
        self.scheme = scheme


class Forbidden(AtelierError):
    status = 403
    code = "forbidden"


class NotFound(AtelierError):
    status = 404
    code = "not_found"


class JobNotFound(NotFound):
    code = "job_not_found"


class ImageNotFound(NotFound):
    code = "image_not_found"


class InputNotFound(NotFound):
    code = "input_not_found"


class InputRefused(Coded, BadRequest):
    """An uploaded picture that is not taken: too large, of another format, animated, damaged. Codes: `engines.
    picture_reader`, `engines.limited_child`."""

    STATUS = {
        "upload_too_large": 413,
        "picture_too_large": 413,
        "picture_format": 415,
        "insufficient_storage": 507,
        "internal_error": 500,
    }


class FileNotFound(NotFound):
    """Of /v1/files."""

    code = "file_not_found"


class FileRefused(BadRequest):
    """A file for /v1/files that is not taken: too large, or there is no room. Codes: `openai.files`."""

    STATUS = {"file_too_large": 413, "file_no_room": 507}

    def __init__(self, message: str, *, code: str, hint: str = "", field: str | None = "file") -> None:
        super().__init__(message, hint=hint, field=field)
        self.code = code
        self.status = self.STATUS[code]


class BenchmarkNotFound(NotFound):
    code = "benchmark_not_found"


class BatchNotFound(NotFound):
    code = "batch_not_found"


class CollectionNotFound(NotFound):
    code = "collection_not_found"


class ModelNotFound(NotFound):
    code = "model_not_found"


class WorkerNotFound(NotFound):
    code = "worker_not_found"


class EnvironmentNotFound(NotFound):
    code = "environment_not_found"


class Conflict(AtelierError):
    status = 409
    code = "conflict"


class TooManyJobs(AtelierError):
    status = 429
    code = "queue_full"

    def __init__(self, message: str, *, retry_after: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class Unavailable(AtelierError):
    status = 503
    code = "unavailable"


class EnvironmentNotReady(Unavailable):
    code = "environment_not_ready"


class EnvironmentBuildFailed(Unavailable):
    code = "environment_build_failed"


class NotEnoughMemory(Unavailable):
    """Can never fit, whatever is evicted."""

    code = "not_enough_memory"


class WorkerStartFailed(Unavailable):
    """`crash` tells a process that died from a model that politely refused to load; `out_of_memory`: memory ran out,
    and a start with more room may succeed."""

    code = "worker_start_failed"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        log_tail: str | None = None,
        crash: bool = False,
        out_of_memory: bool = False,
    ) -> None:
        super().__init__(message, hint=hint, log_tail=log_tail)
        self.crash, self.out_of_memory = crash, out_of_memory


class WorkerDied(Unavailable):
    """The worker's process ended or fell silent while it held a run."""

    code = "worker_died"
