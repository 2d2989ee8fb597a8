"""The options of `atelier bench chat`; apart, because every command of `atelier` lists them."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(chat: argparse.ArgumentParser) -> None:
    chat.add_argument("--base-url", default="", help="whose API, such as http://127.0.0.1:8000/v1 (this Atelier's)")
    chat.add_argument("--model", action="append", required=True, help="a model's name; several times for several")
    chat.add_argument("--concurrency", default="1,2,4,8", help="requests at once, with commas (1,2,4,8)")
    for name, usual, words in (
        ("requests", 16, "at each level"),
        ("prompt-tokens", 128, "of every prompt"),
        ("output-tokens", 64, "of every answer"),
        ("seed", 0, "of the order and of the prompts"),
        ("rounds", 1, "through all models, in a new order each"),
    ):
        chat.add_argument(f"--{name}", type=int, default=usual, help=f"{words} ({usual})")
    for name, words in (("ttft", "time to first token"), ("tpot", "time per token after the first")):
        chat.add_argument(f"--{name}-goal", type=float, metavar="MS", help=f"an answer is good up to this {words}")
    chat.add_argument("--name", default="", help="what to call it")
    chat.add_argument("--csv", type=Path, help="write the figures there")
    chat.add_argument("--json", type=Path, help="write the figures there")
    chat.add_argument("--save", action="store_true", help="hand the figures to this Atelier, to be compared there")
