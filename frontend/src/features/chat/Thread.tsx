import { Box } from "@mui/material";
import { useMemo } from "react";

import { useNavigate } from "@tanstack/react-router";

import type { ConversationDetailOut, MessageOut, ModelOut } from "@/api/types";

import { useAgain, useChange, useSay, type Said } from "./actions";
import { Answer } from "./Answer";
import { Question } from "./Question";
import { branchOf, endOf, siblingsOf, turnsOf } from "./tree";

interface Props { conversation: ConversationDetailOut; beside: ConversationDetailOut | null; models: readonly ModelOut[]; onGrown: () => void }

/** The branch that is looked at; of two conversations side by side, each in its column, what both were asked across. */
export function Thread({ conversation, beside, models, onGrown }: Props) {
  const left = useBranch(conversation);
  const right = useBranch(beside);
  const one = (at: ConversationDetailOut, branch: Branch, message: MessageOut) => <Message key={message.id} conversation={at} branch={branch} message={message} models={models} onGrown={onGrown} />;
  if (!beside)
    return <Box sx={{ display: "grid", gap: 6, gridTemplateColumns: "minmax(0, 1fr)" }}>{left.shown.map((message) => one(conversation, left, message))}</Box>;
  return (
    <Box sx={{ display: "grid", columnGap: 8, rowGap: 6, gridTemplateColumns: { xs: "minmax(0, 1fr)", md: "repeat(2, minmax(0, 1fr))" } }}>
      {turnsOf(left.shown, right.shown).map((turn, at) =>
        "both" in turn ? (
          <Box key={at} sx={{ gridColumn: "1 / -1" }}>{one(conversation, left, turn.both[0])}</Box>
        ) : (
          [
            <Box key={`left-${at}`} data-side="left" sx={{ minWidth: 0, gridColumn: { md: 1 } }}>{turn.left && one(conversation, left, turn.left)}</Box>,
            <Box key={`right-${at}`} data-side="right" sx={{ minWidth: 0, gridColumn: { md: 2 }, borderLeft: { md: 1 }, borderTop: { xs: turn.right ? 1 : 0, md: 0 }, borderColor: { xs: "divider", md: "divider" }, pl: { md: 8 }, ml: { md: -4 }, pt: { xs: turn.right ? 4 : 0, md: 0 } }}>{turn.right && one(beside, right, turn.right)}</Box>,
          ]
        ),
      )}
    </Box>
  );
}

interface Branch { shown: MessageOut[]; results: ReadonlyMap<string, string>; busy: boolean }

function useBranch(conversation: ConversationDetailOut | null): Branch {
  return useMemo(() => {
    const branch = branchOf(conversation?.messages ?? [], conversation?.head_id ?? null);
    const results = new Map(branch.flatMap((message) => (message.role === "tool" && message.tool_call_id ? [[message.tool_call_id, message.content] as const] : [])));
    // What a function answered stands in the card of its call.
    return { shown: branch.filter((message) => message.role !== "tool"), results, busy: branch.some((message) => message.state === "growing") };
  }, [conversation?.messages, conversation?.head_id]);
}

const PROMPT_LETTERS = 2000;

interface MessageProps { conversation: ConversationDetailOut; branch: Branch; message: MessageOut; models: readonly ModelOut[]; onGrown: () => void }

function Message({ conversation, branch, message, models, onGrown }: MessageProps) {
  const go = useNavigate();
  const change = useChange();
  const again = useAgain(conversation.id);
  const say = useSay(conversation, null, undefined);
  const siblings = siblingsOf(conversation.messages, message).filter((one) => one.role === message.role);
  const onBranch = (id: string) => change.mutate({ id: conversation.id, change: { head_id: endOf(conversation.messages, id) } });
  const onPicture = (text: string) => void go({ to: "/", search: { prompt: [...text.replace(/\s+/g, " ").trim()].slice(0, PROMPT_LETTERS).join("") } });
  const send = (said: Said) => say.mutate(said);
  if (message.role === "user") {
    const place = message.parent_id === null ? { at_start: true } : { parent_id: message.parent_id };
    return <Question message={message} siblings={siblings} busy={branch.busy || say.isPending} onBranch={onBranch} onPicture={onPicture} onEdit={(content) => send({ content, pictures: message.pictures, ...place })} />;
  }
  return (
    <Answer
      conversation={conversation.id}
      message={message}
      siblings={siblings}
      model={models.find((one) => one.key === message.model)}
      busy={branch.busy || again.isPending}
      results={branch.results}
      onBranch={onBranch}
      onAgain={() => again.mutate({ message: message.id, model: conversation.model ?? undefined })}
      onPicture={onPicture}
      onToolResult={(call, content) => send({ role: "tool", tool_call_id: call, content, parent_id: branch.shown.at(-1)?.id === message.id ? message.id : undefined })}
      onGrown={onGrown}
    />
  );
}
