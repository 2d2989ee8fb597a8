"""`/v1` for everybody inside: how a request of OpenAI's (or Anthropic's) API becomes an answer of an engine.

The only place that knows how the name of a model becomes a worker. `chat.door` serves clients with it; conversations,
batches and the creature service ask in-process:

    status, answer = await serving.complete(actor, "/v1/chat/completions", body)
    async for raw in serving.stream(actor, "/v1/chat/completions", body): ...

A model that is not loaded is loaded by the request. Whoever comes while a worker of the model is in use joins it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from atelier.access.actor import Actor
from atelier.chat import answers, screening
from atelier.chat.metering import Meter
from atelier.chat.order import Order
from atelier.chat.responses import Responses
from atelier.chat.screening import Screen
from atelier.chat.targets import Targets
from atelier.chat.upstream import AnswerTooLong, EngineGone, EngineSilent, Line, head_of
from atelier.chat.watching import Engine, Watch
from atelier.errors import AtelierError, BadRequest, EnvironmentNotReady, Unavailable, WorkerDied
from atelier.models.second_try import started
from atelier.models.sizing import Need, Sizing
from atelier.runtime.engines import ENGINES, EngineName
from atelier.runtime.shared import SharedLeases, Use
from atelier.runtime.waiting import Waiting
from atelier.runtime.worker import Worker
from atelier.said import Said

RESPONSES = "/v1/responses"
MOST_ANSWER_BYTES = 64 * 1024 * 1024
TRIES = 3
"""How often a request is sent to a worker that turns out to be gone before it said anything."""

Tell = Callable[[Waiting], None]
Lent = tuple[Use, Worker, Engine]
SetUp = Callable[[str, Tell | None], Awaitable[None]]
"""Waits until an engine's environment is there, telling how far it is; raises where it cannot be had."""


class TooLongAWait(Unavailable):
    """The model was not loaded in time."""

    code = "model_loading"
    retry_after = 10


