"""Draws many pictures on one sheet, with words at the edges. Pillow; runs in the picture reader's child."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont

GAP = 8
MAX_SIDE = 4096
_GROUND, _INK = "#ffffff", "#10151d"


def sheet_size(count: int, columns: int, cell: tuple[int, int], header: int, margin: int) -> tuple[int, int]:
    rows = -(-count // columns)
    return margin + columns * (cell[0] + GAP) + GAP, header + rows * (cell[1] + GAP) + GAP


def cell_size(largest: tuple[int, int], columns: int, rows: int) -> tuple[int, int]:
    """So large that the whole sheet stays below `MAX_SIDE`; never larger than the largest picture."""
    room = (MAX_SIDE * 0.9 / columns - GAP, MAX_SIDE * 0.9 / rows - GAP)
    scale = min(1.0, room[0] / largest[0], room[1] / largest[1])
    return max(16, int(largest[0] * scale)), max(16, int(largest[1] * scale))


def draw(images: list[Image.Image], columns: int, x: list[str], y: list[str], cell: tuple[int, int]) -> Image.Image:
    """The pictures in reading order, each fitted into its cell; `x` above the columns, `y` before the rows."""
    size = max(14, min(cell[0], cell[1]) // 12)
    font = ImageFont.load_default(size)
    header = int(size * 2.4) if x else 0
    margin = min(cell[0], max((int(font.getlength(words)) for words in y), default=0) + 2 * GAP) if y else 0
    sheet = Image.new("RGB", sheet_size(len(images), columns, cell, header, margin), _GROUND)
    pen = ImageDraw.Draw(sheet)
    for at, words in enumerate(x):
        middle = (margin + GAP + at * (cell[0] + GAP) + cell[0] // 2, header // 2 + GAP // 2)
        pen.text(middle, fitting(words, font, cell[0]), _INK, font, anchor="mm")
    for at, words in enumerate(y):
        middle = (margin // 2 + GAP // 2, header + GAP + at * (cell[1] + GAP) + cell[1] // 2)
        pen.text(middle, fitting(words, font, margin - GAP), _INK, font, anchor="mm")
    for at, image in enumerate(images):
        row, column = divmod(at, columns)
        image.thumbnail(cell, Image.Resampling.LANCZOS)
        left = margin + GAP + column * (cell[0] + GAP) + (cell[0] - image.width) // 2
        sheet.paste(image, (left, header + GAP + row * (cell[1] + GAP) + (cell[1] - image.height) // 2))
    return sheet


def fitting(words: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room: int) -> str:
    """The words, or as many letters of them as there is room for."""
    words = " ".join(words.split())
    if font.getlength(words) <= room:
        return words
    while words and font.getlength(words + "…") > room:
        words = words[:-1]
    return words + "…"
