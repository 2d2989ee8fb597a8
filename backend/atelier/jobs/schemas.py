"""Wire shapes of the job list."""

from __future__ import annotations

from pydantic import BaseModel, Field

from atelier.shapes import JobOut


class JobPage(BaseModel):
    items: list[JobOut]
    next_cursor: str | None = Field(description="Hand it back as `cursor` for the next page; null on the last one.")
