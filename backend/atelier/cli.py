"""atelier serve | migrate | openapi | worker-env | user | bench

`python -m atelier serve --port 8000` is what `run.sh` ends in.
"""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import signal
import sys

from atelier import garbage, listening
from atelier.config import BACKEND, BadSetting, read_settings
from atelier.runtime.engines import ENGINES, SERVER_ENVIRONMENT


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="atelier", description="A private AI studio for one GPU machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="run the server")
    serve.add_argument("--host", help="address to bind (HOST, 127.0.0.1)")
    serve.add_argument("--port", type=int, help="port to bind, 0 for a free one (PORT, 8000)")
    commands.add_parser("migrate", help="bring the database to the newest version")
    commands.add_parser("openapi", help="print the OpenAPI document")
    environment = commands.add_parser("worker-env", help="build an engine's environment now")
    names = {entry.environment for entry in ENGINES.values()} - {SERVER_ENVIRONMENT}
    environment.add_argument("name", choices=sorted(names))
    users = commands.add_parser("user", help="accounts, while no server runs; a running one has /api/users")
    actions = users.add_subparsers(dest="action", required=True)
    actions.add_parser("list", help="who can sign in")
    for action, words in (
        ("add", "make an account; asks for its password, or reads it from standard input"),
        ("passwd", "give an account another password; ends all its sessions"),
        ("remove", "nobody can sign in as them any more; what they made stays"),
    ):
        one = actions.add_parser(action, help=words)
        one.add_argument("name")
        if action == "add":
            one.add_argument("--role", choices=["admin", "user"], default="user")
    bench = commands.add_parser("bench", help="measure a server of OpenAI's API, this one or another")
    _bench_arguments(bench.add_subparsers(dest="what", required=True).add_parser("chat", help="how fast models answer"))
    options = parser.parse_args(arguments)
    try:
        match options.command:
            case "serve":
                return _serve(options.host, options.port)
            case "migrate":
                return _migrate()
            case "openapi":
                return _openapi()
            case "user":
                return _user(options)
            case "bench":
                return _bench(options)
            case _:
                return _worker_environment(options.name)
    except BadSetting as problem:
        print(f"atelier: {problem}", file=sys.stderr)
        return 2


def _bench_arguments(chat: argparse.ArgumentParser) -> None:
    from atelier.chat.benchmark_arguments import add_arguments

    add_arguments(chat)


def _bench(options: argparse.Namespace) -> int:
    from atelier.chat.benchmark_cli import run
    from atelier.config import read_bench_settings

    return run(options, read_bench_settings())


def _serve(host: str | None, port: int | None) -> int:
    if port is not None and not 0 <= port <= 65535:
        raise BadSetting(f"--port {port} must be a number from 0 to 65535.")
    settings = read_settings(host=host, port=port)
    listening.check(settings.server.host, settings.server.port)
    garbage.wait()
    import uvicorn

    from atelier import logs
    from atelier.live.wire import LiveProtocol
    from atelier.main import create_app
    from atelier.wire import PatientProtocol

    logs.configure(settings.log)
    config = uvicorn.Config(
        create_app(settings),
        host=settings.server.host,
        port=settings.server.port,
        log_config=None,
        access_log=False,
        loop="uvloop",
        http=PatientProtocol,
        ws=LiveProtocol,
        ws_max_size=64 * 1024,
        ws_ping_interval=20,
        ws_ping_timeout=20,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=5,
        server_header=False,
        h11_max_incomplete_event_size=32 * 1024,
        limit_concurrency=8000,
        proxy_headers=False,
        ssl_certfile=str(settings.server.tls[0]) if settings.server.tls else None,
        ssl_keyfile=str(settings.server.tls[1]) if settings.server.tls else None,
    )
    server = uvicorn.Server(config)
    # uvicorn shuts down on these signals and then raises them again for whoever handled them before: that is an
    # orderly end here, not a death by signal.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server.run()
    return 0 if server.started else 1


def _migrate() -> int:
    from atelier.migrate import migrate
    from atelier.storage import Storage

    storage = Storage(read_settings().storage.data_dir)
    storage.open()
    try:
        print("migrated" if migrate(storage.database) else "up to date")
    finally:
        storage.close()
    return 0


def _openapi() -> int:
    from atelier.main import create_app

    front = create_app(read_settings({}))
    print(json.dumps(front.app.openapi(), indent=2, ensure_ascii=False))
    return 0


def _user(options: argparse.Namespace) -> int:
    from atelier.access.accounts import Accounts
    from atelier.access.actor import Role
    from atelier.db import Database
    from atelier.errors import AtelierError
    from atelier.migrate import migrate
    from atelier.storage import Storage

    async def change(database: Database) -> None:
        accounts = Accounts(database)
        await accounts.start()
        match options.action:
            case "add":
                await accounts.add(options.name, _password(), Role(options.role))
            case "passwd":
                await accounts.set_password(options.name, _password())
            case "remove":
                await accounts.remove(options.name)
        for account in accounts.all():
            print(f"{account.name}\t{account.role}\t{account.created_at:%Y-%m-%d}")
        await database.close()

    storage = Storage(read_settings().storage.data_dir)
    try:
        storage.open()
    except BadSetting as problem:
        raise BadSetting(f"{problem} A server that runs changes accounts itself: see /api/users.") from None
    try:
        migrate(storage.database)
        asyncio.run(change(Database(storage.database)))
    except AtelierError as error:
        print(f"atelier: {error.message} {error.hint}", file=sys.stderr)
        return 1
    finally:
        storage.close()
    return 0


def _password() -> str:
    """From the terminal, unseen and twice, or the first line of standard input; never from the command line."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    given = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != given:
        raise BadSetting("The two passwords are not the same.")
    return given


def _worker_environment(name: str) -> int:
    from atelier.errors import EnvironmentBuildFailed
    from atelier.runtime.environments import Environments

    environments = Environments(read_settings().storage.environments_dir, BACKEND / "requirements")
    try:
        path = asyncio.run(
            environments.build(name, lambda fraction, message: print(f"{fraction:4.0%} {message}", file=sys.stderr))
        )
    except EnvironmentBuildFailed as error:
        print(f"{error.message}\n{error.hint}\n{error.log_tail or ''}", file=sys.stderr)
        return 1
    print(path)
    return 0
