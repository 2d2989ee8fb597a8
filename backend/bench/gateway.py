"""`/v1` as a gateway: what a request and an event of a stream cost, beside LiteLLM's proxy and SGLang's router.

    python -m bench.gateway [--rounds 5] [--seconds 3] [--without litellm] [--peers FOLDER]

Everybody stands in front of the same engine, which costs next to nothing and is proved to be three times faster than
the fastest of them. Ours is the real server with keys, metering and metrics on. Peers are installed into environments
of their own under `--peers` and are part of no list of Atelier's. G1, G2 and G4 compare CPU time; G3 and G5 time, and
need a machine that does nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.gateway_load import KEY
from bench.measuring import (
    BACKEND,
    Goal,
    Report,
    WrongAnswer,
    clean_environment,
    least,
    middle,
    options_for,
    stop,
    take_turns,
)
from bench.serving import Server

PEERS = {"litellm": "litellm[proxy]==1.106.2", "sglang": "sglang-router==0.3.2"}
CONNECTIONS = 64
_QUESTION = json.dumps({"model": "mock", "messages": [{"role": "user", "content": "x"}]}).encode()
_LITELLM = """
model_list:
  - model_name: mock
    litellm_params: {{model: openai/mock, api_base: "http://127.0.0.1:{port}/v1", api_key: none}}
