"""Conversations over the API: what is said is safe, answers grow by themselves, branches, trash, files, presets."""

from __future__ import annotations

import json
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from atelier.chat.conversations import new_message as message_row
from atelier.chat.fitting import newest, newest_pictures, pictures_left_out, shorter
from atelier.tables import MessageRow
from chat_models import add_chat_model
from serving import Server
from tests.server.test_accounts import PASSWORD, TOKEN, sign_in
from tests.server.test_inputs import picture, upload

SLOW = "fake:tokens=40 fake:delay_ms=100"
TOOL = {"type": "function", "function": {"name": "make_picture", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("conversations")
    with Server(folder / "data") as server:
        add_chat_model(server, folder)
        add_chat_model(server, folder, "other")
        add_chat_model(server, folder, "small", max_position_embeddings=128)
        yield server


def begin(server: Server, content: str = "Hello", model: str = "echo", **more: Any) -> dict[str, Any]:
    message = {"content": content, **more.pop("said", {})}
    answer = server.client.post("/api/chat/conversations", json={"model": model, "message": message, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


def say(server: Server, conversation: str, content: str = "And?", **more: Any) -> Any:
    return server.client.post(f"/api/chat/conversations/{conversation}/messages", json={"content": content, **more})


def read(server: Server, conversation: str) -> dict[str, Any]:
    return server.client.get(f"/api/chat/conversations/{conversation}").json()


def ended(server: Server, conversation: str, message: str, seconds: float = 20.0) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = server.client.get(f"/api/chat/conversations/{conversation}/messages/{message}").json()
        if found["state"] != "growing":
            return found
        time.sleep(0.03)
    raise AssertionError(f"the answer still grows: {found}")


def grows(server: Server, conversation: str, message: str) -> str:
    """What there is of an answer, once there is something."""
    for _ in range(200):
        found = server.client.get(f"/api/chat/conversations/{conversation}/messages/{message}").json()
        if found["content"]:
            assert found["state"] == "growing", found
            return found["content"]
        time.sleep(0.03)
    raise AssertionError("nothing came")


def followed(server: Server, conversation: str, message: str) -> list[dict[str, Any]]:
    with server.client.stream("GET", f"/api/chat/conversations/{conversation}/messages/{message}/stream") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        return [json.loads(line[5:]) for line in stream.iter_lines() if line.startswith("data:")]


class TestSaying:
    def test_both_are_there_at_once_and_the_answer_comes(self, chat: Server) -> None:
        made = begin(chat, "Name a red dragon with wings and a long tail, and tell me where it lives in the winter")
        question, answer = made["messages"]
        assert (question["role"], question["state"], answer["state"]) == ("user", "complete", "growing")
        assert made["title"].startswith("Name a red dragon") and made["title"].endswith("…") and len(made["title"]) < 62
        assert made["head_id"] == answer["id"] and answer["parent_id"] == question["id"]
        done = ended(chat, made["id"], answer["id"])
        assert done["state"] == "complete" and done["content"] and done["finish_reason"] == "stop"
        assert done["usage"]["completion_tokens"] == 8 and done["timing"]["total"] > 0
        # All of it may come at once: its pace is that of the whole answer then, and no fabulous figure.
        assert 0 < done["timing"]["tokens_per_second"] <= 8 / 0.001
        assert read(chat, made["id"])["messages"][-1] == done

    def test_the_stream_adds_up_to_what_is_kept(self, chat: Server) -> None:
        made = begin(chat, "fake:tokens=12 fake:delay_ms=20 fake:reasoning=4 please")
        first, *frames = followed(chat, made["id"], made["messages"][-1]["id"])
        assert first["type"] == "snapshot" and frames[-1]["type"] == "done"
        kept = frames[-1]["message"]
        for part, name in (("text", "content"), ("reasoning", "reasoning")):
            grown = first["message"][name] + "".join(frame.get(part) or "" for frame in frames[:-1])
            assert grown == kept[name] != ""
        assert kept["timing"]["thought"] is not None
        assert followed(chat, made["id"], kept["id"]) == [{"type": "done", "message": kept}]

    def test_what_was_said_before_is_sent_along(self, chat: Server) -> None:
        made = begin(chat, "one", system_prompt="Be brief.", parameters={"max_tokens": 5, "tools": [TOOL]})
        ended(chat, made["id"], made["messages"][-1]["id"])
        sent = say(chat, made["id"], "two").json()
        done = ended(chat, made["id"], sent["answer"]["id"])
        assert done["usage"]["prompt_tokens"] > made["messages"][0]["content"].count(" ") + 4
        assert [one["role"] for one in read(chat, made["id"])["messages"]] == ["user", "assistant"] * 2

    def test_tools_are_called_and_answered(self, chat: Server) -> None:
        made = begin(chat, "fake:tool=1 draw", parameters={"tools": [TOOL]})
        done = ended(chat, made["id"], made["messages"][-1]["id"])
        assert [call["name"] for call in done["tool_calls"]] == ["make_picture"]
        assert say(chat, made["id"], "done", role="tool").status_code == 422
        sent = say(chat, made["id"], "done", role="tool", tool_call_id=done["tool_calls"][0]["id"])
        assert ended(chat, made["id"], sent.json()["answer"]["id"])["state"] == "complete"

    def test_pictures_are_kept_once_and_sent_as_they_are(self, chat: Server) -> None:
        image = upload(chat, picture((50, 40))).json()["id"]
        made = begin(chat, "what is this?", said={"pictures": [image]})
        done = ended(chat, made["id"], made["messages"][-1]["id"])
        assert made["messages"][0]["pictures"] == [image]
        assert done["state"] == "complete", done["error"]
        none = "inp_" + "0" * 20
        answer = say(chat, made["id"], "and this?", pictures=[none])
        assert answer.status_code == 404 and answer.json()["errors"][0]["field"] == "pictures"
        assert say(chat, made["id"], "x", pictures=[image] * 9).status_code == 422

    def test_of_more_pictures_than_a_model_takes_the_newest_are_sent(self, chat: Server) -> None:
        """The fake engine takes 16, and says how many it sees."""
        image = upload(chat, picture((50, 40))).json()["id"]
        made = begin(chat, "one", said={"pictures": [image] * 8})
        answer = made["messages"][-1]["id"]
        for said in ("two", "three"):
            assert ended(chat, made["id"], answer)["usage"]["pictures_left_out"] == 0
            answer = say(chat, made["id"], said, pictures=[image] * 7).json()["answer"]["id"]
        done = ended(chat, made["id"], answer)
        assert done["state"] == "complete", done["error"]
        assert "I see 16 pictures" in done["content"] and done["usage"]["pictures_left_out"] == 6

    def test_the_last_pictures_are_kept(self) -> None:
        def row(role: str, *pictures: str) -> MessageRow:
            return message_row("cnv_x", None, role, pictures=list(pictures))

        branch = [row("user", "a", "b"), row("assistant"), row("user", "c", "d", "e"), row("assistant"), row("user")]
        first, second = branch[0].id, branch[2].id
        assert newest_pictures(branch, 9) == {first: ["a", "b"], second: ["c", "d", "e"]}
        four = newest_pictures(branch, 4)
        assert four == {first: ["b"], second: ["c", "d", "e"]}
        assert [pictures_left_out(part, four) for part in (branch, branch[2:])] == [1, 0]
        assert newest_pictures(branch, 2) == {second: ["d", "e"]}
        # A model that sees nothing is asked without those of earlier questions, and refuses those of the last.
        assert pictures_left_out(branch, newest_pictures(branch, 0)) == 5
        assert newest_pictures(branch[:3], 0) == {second: ["c", "d", "e"]}

    @pytest.mark.parametrize(
        ("body", "status"),
        [({"content": " "}, 422), ({"content": "x" * 200_001}, 422), ({"content": "x", "parent_id": "msg_no"}, 404)],
    )
    def test_what_is_not_accepted_is_not_kept(self, chat: Server, body: dict[str, Any], status: int) -> None:
        made = begin(chat)
        ended(chat, made["id"], made["messages"][-1]["id"])
        answer = chat.client.post(f"/api/chat/conversations/{made['id']}/messages", json=body)
        assert answer.status_code == status, answer.text
        assert len(read(chat, made["id"])["messages"]) == 2

    def test_without_a_model(self, chat: Server) -> None:
        answer = chat.client.post("/api/chat/conversations", json={"message": {"content": "x"}})
        assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == "model"


class TestFullContext:
    """The fake engine counts words; `small` takes 128 of them."""

    def test_it_is_said_what_helps_and_the_oldest_can_be_left_out(self, chat: Server) -> None:
        made = begin(chat, "one " * 60, "small")
        ended(chat, made["id"], made["messages"][-1]["id"])
        sent = say(chat, made["id"], "two " * 62).json()["answer"]["id"]
        failed = ended(chat, made["id"], sent)
        assert failed["state"] == "failed" and failed["error"]["code"] == "context_length_exceeded"
        assert failed["error"]["said"]["code"] == "conversation.context_full"
        url = f"/api/chat/conversations/{made['id']}"
        assert chat.client.patch(url, json={"parameters": {"drop_oldest": True}}).status_code == 200
        again = chat.client.post(f"{url}/messages/{sent}/again", json={}).json()["answer"]["id"]
        done = ended(chat, made["id"], again)
        assert done["state"] == "complete", done["error"]
        assert done["usage"]["left_out"] == 2 and done["usage"]["prompt_tokens"] == 62
        # One message that is too long by itself stays too long.
        long = say(chat, made["id"], "three " * 140).json()["answer"]["id"]
        assert ended(chat, made["id"], long)["error"]["code"] == "context_length_exceeded"

    def test_what_fits_is_kept_and_begins_with_a_question(self) -> None:
        def row(role: str, letters: int, tokens: int | None = None) -> MessageRow:
            usage = {"prompt_tokens": 9, "completion_tokens": tokens} if tokens else None
            return message_row("cnv_x", None, role, content="x" * letters, usage=usage)

        branch = [row("user", 100), row("assistant", 400, 100), row("tool", 40), row("assistant", 400, 100)]
        branch += [row("user", 100), row("assistant", 400, 100), row("user", 100)]
        # A quarter of a token each letter, as counted; eight for each turn; a quarter of the context for the answer.
        assert newest(branch, 1000, "", None, {}) == branch
        assert newest(branch, 500, "", None, {}) == branch[4:]
        assert newest(branch, 500, "y" * 800, None, {}) == branch[6:]
        assert newest(branch, 150, "", 100, {}) == branch[6:], "the last question goes along, whether it fits or not"
        assert shorter(branch) == branch[4:] and shorter(branch[6:]) is None


class TestEnding:
    def test_nobody_has_to_look(self, chat: Server) -> None:
        made = begin(chat, "fake:tokens=6 fake:delay_ms=50")
        time.sleep(1.5)
        assert read(chat, made["id"])["messages"][-1]["state"] == "complete"

    def test_stopping_keeps_what_is_there(self, chat: Server) -> None:
        made = begin(chat, SLOW)
        answer = made["messages"][-1]["id"]
        some = grows(chat, made["id"], answer)
        waiting = say(chat, made["id"], "too early")
        assert waiting.status_code == 409 and waiting.json()["said"]["code"] == "conversation.still_growing"
        stopped = chat.client.post(f"/api/chat/conversations/{made['id']}/messages/{answer}/stop").json()
        assert stopped["state"] == "stopped" and stopped["content"].startswith(some)
        assert len(stopped["content"].split()) < 30
        assert say(chat, made["id"], "go on").status_code == 201

    def test_stopped_before_it_began(self, chat: Server) -> None:
        made = begin(chat, f"{SLOW} fake:first_delay_ms=5000")
        stop = f"/api/chat/conversations/{made['id']}/messages/{made['messages'][-1]['id']}/stop"
        assert chat.client.post(stop).json()["state"] == "stopped"
        assert chat.client.post(stop).json()["state"] == "stopped"

    @pytest.mark.parametrize("words", ["fake:tokens=9 fake:error_after=3", "fake:tokens=9 fake:break_after=3"])
    def test_an_engine_that_fails_on_the_way(self, chat: Server, words: str) -> None:
        made = begin(chat, words)
        done = ended(chat, made["id"], made["messages"][-1]["id"])
        assert done["state"] == "failed" and done["error"]["message"] and len(done["content"].split()) == 3

    def test_a_refusal_is_told_in_its_place(self, chat: Server) -> None:
        made = begin(chat, "fake:status=400")
        done = ended(chat, made["id"], made["messages"][-1]["id"])
        assert done["state"] == "failed" and "says so" in done["error"]["message"] and done["content"] == ""
        gone = begin(chat, model="nobody")
        error = ended(chat, gone["id"], gone["messages"][-1]["id"])["error"]
        assert error["code"] == "model_not_found"

    def test_a_server_that_is_killed(self, own_server: Any, tmp_path: Path) -> None:
        server: Server = own_server()
        add_chat_model(server, tmp_path)
        made = begin(server, SLOW)
        answer = made["messages"][-1]["id"]
        grows(server, made["id"], answer)
        time.sleep(1.3)  # what there is, is written every second
        server.stop(signal.SIGKILL)
        server.start()
        found = read(server, made["id"])["messages"][-1]
        assert found["state"] == "interrupted" and found["content"] and found["finished_at"]
        again = server.client.post(f"/api/chat/conversations/{made['id']}/messages/{answer}/again", json={})
        assert again.status_code == 201
        stopping = again.json()["answer"]["id"]
        grows(server, made["id"], stopping)
        assert server.stop() == 0
        with sqlite3.connect(server.data_dir / "atelier.db") as rows:
            states = dict(rows.execute("SELECT id, state FROM chat_messages WHERE role = 'assistant'"))
        assert states == {answer: "interrupted", stopping: "interrupted"}


class TestBranches:
    def test_again_stands_beside(self, chat: Server) -> None:
        made = begin(chat)
        question, first = made["messages"]
        ended(chat, made["id"], first["id"])
        again = f"/api/chat/conversations/{made['id']}/messages/{first['id']}/again"
        second = chat.client.post(again, json={"model": "other"}).json()["answer"]
        assert (second["parent_id"], second["model"]) == (question["id"], "other")
        ended(chat, made["id"], second["id"])
        assert read(chat, made["id"])["head_id"] == second["id"]
        back = chat.client.patch(f"/api/chat/conversations/{made['id']}", json={"head_id": first["id"]})
        assert back.json()["head_id"] == first["id"]
        sent = say(chat, made["id"], "on the first").json()
        assert sent["message"]["parent_id"] == first["id"]

    def test_said_differently(self, chat: Server) -> None:
        made = begin(chat, "first")
        ended(chat, made["id"], made["messages"][-1]["id"])
        other = say(chat, made["id"], "instead", at_start=True).json()["message"]
        assert other["parent_id"] is None
        after = say(chat, made["id"], "after it", parent_id=made["messages"][-1]["id"]).json()["message"]
        assert after["parent_id"] == made["messages"][-1]["id"]
        assert len(read(chat, made["id"])["messages"]) == 6

    def test_a_branch_that_is_not_there(self, chat: Server) -> None:
        made = begin(chat)
        answer = chat.client.patch(f"/api/chat/conversations/{made['id']}", json={"head_id": "msg_no"})
        assert answer.status_code == 404

    def test_two_side_by_side(self, chat: Server) -> None:
        made = begin(chat, "same for both")
        ended(chat, made["id"], made["messages"][-1]["id"])
        body = {"model": "other", "beside_of": made["id"]}
        beside = chat.client.post("/api/chat/conversations", json=body).json()
        assert [one["content"] for one in beside["messages"] if one["role"] == "user"] == ["same for both"]
        assert ended(chat, beside["id"], beside["messages"][-1]["id"])["model"] == "other"
        assert read(chat, made["id"])["beside"] == beside["id"]
        listed = [one["id"] for one in chat.client.get("/api/chat/conversations").json()["items"]]
        assert made["id"] in listed and beside["id"] not in listed
        chat.client.patch(f"/api/chat/conversations/{beside['id']}", json={"apart": True})
        listed = [one["id"] for one in chat.client.get("/api/chat/conversations").json()["items"]]
        assert beside["id"] in listed and read(chat, made["id"])["beside"] is None


class TestFinding:
    def test_by_words_of_titles_and_messages(self, chat: Server) -> None:
        made = begin(chat, "a zebracorn", title="About stripes")
        done = ended(chat, made["id"], made["messages"][-1]["id"])

        def found(words: str) -> bool:
            items = chat.client.get("/api/chat/conversations", params={"q": words}).json()["items"]
            return made["id"] in [one["id"] for one in items]

        assert found("zebraco") and found("STRIP zebra") and found(done["content"].split()[0])
        assert found("ut") and not found("zebracorns") and not found('"zebra" OR x')

    def test_by_what_only_the_one_beside_it_says(self, chat: Server) -> None:
        made = begin(chat, "pairs of them")
        ended(chat, made["id"], made["messages"][-1]["id"])
        body = {"model": "other", "beside_of": made["id"]}
        beside = chat.client.post("/api/chat/conversations", json=body).json()
        ended(chat, beside["id"], beside["messages"][-1]["id"])
        say(chat, beside["id"], "fake:say=quetzalcoatlus")
        found = chat.client.get("/api/chat/conversations", params={"q": "quetzalc"}).json()["items"]
        assert [one["id"] for one in found] == [made["id"]]

    def test_by_a_picture(self, chat: Server) -> None:
        image = upload(chat, picture((31, 21))).json()["id"]
        made = begin(chat, "look at this", said={"pictures": [image]})

        def found(ref: str) -> list[str]:
            answer = chat.client.get("/api/chat/conversations", params={"picture": ref})
            return [one["id"] for one in answer.json()["items"]]

        assert found(image) == [made["id"]] and found("inp_" + "0" * 20) == []
        assert chat.client.get("/api/chat/conversations", params={"picture": "%"}).status_code == 422

    def test_pinned_first_then_the_last_spoken_in_page_by_page(self, own_server: Any) -> None:
        server: Server = own_server()
        ids = [server.client.post("/api/chat/conversations", json={"title": f"{at}"}).json()["id"] for at in range(7)]
        server.client.patch(f"/api/chat/conversations/{ids[2]}", json={"pinned": True})
        server.client.patch(f"/api/chat/conversations/{ids[3]}", json={"archived": True})
        seen, cursor = [], None
        while True:
            page = server.client.get(
                "/api/chat/conversations", params={"limit": 2, **({"cursor": cursor} if cursor else {})}
            )
            seen += [one["title"] for one in page.json()["items"]]
            if not (cursor := page.json()["next_cursor"]):
                break
        assert seen == ["2", "6", "5", "4", "1", "0"]
        away = server.client.get("/api/chat/conversations", params={"archived": True}).json()["items"]
        assert [one["title"] for one in away] == ["3"]
        assert server.client.get("/api/chat/conversations", params={"cursor": "x"}).status_code == 422

    def test_deleted_and_taken_back(self, chat: Server) -> None:
        made = begin(chat, SLOW)
        answer = made["messages"][-1]["id"]
        grows(chat, made["id"], answer)
        url = f"/api/chat/conversations/{made['id']}"
        assert chat.client.delete(url).status_code == 200
        assert chat.client.get(url).status_code == 404 and say(chat, made["id"]).status_code == 404
        assert chat.client.post(f"{url}/restore").status_code == 200
        assert read(chat, made["id"])["messages"][-1]["state"] == "stopped"
        assert chat.client.post(f"{url}/restore").status_code == 404

    def test_a_conversation_is_its_owners_alone(self, tmp_path: Path) -> None:
        admin = {"Authorization": f"Bearer {TOKEN}"}
        with Server(tmp_path / "data", ATELIER_TOKEN=TOKEN) as server:
            for name in ("ana", "ben"):
                server.client.post("/api/users", json={"name": name, "password": PASSWORD}, headers=admin)
            ana, ben = ({"Authorization": f"Bearer {sign_in(server, name, PASSWORD)}"} for name in ("ana", "ben"))
            made = server.client.post("/api/chat/conversations", json={"title": "mine"}, headers=ana).json()
            url = f"/api/chat/conversations/{made['id']}"
            assert server.client.get(url, headers=ana).status_code == 200
            for other in (ben, admin):  # an administrator neither
                assert server.client.get(url, headers=other).status_code == 404
                assert server.client.delete(url, headers=other).status_code == 404
                assert server.client.get("/api/chat/conversations", headers=other).json()["items"] == []


class TestFiles:
    def test_there_and_back(self, chat: Server) -> None:
        image = upload(chat, picture((30, 20))).json()["id"]
        made = begin(chat, "look", said={"pictures": [image]}, system_prompt="Be brief.", parameters={"seed": 3})
        first = made["messages"][-1]["id"]
        ended(chat, made["id"], first)
        again = chat.client.post(f"/api/chat/conversations/{made['id']}/messages/{first}/again", json={}).json()
        ended(chat, made["id"], again["answer"]["id"])
        answer = chat.client.get(f"/api/chat/conversations/{made['id']}/export")
        assert 'filename="look.json"' in answer.headers["content-disposition"]
        filed = answer.json()
        assert filed["messages"][0]["pictures"][0].startswith("data:image/png;base64,")
        back = chat.client.post("/api/chat/conversations/import", json=filed)
        assert back.status_code == 201, back.text
        taken, kept = back.json(), read(chat, made["id"])
        assert taken["id"] != kept["id"] and taken["parameters"] == kept["parameters"]
        assert taken["messages"][0]["pictures"] == [image]  # the same picture is kept once
        shapes = [
            [(one["role"], one["content"], ids.index(one["parent_id"]) if one["parent_id"] else None) for one in each]
            for each in (taken["messages"], kept["messages"])
            for ids in ([one["id"] for one in each],)
        ]
        assert shapes[0] == shapes[1]
        assert taken["head_id"] == taken["messages"][-1]["id"]

    def test_markdown_is_the_branch_that_is_looked_at(self, chat: Server) -> None:
        made = begin(chat, "not this")
        ended(chat, made["id"], made["messages"][-1]["id"])
        sent = say(chat, made["id"], "but this", at_start=True).json()
        done = ended(chat, made["id"], sent["answer"]["id"])
        url = f"/api/chat/conversations/{made['id']}/export"
        text = chat.client.get(url, params={"format": "markdown"}).text
        assert text == f"# not this\n\n## You\n\nbut this\n\n## echo\n\n{done['content']}\n"

    @pytest.mark.parametrize(
        "change",
        [
            {"format": "other"},
            {"messages": [{"id": "a", "parent_id": "b", "role": "user", "created_at": "2026-01-01T00:00:00Z"}]},
            {"messages": [{"id": "a", "role": "user", "pictures": ["x"], "created_at": "2026-01-01T00:00:00Z"}]},
            {"messages": [{"id": "a", "role": "system", "created_at": "2026-01-01T00:00:00Z"}]},
            {"parameters": {"temperature": 9}},
        ],
    )
    def test_files_that_are_none(self, chat: Server, change: dict[str, Any]) -> None:
        filed = {"format": "atelier.conversation", "version": 1, "messages": [], **change}
        assert chat.client.post("/api/chat/conversations/import", json=filed).status_code == 422


class TestPresets:
    def test_kept_by_name(self, chat: Server) -> None:
        wanted = {"name": "Terse", "system_prompt": "One sentence.", "parameters": {"temperature": 0.2}}
        made = chat.client.post("/api/chat/presets", json=wanted).json()
        assert chat.client.post("/api/chat/presets", json=wanted).status_code == 409
        changed = chat.client.put(f"/api/chat/presets/{made['id']}", json={**wanted, "name": "Short"}).json()
        assert [one["name"] for one in chat.client.get("/api/chat/presets").json()["items"]] == ["Short"]
        assert chat.client.delete(f"/api/chat/presets/{made['id']}").json() == changed
        assert chat.client.delete(f"/api/chat/presets/{made['id']}").status_code == 404

    def test_parameters_have_bounds(self, chat: Server) -> None:
        for wrong in ({"temperature": 3}, {"top_p": 0}, {"n": 2}, {"stop": ["a"] * 5}):
            body = {"name": "x", "parameters": wrong}
            assert chat.client.post("/api/chat/presets", json=body).status_code == 422, wrong
