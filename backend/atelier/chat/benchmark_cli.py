"""`atelier bench chat`: measures any server of OpenAI's API from outside, over HTTP, and hands the figures to this
Atelier to be kept and compared.

    python -m atelier bench chat --model lore --concurrency 1,2,4,8
    python -m atelier bench chat --base-url http://127.0.0.1:8001/v1 --model some/model --csv figures.csv

Keys come from the environment (see `config.BenchSettings`), never from the command line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pydantic

from atelier.chat.benchmark_measuring import Goals, NoAnswer, Rounds, Sample, plan, stage, warm_up
from atelier.chat.benchmark_schemas import BenchmarkIn, BenchmarkOut, ReportIn, StageOut
from atelier.chat.benchmarks import as_csv
from atelier.clock import now
from atelier.config import BadSetting, BenchSettings
from atelier.tables import JobStatus

PATIENCE = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=900)


def run(options: argparse.Namespace, settings: BenchSettings) -> int:
    """Exit status: 1 when nothing was answered. Raises BadSetting."""
    levels = [one.strip() for one in options.concurrency.split(",")]
    if not all(one.isdecimal() for one in levels):
        raise BadSetting(f"--concurrency {options.concurrency} must be whole numbers with commas, such as 1,2,4,8.")
    try:
        wanted = BenchmarkIn(
            models=options.model,
            concurrency=[int(one) for one in levels],
            requests=options.requests,
            prompt_tokens=options.prompt_tokens,
            output_tokens=options.output_tokens,
            seed=options.seed,
            rounds=options.rounds,
            ttft_goal_ms=options.ttft_goal,
            tpot_goal_ms=options.tpot_goal,
            name=options.name,
        )
    except pydantic.ValidationError as error:
        wrong = (f"--{str(one['loc'][0]).replace('_', '-')}: {one['msg']}" for one in error.errors())
        raise BadSetting(f"This cannot be measured: {'; '.join(wrong)}.") from error
    base = (options.base_url or f"{settings.own_url}/v1").rstrip("/")
    return asyncio.run(_run(wanted, base, options, settings))


async def _run(wanted: BenchmarkIn, base: str, options: argparse.Namespace, settings: BenchSettings) -> int:
    async with aiohttp.ClientSession(timeout=PATIENCE, connector=aiohttp.TCPConnector(limit=0)) as session:
        stages = await _measure(wanted, _asker(session, base, settings.key))
        report = ReportIn(name=wanted.name, server=base[:200], settings=wanted, stages=stages)
        _write(report, options)
        if options.save:
            await _save(session, report, settings)
    return 0 if any(one.figures.completed for one in stages) else 1


def _asker(session: aiohttp.ClientSession, base: str, key: str) -> Any:
    headers = {"Authorization": f"Bearer {key}"} if key else {}

    async def ask(body: dict[str, Any]) -> AsyncIterator[bytes]:
        async with session.post(f"{base}/chat/completions", json=body, headers=headers) as answer:
            if answer.status >= 400:
                raise RuntimeError(f"{answer.status}: {(await answer.text())[:300]}")
            async for piece in answer.content.iter_any():
                yield piece

    return ask


async def _measure(wanted: BenchmarkIn, ask: Any) -> list[StageOut]:
    sizes: dict[str, Any] = {}
    rounds = Rounds(wanted.rounds, Goals.of(wanted.ttft_goal_ms, wanted.tpot_goal_ms))
    stages = []
    print(f"{'model':32} {'at once':>7} {'done':>5} {'failed':>6} {'tokens/s':>9} {'TTFT p50':>9} {'p99':>9} "
          f"{'TPOT p50':>9} {'ITL p99':>9} {'E2EL p99':>9} {'good':>6}")  # fmt: skip
    for model, concurrency in plan(wanted.models, wanted.concurrency, wanted.seed, wanted.rounds):
        if model not in sizes:
            try:
                sizes[model] = await warm_up(ask, model, wanted.prompt_tokens, wanted.output_tokens, wanted.seed)
            except NoAnswer as error:
                sizes[model] = None
                print(f"{model}: {error}", file=sys.stderr)
        if sizes[model] is None:
            samples, seconds = [Sample(error="It gives no answer.")] * wanted.requests, 0.0
        else:
            samples, seconds = await stage(
                ask, model, sizes[model], concurrency=concurrency, requests=wanted.requests,
                seed=rounds.seed(model, concurrency, wanted.seed), done=lambda _sample: None,
            )  # fmt: skip
        found = rounds.add(model, concurrency, samples, seconds)
        if found is None:  # in a later round
            continue
        stages.append(StageOut(model=model, concurrency=concurrency, figures=found))
        print(_line(stages[-1]), flush=True)
    return stages


def _line(one: StageOut) -> str:
    found = one.figures

    def ms(spread: Any, part: str) -> str:
        return f"{getattr(spread, part):9.1f}" if spread else f"{'-':>9}"

    return (
        f"{one.model:32} {one.concurrency:7} {found.completed:5} {found.failed:6} {found.output_throughput:9.1f} "
        f"{ms(found.ttft_ms, 'p50')} {ms(found.ttft_ms, 'p99')} {ms(found.tpot_ms, 'p50')} {ms(found.itl_ms, 'p99')} "
        f"{ms(found.e2el_ms, 'p99')} {'-' if found.goodput is None else f'{found.goodput:.0%}':>6}"
    )


def _write(report: ReportIn, options: argparse.Namespace) -> None:
    whole = BenchmarkOut(
        id="", job_id=None, status=JobStatus.COMPLETED, created_at=now(), **report.model_dump()
    )  # fmt: skip
    if options.csv:
        options.csv.write_text(as_csv(whole))
    if options.json:
        options.json.write_text(whole.model_dump_json(indent=2))


async def _save(session: aiohttp.ClientSession, report: ReportIn, settings: BenchSettings) -> None:
    headers = {"Authorization": f"Bearer {settings.token}"} if settings.token else {}
    url = f"{settings.own_url}/api/chat/benchmarks/reports"
    try:
        async with session.post(url, json=json.loads(report.model_dump_json()), headers=headers) as answer:
            if answer.status != 201:
                raise BadSetting(f"{settings.own_url} did not take the figures: {(await answer.text())[:300]}")
            print(f"kept: {(await answer.json())['id']}", file=sys.stderr)
    except aiohttp.ClientError as error:
        raise BadSetting(f"{settings.own_url} cannot be reached to keep the figures ({error}).") from error
