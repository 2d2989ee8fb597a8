"""The hub, asked through `huggingface_hub`: search, file lists, small configs, where data lies, whose a token is.

Every address, redirects too, passes the door; every failure comes out as `Trouble` or `RunFailed`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from engines import hub_errors
from engines.engine import RunFailed
from engines.hub_cache import hasher
from engines.hub_door import Door, GivenUp, Trouble, use_network
from engines.hub_files import Refused, RepoFile, check_listing, kind_of, small_json, too_large
from engines.protocol import HubAccess, HubSearch

SMALL_JSON_BYTES = 4 * 1024 * 1024
ANSWER_SECONDS = 20.0
TRIES = 3
SEARCH_FIELDS = ["downloads", "likes", "gated", "private", "lastModified", "library_name", "pipeline_tag", "tags",
                 "safetensors", "config"]  # fmt: skip

Answer = TypeVar("Answer")


def json_of(content: bytes, path: str) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Refused("hub_no_json", f"{path} is no JSON.", file=path) from error


@dataclass(frozen=True)
class Listing:
    """One commit of one repository. `facts` are plain values about it, for people."""

    repo: str
    commit: str
    files: list[RepoFile]
    facts: dict[str, Any]


class Hub:
    """huggingface_hub for one task: its endpoint, its token, and every address checked at the door."""

    def __init__(self, access: HubAccess) -> None:
        from huggingface_hub import HfApi, set_client_factory
        from huggingface_hub.utils._http import default_client_factory

        use_network(access.network)
        self._access, self._token = access, access.token or False
        door = Door(access.endpoint, access.token)

        def make_client() -> Any:
            client = default_client_factory()
            client.timeout, client.max_redirects = ANSWER_SECONDS, 5
            client.event_hooks["request"].append(lambda request: door.check(str(request.url)))
            return client

        set_client_factory(make_client)
        self._api = HfApi(endpoint=access.endpoint, token=self._token)

    def search(self, task: HubSearch) -> list[dict[str, Any]]:
        """The most downloaded first, each repository once."""
        found: dict[str, Any] = {}
        for tag in task.tasks or [None]:
            given = {"search": task.query, "pipeline_tag": tag, "filter": task.filters}
            asked = {name: value for name, value in given.items() if value}
            found |= {model.id: model for model in self._ask(lambda asked=asked: self._found(asked, task.limit))}
        ranked = sorted(found.values(), key=lambda model: -(model.downloads or 0))
        return [_facts(model) for model in ranked[: task.limit]]

    def _found(self, asked: dict[str, Any], limit: int) -> list[Any]:
        """One page. `HfApi.list_models` would try for half a minute before it says that there is no network."""
        from huggingface_hub import ModelInfo
        from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

        answer = get_session().get(
            f"{self._access.endpoint}/api/models",
            params={**asked, "sort": "downloads", "limit": limit, "expand": SEARCH_FIELDS},
            headers=build_hf_headers(token=self._token),
        )
        hf_raise_for_status(answer)
        return [ModelInfo(**item) for item in answer.json()]

    def whose_token(self) -> dict[str, Any]:
        who = self._ask(self._api.whoami)
        role = (who.get("auth") or {}).get("accessToken") or {}
        return {"name": str(who.get("name") or ""), "token_name": role.get("displayName"), "role": role.get("role")}

    def listing(self, repo: str, revision: str) -> Listing:
        info = self._ask(lambda: self._api.model_info(repo, revision=revision, files_metadata=True), repo)
        files = []
        for one in info.siblings or []:
            large = one.lfs.sha256 if one.lfs else None
            size = one.lfs.size if one.lfs else one.size
            files.append(RepoFile(one.rfilename, -1 if size is None else size, large or one.blob_id or ""))
        check_listing(files)
        commit = info.sha or ""
        if len(commit) != 40 or set(commit) - set("0123456789abcdef"):
            raise Refused("hub_no_commit", "The hub gives no commit for this revision.")
        return Listing(repo, commit, files, _facts(info))

    def configs(self, listing: Listing, *, must: bool = False) -> tuple[dict[str, dict], bool]:
        """The small JSON of a commit, and whether it may be read. Of a gated repository without access: what its
        listing gives away, unless it `must` be the real thing."""
        kind, found = kind_of(listing.files), {}
        try:
            for file in small_json(listing.files, kind):
                content = json_of(self._small(listing, file), file.path)
                found[file.path] = {"items": content} if isinstance(content, list) else content
                if not isinstance(found[file.path], dict):
                    raise Refused("hub_no_json", f"{file.path} is no JSON object.", file=file.path)
        except RunFailed as error:
            if must or error.code not in {"gated_repository", "token_needed"}:
                raise
            return _guessed(listing, kind), False
        return found, True

    def locate(self, listing: Listing, file: RepoFile, seconds: float) -> str:
        """Where the data of a file lies, as the hub says. Raises Trouble, RunFailed."""
        from huggingface_hub import get_hf_file_metadata, hf_hub_url

        url = hf_hub_url(listing.repo, file.path, revision=listing.commit, endpoint=self._access.endpoint)
        with hub_errors.told(listing.repo, self._access):
            found = get_hf_file_metadata(url, token=self._token, timeout=seconds, endpoint=self._access.endpoint)
        if found.size is not None and found.size != file.size:
            raise Trouble("wrong_length", f"The hub now gives another length for {file.path}.", file=file.path)
        return found.location

    def _small(self, listing: Listing, file: RepoFile) -> bytes:
        """A small file, whole, its hash checked."""
        from huggingface_hub import hf_hub_url
        from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

        if file.size > SMALL_JSON_BYTES:
            raise too_large(file, SMALL_JSON_BYTES)
        url = hf_hub_url(listing.repo, file.path, revision=listing.commit, endpoint=self._access.endpoint)
        headers = {**build_hf_headers(token=self._token), "Accept-Encoding": "identity"}

        def get() -> bytes:
            with get_session().stream("GET", url, headers=headers) as response:
                if response.status_code >= 400:
                    response.read()
                hf_raise_for_status(response)
                content = b""
                for piece in response.iter_bytes():
                    content += piece
                    if len(content) > SMALL_JSON_BYTES:
                        break
            sum_ = hasher(file.digest, file.size)
            sum_.update(content)
            if sum_.hexdigest() != file.digest:
                words = f"{file.path} does not have the hash that the hub gives for it."
                raise Trouble("hub_file_damaged", words, file=file.path)
            return content

        return self._ask(get, listing.repo)

    def _ask(self, call: Callable[[], Answer], repo: str = "") -> Answer:
        """A short call: tried again when the hub is busy, at once given up when there is no network."""
        for left in range(TRIES - 1, -1, -1):
            try:
                with hub_errors.told(repo, self._access):
                    return call()
            except Trouble as trouble:
                wait = trouble.retry_after if trouble.retry_after is not None else 0.5
                if left == 0 or trouble.code in {"hub_unreachable", "redirect_refused", "redirect_loop"} or wait > 5:
                    raise GivenUp(trouble) from trouble
                hub_errors.pause(wait)
        raise AssertionError("not reached")


def _facts(info: Any) -> dict[str, Any]:
    card = info.card_data.to_dict() if getattr(info, "card_data", None) else {}
    tags = [tag for tag in info.tags or [] if isinstance(tag, str)]
    license_ = next((tag.removeprefix("license:") for tag in tags if tag.startswith("license:")), card.get("license"))
    weights = info.safetensors
    if license_ == "other":
        license_ = card.get("license_name") or license_
    return {
        "repo": info.id,
        "license": license_ if isinstance(license_, str) else None,
        "gated": bool(info.gated),
        "private": bool(info.private),
        "downloads": info.downloads or 0,
        "likes": info.likes or 0,
        "updated_at": info.last_modified.isoformat() if info.last_modified else None,
        "library": info.library_name,
        "pipeline_tag": info.pipeline_tag,
        "tags": tags[:100],
        "parameters": weights.total if weights else None,
        "hub_config": info.config if isinstance(info.config, dict) else {},
    }


def _guessed(listing: Listing, kind: str) -> dict[str, dict]:
    """Stand-ins for the configs that may not be read yet: enough to tell which files would be fetched."""
    if kind != "diffusers":
        return {}
    folders = {
        file.folder
        for file in listing.files
        if file.folder and "/" not in file.folder and file.suffix in {".safetensors", ".json"}
    }
    named = (listing.facts["hub_config"].get("diffusers") or {}).get("_class_name")
    return {
        "model_index.json": {"_class_name": str(named or ""), **{name: ["diffusers", ""] for name in sorted(folders)}}
    }
