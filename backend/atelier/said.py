"""A sentence for a person that can be said in another language.

The server writes English, for programs and logs. A dashboard says the same by the sentence's code and the values in it:
its words stand in `frontend/src/i18n/said/<language>.json`, and a test knows when one is missing there.
"""

from __future__ import annotations

Value = str | int | float


class Said(str):
    """English text with a stable `code` and the values that stand in it. Wherever text can go, it can go."""

    __slots__ = ("code", "params")
    code: str
    params: dict[str, Value]

    def __new__(cls, text: str, code: str, /, **params: Value) -> Said:
        said = super().__new__(cls, text)
        said.code, said.params = code, params
        return said

    def reworded(self, text: str, **params: Value) -> Said:
        """The same sentence, told differently: with other text and more values."""
        return Said(text, self.code, **self.params, **params)
