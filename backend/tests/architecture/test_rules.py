"""The rules of doc/architecture.md that a machine can check."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

BACKEND = Path(__file__).resolve().parents[2]
ATELIER = BACKEND / "atelier"
MODULES = sorted(ATELIER.rglob("*.py"))

BLOCKING = {
    "open", "time.sleep", "subprocess.run", "subprocess.Popen", "subprocess.check_output", "os.system", "requests.get",
    "shutil.rmtree", "shutil.copytree", "shutil.copyfile", "os.unlink", "os.rename", "os.replace", "os.scandir",
    "os.listdir", "os.fsync", "urllib.request.urlopen", "sqlite3.connect",
}  # fmt: skip
# A forkserver has to be started in the main thread: the kernel ties the parent-death signal to the thread that forks.
# A socket's name lies in memory, and goes before anybody hears that its worker has ended.
DELIBERATE = {
    "subprocess.Popen": "atelier/runtime/forkserver.py",
    "self._socket_path.unlink": "atelier/runtime/worker.py",
    "self.openai_socket.unlink": "atelier/runtime/worker.py",
}
BLOCKING_METHODS = {
    "read_text", "write_text", "read_bytes", "write_bytes", "rmdir", "unlink", "mkdir", "rename", "iterdir", "glob",
    "rglob", "is_file", "is_dir", "exists", "stat", "lstat", "touch", "chmod", "symlink_to",
}  # fmt: skip


def run(*command: str) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": str(BACKEND), "PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "NO_COLOR": "1"}
    return subprocess.run(command, cwd=BACKEND.parent, capture_output=True, text=True, env=environment, check=False)


class Start(NamedTuple):
    """What a process had built when its application was made, and after it wrote the OpenAPI document."""

    routes: str
    models: str
    document: str
    then: str


@pytest.fixture(scope="module")
def start() -> Start:
    """One process for all: to build every route and write the document takes seconds."""
    code = (
        "from atelier import cli, main; from atelier.config import read_settings; from pydantic import BaseModel; "
        "app = main.create_app(read_settings({})).app; "
        "known = [route for router in main.ROUTERS for route in router.routes]; "
        "print(len(known), 'routes', [route.path for route in known if route.is_built]); "
        "walk = lambda kind: [kind] + [one for below in kind.__subclasses__() for one in walk(below)]; "
        "models = walk(BaseModel)[1:]; "
        "print(len(models), 'models', *[one.__qualname__ for one in models if one.__pydantic_complete__]); "
        "assert cli.main(['openapi']) == 0; "
        "print('then', all(route.is_built for route in known if route.include_in_schema))"
    )
    result = run(sys.executable, "-c", code)
    assert result.returncode == 0, result.stderr
    routes, models, rest = result.stdout.split("\n", 2)
    document, _, then = rest.rstrip("\n").rpartition("\n")
    return Start(routes, models, document + "\n", then)


class TestImports:
    def test_contracts_of_import_linter(self) -> None:
        result = run(sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()")
        assert result.returncode == 0, result.stdout + result.stderr
        assert "0 broken" in result.stdout

    def test_the_server_process_loads_no_model_library(self) -> None:
        code = (
            "import sys, atelier.main; from atelier.config import read_settings; "
            "atelier.main.create_app(read_settings({})); "
            "bad = {'torch', 'diffusers', 'transformers', 'numpy', 'PIL', 'vllm', 'nemo'}; "
            "bad |= {'alembic', 'redis', 'jwt', 'pwdlib'}; "
            "bad &= set(sys.modules); "
            "print(bad); sys.exit(bool(bad))"
        )
        result = run(sys.executable, "-c", code)
        assert result.returncode == 0, result.stdout + result.stderr

    def test_the_guard_process_needs_the_standard_library_alone(self) -> None:
        """It is started with `-S`: what `atelier/__init__.py` imports must not be needed there."""
        code = "import sys, atelier.runtime.reaper; print(sorted({'pydantic', 'psutil'} & set(sys.modules)))"
        result = run(sys.executable, "-S", "-c", code)
        assert (result.returncode, result.stdout) == (0, "[]\n"), result.stderr

    def test_a_start_builds_nothing_that_nobody_asked_for(self, start: Start) -> None:
        """Routes and models wait for their first use: see "A quick start" in doc/architecture.md."""
        assert int(start.routes.split()[0]) > 100 and start.routes.endswith("routes []"), f"use routing.Router: {start}"
        count, _, *built = start.models.split()
        # Four of FastAPI's own; those that are made at import.
        assert int(count) > 150 and len(built) < 12, start.models
        assert start.then == "then True"

    def test_style(self) -> None:
        result = run(sys.executable, "-m", "ruff", "check", "--no-cache", ".")
        assert result.returncode == 0, result.stdout


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def blocking_calls(path: Path) -> list[str]:
    """Calls in coroutines that would hold up the event loop."""
    found, where = [], os.path.relpath(path, BACKEND)
    for function in ast.walk(ast.parse(path.read_text())):
        if not isinstance(function, ast.AsyncFunctionDef):
            continue
        nested = {id(n) for inner in ast.walk(function) if isinstance(inner, ast.FunctionDef) for n in ast.walk(inner)}
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and id(node) not in nested:
                name = dotted(node.func)
                if DELIBERATE.get(name) == where:
                    continue
                if name in BLOCKING or (isinstance(node.func, ast.Attribute) and node.func.attr in BLOCKING_METHODS):
                    found.append(f"{where}:{node.lineno} {name}")
    return found


class TestCode:
    def test_no_blocking_call_in_a_coroutine(self) -> None:
        coroutines = sum(
            isinstance(node, ast.AsyncFunctionDef) for path in MODULES for node in ast.walk(ast.parse(path.read_text()))
        )
        assert coroutines > 100, "the rule would pass because it looks at nothing"
        assert [call for path in MODULES for call in blocking_calls(path)] == []

    def test_no_cancel_is_forgotten(self) -> None:
        """`asyncio.wait_for` of Python 3.11 swallows a cancel that comes together with the result."""
        assert [str(path) for path in MODULES if "asyncio.wait_for(" in path.read_text()] == [], "use asyncio.timeout"

    def test_the_rule_finds_a_blocking_call(self, tmp_path: Path) -> None:
        # The rule itself, on a file that breaks it.
        broken = tmp_path / "broken.py"
        broken.write_text("async def f(path):\n    time.sleep(1)\n    def g():\n        open(path)\n    path.stat()\n")
        assert [call.split()[-1] for call in blocking_calls(broken)] == ["time.sleep", "path.stat"]

    @pytest.mark.parametrize(
        ("words", "allowed"),
        [
            (("os.environ", "os.getenv", "getenv("), {"config.py"}),
            ((".commit()",), {"db.py"}),
            (("create_subprocess_exec", "subprocess.Popen", "os.fork("), set()),
            (("text(f", 'text("SELECT " +'), set()),
            (("import pickle", "import dill", "yaml.load", "eval(", "exec("), set()),
            (("BaseHTTPMiddleware", "add_middleware"), set()),
        ],
    )
    def test_only_these_files_may(self, words: tuple[str, ...], allowed: set[str]) -> None:
        # The runtime owns processes.
        looked_at = [path for path in MODULES if "runtime" not in path.parts or "os.environ" in words]
        assert {path.name for path in looked_at if any(w in path.read_text() for w in words)} <= allowed

    def test_no_name_that_says_nothing(self) -> None:
        names = {path.stem for path in [*MODULES, *(BACKEND / "engines").glob("*.py")]}
        assert names & {"utils", "helpers", "common", "manager", "base", "misc"} == set()

    def test_every_module_says_what_it_owns(self) -> None:
        silent = [
            str(p.relative_to(BACKEND))
            for p in MODULES
            if p.stat().st_size and not ast.get_docstring(ast.parse(p.read_text()))
        ]
        assert [name for name in silent if not name.endswith("__main__.py")] == []


def _committed() -> dict[str, Any]:
    return json.loads((BACKEND.parent / "frontend" / "openapi.json").read_text())


def _referred(part: object) -> set[str]:
    """The names of the schemas that a part of the document refers to."""
    return set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(part)))


class TestOpenAPI:
    def test_the_committed_document_is_current(self, start: Start) -> None:
        committed = (BACKEND.parent / "frontend" / "openapi.json").read_text()
        assert start.document == committed, "run: python -m atelier openapi > frontend/openapi.json"

    def test_every_parameter_says_what_it_is(self) -> None:
        paths = _committed()["paths"]
        parameters = [
            (f"{method} {path}", one)
            for path, methods in paths.items()
            for method, operation in methods.items()
            for one in operation.get("parameters", [])
        ]
        assert len(parameters) > 100
        assert [(where, one["name"]) for where, one in parameters if not one.get("description")] == []

    @pytest.mark.parametrize("area", ["generate", "gallery", "collections", "grids", "prompts", "styles"])
    def test_so_does_every_field_that_is_sent_for_pictures(self, area: str) -> None:
        document = _committed()
        bodies = [
            operation.get("requestBody", {})
            for path, methods in document["paths"].items()
            for operation in methods.values()
            if path.split("/")[2:3] == [area]
        ]
        names, seen = _referred(bodies), set[str]()
        while names:
            seen.add(name := names.pop())
            names |= _referred(document["components"]["schemas"][name]) - seen
        assert seen
        silent = [
            f"{name}.{field}"
            for name in sorted(seen)
            for field, schema in document["components"]["schemas"][name].get("properties", {}).items()
            if not schema.get("description")
        ]
        assert silent == []

    def test_live_frames_and_events_are_described(self) -> None:
        schemas = _committed()["components"]["schemas"]
        assert {"Event", "ServerFrame", "PingFrame", "JobProgress", "SnapshotFrame"} <= set(schemas)
        assert "job.progress" in json.dumps(schemas["Event"])
