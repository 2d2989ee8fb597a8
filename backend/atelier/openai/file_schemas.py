"""Wire shapes of `/v1/files`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from atelier.tables import FileRow

Purpose = Literal["assistants", "batch", "fine-tune", "vision", "user_data", "evals"]
LEAST_SECONDS, MOST_SECONDS = 3600, 30 * 24 * 3600
"""How soon and how late a file may be let go by itself."""


class FileObject(BaseModel):
    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int = Field(description="Seconds since 1970.")
    expires_at: int | None = None
    filename: str
    purpose: str
    status: Literal["processed"] = "processed"

    @classmethod
    def of(cls, row: FileRow) -> FileObject:
        return cls(
            id=row.id,
            bytes=row.bytes,
            created_at=seconds(row.created_at) or 0,
            expires_at=seconds(row.expires_at),
            filename=row.filename,
            purpose=row.purpose,
        )


class FileObjects(BaseModel):
    object: Literal["list"] = "list"
    data: list[FileObject]
    first_id: str | None
    last_id: str | None
    has_more: bool


class FileDeleted(BaseModel):
    id: str
    object: Literal["file"] = "file"
    deleted: Literal[True] = True


class GivenFields(BaseModel):
    """What stands beside the file in an upload's form."""

    purpose: Purpose
    expires_seconds: int | None = Field(None, ge=LEAST_SECONDS, le=MOST_SECONDS)


UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "purpose"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "purpose": {
                            "type": "string",
                            "enum": ["assistants", "batch", "fine-tune", "vision", "user_data", "evals"],
                        },
                        "expires_after[anchor]": {"type": "string", "enum": ["created_at"]},
                        "expires_after[seconds]": {
                            "type": "integer",
                            "minimum": LEAST_SECONDS,
                            "maximum": MOST_SECONDS,
                        },
                    },
                }
            }
        },
    }
}


def seconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())