class ChatServing:
    """Made, started and closed by the server's lifespan."""

    def __init__(
        self,
        targets: Targets,
        leases: SharedLeases,
        watch: Watch,
        screen: Screen,
        meter: Meter,
        *,
        set_up: SetUp,
        sizing: Sizing,
        wait_seconds: float = 600.0,
    ) -> None:
        """`sizing` hears of each worker once, with what its model was thought to need."""
        self.targets, self.screen, self.watch, self.meter = targets, screen, watch, meter
        self._leases, self._set_up, self._sizing = leases, set_up, sizing
        self.responses = Responses()
        self.wait_seconds = wait_seconds

    async def close(self) -> None:
        await self.watch.close()

    # ── for those inside ──

    async def complete(
        self, actor: Actor, path: str, body: Mapping[str, Any], *, priority: int = 0, tell: Tell | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and answer of one request, whole. An engine's refusal is an answer too, in OpenAI's words.

        `path` is as clients say it, `/v1/chat/completions`. A higher `priority` waits longer (see `WorkerPool.lease`);
        `tell` hears what is waited for. Raises AtelierError: ModelNotFound, BadRequest, NotEnoughMemory, WorkerDied, …
        """
        values = {**body, "stream": False}
        order = await self.order(actor, path, screening.encoded(values), values)
        call = self.watch.call()
        self.watch.begin(call)
        count = self.meter.begin(actor, order)
        status, raw = 500, b""
        try:
            async with self.asked(order, priority, tell) as line:
                status, raw = await whole(line)
        finally:
            self.watch.over(call)
            self.meter.end(count, status, raw)
        answer = answers.parsed(raw)
        if status >= 400:
            return status, answers.openai_error(status, answer)
        return status, answers.both_spellings(answer) if order.target.reasons else answer

    async def stream(
        self, actor: Actor, path: str, body: Mapping[str, Any], *, priority: int = 0, tell: Tell | None = None
    ) -> AsyncIterator[bytes]:
        """The events of one request as the engine sent them, several at a time; the last tells of a failure on the way.
        Closing it ends the engine's work. Raises as `complete` before the first piece."""
        values = {**body, "stream": True}
        order = await self.order(actor, path, screening.encoded(values), values)
        call = self.watch.call()
        self.watch.begin(call)
        count = self.meter.begin(actor, order)
        status, tail, begun = 500, b"", False
        try:
            async with self.asked(order, priority, tell) as line:
                status = line.status
                if status >= 400:
                    _, raw = await whole(line)
                    yield answers.error_event(path, answers.openai_error(status, answers.parsed(raw)))
                    return
                edit = answers.Edit(order)
                while piece := await line.read():
                    if not begun:
                        begun = True
                        self.meter.first(count)
                    tail = piece if len(piece) > 2048 else tail[-2048:] + piece
                    if out := edit(piece) if edit.is_needed else piece:
                        yield out
                if rest := edit.last():
                    yield rest
        except AtelierError as error:
            status = error.status
            if not begun:
                raise
            yield answers.error_event(path, answers.from_error(error))
        finally:
            self.watch.over(call)
            self.meter.end(count, status, tail)

    # ── for the door ──

    def of_response(self, actor: Actor, method: str, path: str) -> Order:
        """A request about an earlier answer of /v1/responses. Raises ResponseNotFound, also for somebody else's."""
        target = self.responses.target(actor, path.split("/")[3])
        return Order(path, target, head_of(path, 0, method), b"", False)

    async def order(self, actor: Actor, path: str, raw: bytes, body: Any = None) -> Order:
        """The request `raw` (parsed already: `body`), looked over. Raises BadRequest, ModelNotFound."""
        if body is None:
            body = screening.parsed(raw)
        name = body.get("model")
        if name.__class__ is not str or not name:
            words = Said("The request names no model.", "chat.no_model")
            raise BadRequest(words, field="model", hint="GET /v1/models lists what there is.")
        target = self.targets.known(actor, name) or await self.targets.find(actor, name)
        changes = await self.screen.look_over(path, body, target)
        if path == RESPONSES and (before := body.get("previous_response_id")) is not None:
            self.responses.target(actor, before, "previous_response_id")
        streams = body.get("stream") is True
        adds_usage = False
        if name != target.name:
            body["model"], changes = target.name, True
        if streams and path in answers.WITH_STREAM_OPTIONS:
            given = body.get("stream_options")
            if not given:
                adds_usage = True
                if changes or "stream_options" in body:
                    body["stream_options"], changes = {"include_usage": True}, True
                else:
                    raw = b'{"stream_options":{"include_usage":true},' + raw.lstrip()[1:]
            elif given.__class__ is dict and given.get("include_usage") is not True:
                given["include_usage"], changes, adds_usage = True, True, True
        if changes:
            raw = screening.encoded(body)
        return Order(path, target, head_of(path, len(raw)), raw, streams, adds_usage)

    def asked(
        self,
        order: Order,
        priority: int = 0,
        tell: Tell | None = None,
        ready: Callable[[], None] | None = None,
    ) -> Asked:
        """A connection on which the answer to `order` begins: its status is there. `ready` is called once the model is
        loaded. Raises AtelierError, in the block too when the engine ends or falls silent."""
        return Asked(self, order, priority, tell, ready)

    def lease_now(self, order: Order, priority: int) -> Lent | None:
        """A share of a worker that is there, without waiting; None where somebody has to."""
        use = self._leases.use_now(order.target.need.spec, priority)
        return self._lent(order, use, use.worker) if use is not None else None

    async def lease(self, order: Order, priority: int, tell: Tell | None) -> Lent:
        """A share of a worker. An environment that lacks is set up first."""
        need = order.target.need
        while True:
            try:
                use, worker = await started(self._sizing, need, partial(self._start, priority, tell), self._told(tell))
            except EnvironmentNotReady:
                try:
                    await self._set_up(ENGINES[EngineName(need.spec.engine)].environment, tell)
                finally:
                    self.targets.forget()  # where it cannot be set up, the next request gets another engine
                continue
            return self._lent(order, use, worker)

    def _lent(self, order: Order, use: Use, worker: Worker) -> Lent:
        try:
            engine = self.watch.engine(worker)
            if not engine.noted:
                engine.noted = True
                self._sizing.note_load(order.target.need, worker)
        except BaseException:
            use.leave()
            raise
        return use, worker, engine

    async def _start(self, priority: int, tell: Tell | None, need: Need) -> tuple[Use, Worker]:
        use = self._leases.use(need.spec, priority=priority, waiting=tell)
        return use, await use.__aenter__()

    def _told(self, tell: Tell | None) -> Tell:
        """Of a second try: the estimate was raised, and who asks next is to know it."""

        def told(what: Waiting) -> None:
            self.targets.forget()
            if tell is not None:
                tell(what)

        return told


class Asked:
    """`async with` for one request: a share of a worker, a connection to it, the head of its answer."""

    __slots__ = ("_engine", "_line", "_order", "_priority", "_ready", "_serving", "_tell", "_use", "_worker")

    def __init__(
        self,
        serving: ChatServing,
        order: Order,
        priority: int,
        tell: Tell | None,
        ready: Callable[[], None] | None,
    ) -> None:
        self._serving, self._order = serving, order
        self._priority, self._tell, self._ready = priority, tell, ready

    async def __aenter__(self) -> Line:
        left = TRIES
        while True:
            left -= 1
            lent = self._serving.lease_now(self._order, self._priority)
            use, worker, engine = lent or await self._serving.lease(self._order, self._priority, self._tell)
            try:
                if self._ready is not None:
                    self._ready()
                self._line = await _asked_on(engine, self._order)
                self._use, self._worker, self._engine = use, worker, engine
                return self._line
            except BaseException as error:
                try:
                    lost = await worker.lost() if isinstance(error, EngineGone) else None
                finally:
                    use.leave()
                if lost is not None:
                    if error.early and left:  # type: ignore[attr-defined]
                        continue
                    raise _ended(lost) from None
                if isinstance(error, EngineSilent):
                    raise _silent() from None
                raise

    async def __aexit__(self, _kind: Any, error: BaseException | None, _trace: Any) -> None:
        self._engine.lines.give_back(self._line)
        try:
            if error is not None:
                if isinstance(error, EngineGone):
                    raise _ended(await self._worker.lost()) from None
                if isinstance(error, EngineSilent):
                    raise _silent() from None
        finally:
            self._use.leave()


async def _asked_on(engine: Engine, order: Order) -> Line:
    """Sent, and its head received. A connection that was kept may have been hung up in that moment: once more then, on
    a new one."""
    line = engine.lines.kept() or await engine.lines.open()
    while True:
        try:
            line.ask(order.head, order.body)
            await line.head()
            return line
        except EngineGone as gone:
            engine.lines.give_back(line)
            if not (gone.early and line.used):
                raise
            line = await engine.lines.open()
        except BaseException:
            engine.lines.give_back(line)
            raise


async def whole(line: Line) -> tuple[int, bytes]:
    try:
        return await line.whole(MOST_ANSWER_BYTES)
    except AnswerTooLong:
        words = Said("The engine's answer is too long.", "chat.answer_too_long")
        raise Unavailable(words, hint="Ask for a stream, or for fewer tokens.") from None


def _ended(cause: WorkerDied) -> WorkerDied:
    """In the words of what the worker died of."""
    return WorkerDied(cause.message, hint=cause.hint or "Send the request again.", log_tail=cause.log_tail)


def _silent() -> WorkerDied:
    return WorkerDied(
        Said("The model's engine does not answer any more, and was ended.", "chat.engine_silent"),
        hint="Send the request again: the model is loaded anew.",
    )
