"""Calls of Anthropic's SDK and of LangChain's and Semantic Kernel's OpenAI connectors, as their users write them.

    python connector_calls.py BASE_URL KEY MODEL EMBEDDER CALL

runs in the environment `connectors`, prints what came back as one line of JSON. `test_connectors` says what it must be.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Annotated, Any

QUESTION = "Describe a red dragon"


class Calls:
    """One method for each call."""

    def __init__(self, base: str, key: str, model: str, embedder: str) -> None:
        self.base, self.key, self.model, self.embedder = base, key, model, embedder

    # ── Anthropic ──

    def _anthropic(self, kind: str = "Anthropic") -> Any:
        import anthropic

        return getattr(anthropic, kind)(base_url=self.base, api_key=self.key, max_retries=0)

    def anthropic_message(self) -> Any:
        made = self._anthropic().messages.create(
            model=self.model, max_tokens=50, system="Be brief.", messages=[{"role": "user", "content": QUESTION}]
        )
        text = "".join(part.text for part in made.content if part.type == "text")
        return {"text": text, "role": made.role, "stop": made.stop_reason, "out": made.usage.output_tokens}

    def anthropic_stream(self) -> Any:
        asked = [{"role": "user", "content": QUESTION}]
        with self._anthropic().messages.stream(model=self.model, max_tokens=50, messages=asked) as stream:
            pieces = list(stream.text_stream)
            final = stream.get_final_message()
        return {"text": "".join(pieces), "pieces": len(pieces), "stop": final.stop_reason}

    def anthropic_async(self) -> Any:
        async def ask() -> str:
            async with self._anthropic("AsyncAnthropic") as client:
                asked = [{"role": "user", "content": QUESTION}]
                made = await client.messages.create(model=self.model, max_tokens=50, messages=asked)
                return made.content[0].text

        return {"text": asyncio.run(ask())}

    def anthropic_count(self) -> Any:
        asked = [{"role": "user", "content": QUESTION}]
        return {"tokens": self._anthropic().messages.count_tokens(model=self.model, messages=asked).input_tokens}

    def anthropic_tool(self) -> Any:
        """In a stream: the arguments come in pieces, and the client puts them together."""
        parameters = {"type": "object", "properties": {"prompt": {"type": "string"}}, "required": ["prompt"]}
        tool = {"name": "make_picture", "description": "Draws a picture.", "input_schema": parameters}
        asked = [{"role": "user", "content": [{"type": "text", "text": "Draw a red dragon"}]}]
        system = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
        more = {"tools": [tool], "tool_choice": {"type": "any"}, "system": system}
        with self._anthropic().messages.stream(model=self.model, max_tokens=80, messages=asked, **more) as stream:
            made = stream.get_final_message()
        (call,) = (part for part in made.content if part.type == "tool_use")
        return {"name": call.name, "arguments": sorted(call.input), "stop": made.stop_reason}

    def anthropic_thinking(self) -> Any:
        asked = [{"role": "user", "content": "Name a white ghost"}]
        more = {"max_tokens": 120, "thinking": {"type": "adaptive"}}
        made = self._anthropic().messages.create(model=self.model, messages=asked, **more)
        return {"kinds": [part.type for part in made.content]}

    def anthropic_unknown_model(self) -> Any:
        import anthropic

        try:
            asked = [{"role": "user", "content": QUESTION}]
            self._anthropic().messages.create(model="nothing-of-that-name", max_tokens=5, messages=asked)
        except anthropic.NotFoundError as error:
            return {"type": error.body["type"], "error": error.body["error"]["type"]}
        return None

    # ── LangChain ──

    def _langchain(self, **more: Any) -> Any:
        from langchain_openai import ChatOpenAI

        return ChatOpenAI(
            model=self.model, base_url=f"{self.base}/v1", api_key=self.key, max_retries=0, temperature=0, **more
        )

    def langchain_invoke(self) -> Any:
        made = self._langchain().invoke([("system", "Be brief."), ("human", QUESTION)])
        return {"text": made.content, "out": made.usage_metadata["output_tokens"]}

    def langchain_stream(self) -> Any:
        pieces = [piece.content for piece in self._langchain(stream_usage=True).stream(QUESTION)]
        return {"text": "".join(pieces), "pieces": sum(bool(piece) for piece in pieces)}

    def langchain_batch(self) -> Any:
        made = self._langchain().batch([f"{QUESTION} {at}" for at in range(4)])
        return {"texts": [one.content for one in made]}

    def langchain_async(self) -> Any:
        return {"text": asyncio.run(self._langchain().ainvoke(QUESTION)).content}

    def langchain_tool(self) -> Any:
        from langchain_core.tools import tool

        @tool
        def make_picture(prompt: str) -> str:
            """Draws a picture."""
            return prompt

        bound = self._langchain().bind_tools([make_picture], tool_choice="make_picture")
        (call,) = bound.invoke("Draw a red dragon").tool_calls
        return {"name": call["name"], "arguments": sorted(call["args"])}

    def langchain_structured(self) -> Any:
        from pydantic import BaseModel

        class Card(BaseModel):
            name: str
            species: str

        question = "Make a card for a red dragon as JSON with the keys name, species"
        return {
            method: sorted(self._langchain().with_structured_output(Card, method=method).invoke(question).model_dump())
            for method in ("json_schema", "function_calling")
        }

    def langchain_embeddings(self) -> Any:
        from langchain_openai import OpenAIEmbeddings

        maker = OpenAIEmbeddings(
            model=self.embedder, base_url=f"{self.base}/v1", api_key=self.key, check_embedding_ctx_length=False
        )
        vectors = maker.embed_documents(["a cat", "a fish", "a cat"])
        return {"count": len(vectors), "same": vectors[0] == vectors[2], "sizes": sorted({len(one) for one in vectors})}

    # ── Semantic Kernel ──

    def _kernel(self) -> Any:
        from openai import AsyncOpenAI
        from semantic_kernel.connectors.ai.open_ai import OpenAIChatCompletion

        client = AsyncOpenAI(base_url=f"{self.base}/v1", api_key=self.key, max_retries=0)
        return OpenAIChatCompletion(ai_model_id=self.model, async_client=client)

    def kernel_chat(self) -> Any:
        from semantic_kernel.connectors.ai.open_ai import OpenAIChatPromptExecutionSettings
        from semantic_kernel.contents import ChatHistory

        history = ChatHistory(system_message="Be brief.")
        history.add_user_message(QUESTION)
        settings = OpenAIChatPromptExecutionSettings(max_tokens=50, temperature=0.0)
        return {"text": str(asyncio.run(self._kernel().get_chat_message_content(history, settings)))}

    def kernel_stream(self) -> Any:
        from semantic_kernel.connectors.ai.open_ai import OpenAIChatPromptExecutionSettings
        from semantic_kernel.contents import ChatHistory

        history = ChatHistory()
        history.add_user_message(QUESTION)

        async def ask() -> list[str]:
            settings = OpenAIChatPromptExecutionSettings(max_tokens=50)
            return [str(piece) async for piece in self._kernel().get_streaming_chat_message_content(history, settings)]

        pieces = asyncio.run(ask())
        return {"text": "".join(pieces), "pieces": sum(bool(piece) for piece in pieces)}

    def kernel_function(self) -> Any:
        """A plugin whose function the model must call: `required`, not invoked by the kernel itself."""
        from semantic_kernel import Kernel
        from semantic_kernel.connectors.ai import FunctionChoiceBehavior
        from semantic_kernel.connectors.ai.open_ai import OpenAIChatPromptExecutionSettings
        from semantic_kernel.contents import ChatHistory, FunctionCallContent
        from semantic_kernel.functions import kernel_function

        class Studio:
            @kernel_function(name="make_picture", description="Draws a picture.")
            def make_picture(self, prompt: Annotated[str, "What to draw"]) -> str:
                return prompt

        kernel = Kernel()
        kernel.add_plugin(Studio(), plugin_name="studio")
        history = ChatHistory()
        history.add_user_message("Draw a red dragon")
        settings = OpenAIChatPromptExecutionSettings(
            max_tokens=120, function_choice_behavior=FunctionChoiceBehavior.Required(auto_invoke=False)
        )
        made = asyncio.run(self._kernel().get_chat_message_content(history, settings, kernel=kernel))
        calls = [item for item in made.items if isinstance(item, FunctionCallContent)]
        return {"name": calls[0].name, "arguments": sorted(json.loads(calls[0].arguments))}


def main() -> None:
    *where, name = sys.argv[1:]
    calls = Calls(*where)
    chosen = [one for one in dir(Calls) if one.startswith(name)]
    found: dict[str, Any] = {}
    for one in chosen:
        call: Callable[[], Any] = getattr(calls, one)
        try:
            found[one] = call()
        except Exception as error:  # noqa: BLE001 - told to the test, which knows what was to come
            found[one] = {"failed": f"{type(error).__name__}: {error}"[:2000]}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