general_settings: {{master_key: {key}}}
litellm_settings: {{telemetry: false}}
"""


def main() -> int:
    parser = options_for(__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each look at each (3)")
    parser.add_argument("--without", action="append", default=[], choices=list(PEERS), help="leave a peer out")
    parser.add_argument("--peers", type=Path, default=Path("~/.cache/atelier/bench-peers").expanduser())
    options = parser.parse_args()
    report = Report("gateway")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        engine_port, engine = _free_port(), folder / "engine.sock"
        mock = stack.enter_context(
            _process("mock", folder, ["-m", "bench.gateway_mock", str(engine), str(engine_port)])
        )
        _answers(engine_port)
        gateways = {"engine": (engine_port, mock)}
        ours = stack.enter_context(
            Server(folder / "data", module="bench.gateway_inside", arguments=(str(engine),), OPENAI_API_KEYS=KEY)
        )
        gateways["atelier"] = (ours.port, ours.pid)
        for name in PEERS:
            if name not in options.without:
                python = _installed(options.peers, name)
                gateways[name] = stack.enter_context(_peer(name, python, folder, engine_port))
        try:
            _measure(report, gateways, options)
        except WrongAnswer:
            print((folder / "data" / "server.log").read_text()[-3000:], file=sys.stderr)
            raise
    return report.finish(options)


def _measure(report: Report, gateways: dict[str, tuple[int, int]], options: Any) -> None:
    def look(kind: str, connections: int) -> dict[str, list[dict[str, float]]]:
        sides = {
            name: lambda at=at: _load(*at, kind, connections, options.seconds)
            for name, at in gateways.items()
            if kind not in ("paced", "long") or name in ("engine", "atelier")
        }
        return take_turns(sides, options.rounds)

    plain, streams = look("plain", CONNECTIONS), look("stream", CONNECTIONS)
    alone, paced = look("plain", 1), look("paced", CONNECTIONS)
    long = look("long", CONNECTIONS)
    for name in gateways:
        each_of = {"paced stream s": paced, "of 256 events s": long}
        paced_figures = {title: middle(one[name], "seconds") for title, one in each_of.items() if name in one}
        report.row(
            name,
            **{
                "CPU µs/request": least(plain[name], "cpu_each") * 1e6,
                "CPU µs/event": least(streams[name], "cpu_event") * 1e6,
                "requests/s": max(one["rate"] for one in plain[name]),
                "p50 ms, one client": middle(alone[name], "p50") * 1e3,
                "p99 ms, one client": middle(alone[name], "p99") * 1e3,
                **paced_figures,
            },
        )
    each = {name: least(plain[name], "cpu_each") for name in gateways}
    event = {name: least(streams[name], "cpu_event") for name in gateways}
    if each["engine"] * 3 > min(value for name, value in each.items() if name != "engine"):
        raise WrongAnswer("the engine is not three times faster than what stands in front of it")
    if "litellm" in gateways:
        report.goals.append(Goal("G1", "CPU of a request ÷ LiteLLM's", each["atelier"] / each["litellm"], 0.01))
        report.goals.append(Goal("G4", "CPU of an event ÷ LiteLLM's", event["atelier"] / event["litellm"], 0.04))
    if "sglang" in gateways:
        report.goals.append(Goal("G2", "CPU of a request ÷ sglang-router's", each["atelier"] / each["sglang"], 1.0))
    for what, found in (("64 events", paced), ("256 events", long)):
        speed = middle(found["engine"], "seconds") / middle(found["atelier"], "seconds")
        title = f"64 paced streams of {what}, tokens/s ÷ the engine's"
        report.goals.append(Goal("G3", title, speed, 0.99, at_most=False))
    for quantile, most in (("p50", 0.3), ("p99", 1.0)):
        added = (middle(alone["atelier"], quantile) - middle(alone["engine"], quantile)) * 1e3
        report.goals.append(Goal("G5", f"ms added to one client, {quantile}", added, most))


def _load(port: int, pid: int, kind: str, connections: int, seconds: float) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.gateway_load", str(port), str(connections), str(seconds), kind, str(pid)]
    done = subprocess.run(
        command, cwd=BACKEND, env=_environment(), capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        raise WrongAnswer(done.stderr[-2000:])
    found = json.loads(done.stdout)
    each = {"cpu_each": found["cpu"] / found["answers"], "rate": found["answers"] / found["seconds"]}
    return {**found, **each, "cpu_event": found["cpu"] / max(1, found["events"])}


@contextlib.contextmanager
def _process(name: str, folder: Path, command: list[str], python: str = sys.executable, **more: str) -> Iterator[int]:
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [python, *command], cwd=BACKEND, env={**_environment(), **more}, stdout=log, stderr=log
        )
    try:
        yield process.pid
    finally:
        stop(process)


@contextlib.contextmanager
def _peer(name: str, python: Path, folder: Path, engine_port: int) -> Iterator[tuple[int, int]]:
    port = _free_port()
    if name == "litellm":
        config = folder / "litellm.yaml"
        config.write_text(_LITELLM.format(port=engine_port, key=KEY))
        command = [str(python.parent / "litellm"), "--config", str(config), "--port", str(port), "--num_workers", "1"]
        more = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    else:
        worker = f"http://127.0.0.1:{engine_port}"
        command = ["-m", "sglang_router.launch_router", "--worker-urls", worker, "--policy", "round_robin"]
        command += ["--host", "127.0.0.1", "--port", str(port), "--prometheus-port", str(_free_port())]
        command += ["--log-level", "error"]
        more = {}
    with _process(name, folder, command, str(python), **more) as pid:
        os.sched_setaffinity(pid, {sorted(os.sched_getaffinity(0))[-1]})
        _answers(port)
        yield port, pid


def _installed(folder: Path, name: str) -> Path:
    """The Python of a peer's own environment, made when it is not there."""
    python = folder / name / "bin" / "python"
    if not (folder / name / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder / name)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", PEERS[name]], check=True)
        (folder / name / "complete").touch()
    return python


def _answers(port: int, seconds: float = 180.0) -> None:
    headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/chat/completions", _QUESTION, headers)  # noqa: S310
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            if answer.status == 200:
                return
        time.sleep(0.2)
    raise WrongAnswer(f"nobody answers on port {port}")


def _environment() -> dict[str, str]:
    return {**clean_environment(), "PYTHONPATH": str(BACKEND)}


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


if __name__ == "__main__":
    sys.exit(main())
