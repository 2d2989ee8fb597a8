import { Box } from "@mui/material";
import { useNavigate } from "@tanstack/react-router";
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { memo, useEffect, useLayoutEffect, useMemo, useRef, useState, type RefObject } from "react";

import { useComplain } from "@/api/actions";
import type { ConversationDetailOut, MessageOut, ModelOut } from "@/api/types";

import { useAgain, useChange, useSay, type Said } from "./actions";
import { Answer } from "./Answer";
import { edit } from "./drafts";
import { Question } from "./Question";
import { branchOf, endOf, siblingsOf, turnsOf, type Turn } from "./tree";
import { useFoundMarks, type Found } from "./useFoundMarks";

/** A conversation that is longer when it is opened has only those turns in the page that are near the window. */
const MOST_AT_ONCE = 60;
const GAP = 24;
/** Frames in which a turn that is sought is kept in the page. */
const MOST_TRIES = 30;

interface Props { conversation: ConversationDetailOut; beside: ConversationDetailOut | null; models: readonly ModelOut[]; found: Found | null; onLeave: () => void }

/** The branch that is looked at; of two conversations side by side, each in its column, what both were asked across. */
export const Thread = memo(function Thread({ conversation, beside, models, found, onLeave }: Props) {
  const root = useRef<HTMLDivElement>(null);
  useFoundMarks(root, found);
  const left = useSide(conversation);
  const right = useSide(beside);
  const turns: Turn<MessageOut>[] = useMemo(() => (right ? turnsOf(left.branch.shown, right.branch.shown) : left.branch.shown.map((message) => ({ left: message, right: null }))), [left.branch, right]);
  const [long] = useState(turns.length > MOST_AT_ONCE);
  const one = (turn: Turn<MessageOut>) => <TurnRow turn={turn} left={left} right={right} models={models} onLeave={onLeave} />;
  if (long) return <Windowed root={root} turns={turns} wanted={found?.place?.turn}>{one}</Windowed>;
  return <Box ref={root} sx={{ display: "grid", gap: `${GAP}px`, gridTemplateColumns: "minmax(0, 1fr)" }}>{turns.map((turn, at) => <div key={keyOf(turn, at)}>{one(turn)}</div>)}</Box>;
});

const keyOf = (turn: Turn<MessageOut>, at: number) => ("both" in turn ? turn.both[0].id : (turn.left?.id ?? turn.right?.id ?? at));

const guesses = new WeakMap<Turn<MessageOut>, number>();

/** About how high a turn will be, in pixels: a good guess keeps the scroll bar still. Asked for all of them whenever the height of one is learnt. */
function guess(turn: Turn<MessageOut> | undefined): number {
  if (!turn) return 60;
  const before = guesses.get(turn);
  if (before !== undefined) return before;
  const messages = "both" in turn ? [turn.both[0]] : [turn.left, turn.right];
  const height = Math.max(...messages.map((message) => (message ? 64 + 27 * message.content.split("\n").reduce((sum, line) => sum + Math.ceil((line.length + 1) / 74), 0) + (message.pictures?.length ? 152 : 0) : 0)), 60);
  guesses.set(turn, height);
  return height;
}

interface WindowedProps { root: RefObject<HTMLDivElement | null>; turns: readonly Turn<MessageOut>[]; /** Is brought into the page. */ wanted: number | undefined; children: (turn: Turn<MessageOut>) => React.ReactNode }

function Windowed({ root, turns, wanted, children }: WindowedProps) {
  const top = useTop(root);
  const virtual = useWindowVirtualizer({
    count: turns.length,
    estimateSize: (index) => guess(turns[index]),
    overscan: 4,
    gap: GAP,
    scrollMargin: top,
    getItemKey: (index) => keyOf(turns[index] as Turn<MessageOut>, index),
  });
  useEffect(() => {
    if (wanted === undefined) return;
    let frame = 0;
    let tries = 0;
    // What is measured on the way, or scrolls meanwhile, may take it out of the page again. To one that is there, no scroll.
    const seek = () => {
      if (!root.current?.querySelector(`[data-index="${wanted}"]`)) virtual.scrollToIndex(wanted, { align: "center" });
      if (++tries < MOST_TRIES) frame = requestAnimationFrame(seek);
    };
    seek();
    return () => cancelAnimationFrame(frame);
  }, [wanted, virtual, root]);
  const shown = virtual.getVirtualItems();
  const [first, last] = [shown[0], shown.at(-1)];
  return (
    <Box ref={root} data-windowed style={{ paddingTop: first ? first.start - top : 0, paddingBottom: last ? virtual.getTotalSize() - (last.end - top) : 0 }} sx={{ display: "grid", gap: `${GAP}px`, gridTemplateColumns: "minmax(0, 1fr)", overflowAnchor: "none" }}>
      {shown.map(({ key, index }) => <div key={key} data-index={index} ref={virtual.measureElement}>{children(turns[index] as Turn<MessageOut>)}</div>)}
    </Box>
  );
}

/** How far below the top of the page an element begins. */
function useTop(element: RefObject<HTMLElement | null>): number {
  const [top, setTop] = useState(0);
  useLayoutEffect(() => {
    const measure = () => setTop(Math.round((element.current?.getBoundingClientRect().top ?? 0) + window.scrollY));
    const observer = new ResizeObserver(measure);
    observer.observe(document.body);
    return () => observer.disconnect();
  }, [element]);
  return top;
}

interface Side { conversation: ConversationDetailOut; branch: Branch }
interface RowProps { turn: Turn<MessageOut>; left: Side; right: Side | null; models: readonly ModelOut[]; onLeave: () => void }

/** Drawn again when what it shows has changed, not whenever the window moves. */
const TurnRow = memo(function TurnRow({ turn, left, right, models, onLeave }: RowProps) {
  const one = (side: Side, message: MessageOut, pair?: Pair) => <Message key={message.id} {...side} message={message} pair={pair} models={models} onLeave={onLeave} />;
  if ("both" in turn) return one(left, turn.both[0], right ? { conversation: right.conversation, message: turn.both[1], busy: right.branch.busy } : undefined);
  if (!right) return turn.left && one(left, turn.left);
  return (
    <Box sx={{ display: "grid", columnGap: 8, rowGap: 6, gridTemplateColumns: { xs: "minmax(0, 1fr)", md: "repeat(2, minmax(0, 1fr))" } }}>
      <Box data-side="left" sx={{ minWidth: 0, gridColumn: { md: 1 } }}>{turn.left && one(left, turn.left)}</Box>
      <Box data-side="right" sx={{ minWidth: 0, gridColumn: { md: 2 }, borderLeft: { md: 1 }, borderTop: { xs: turn.right ? 1 : 0, md: 0 }, borderColor: { xs: "divider", md: "divider" }, pl: { md: 8 }, ml: { md: -4 }, pt: { xs: turn.right ? 4 : 0, md: 0 } }}>{turn.right && one(right, turn.right)}</Box>
    </Box>
  );
});

interface Branch { shown: MessageOut[]; results: ReadonlyMap<string, string>; busy: boolean }

function useSide<T extends ConversationDetailOut | null>(conversation: T): T extends null ? null : Side;
function useSide(conversation: ConversationDetailOut | null): Side | null {
  const branch = useMemo(() => {
    const branch = branchOf(conversation?.messages ?? [], conversation?.head_id ?? null);
    const results = new Map(branch.flatMap((message) => (message.role === "tool" && message.tool_call_id ? [[message.tool_call_id, message.content] as const] : [])));
    // What a function answered stands in the card of its call.
    return { shown: branch.filter((message) => message.role !== "tool"), results, busy: branch.some((message) => message.state === "growing") };
  }, [conversation?.messages, conversation?.head_id]);
  return useMemo(() => conversation && { conversation, branch }, [conversation, branch]);
}

const PROMPT_LETTERS = 2000;

/** The same question in the conversation beside. */
interface Pair { conversation: ConversationDetailOut; message: MessageOut; busy: boolean }

interface MessageProps extends Side { message: MessageOut; pair?: Pair; models: readonly ModelOut[]; onLeave: () => void }

const placeOf = (message: MessageOut) => (message.parent_id === null ? { at_start: true } : { parent_id: message.parent_id });

function Message({ conversation, branch, message, pair, models, onLeave }: MessageProps) {
  const go = useNavigate();
  const change = useChange();
  const again = useAgain(conversation.id);
  const say = useSay(conversation, null, undefined);
  const siblings = siblingsOf(conversation.messages, message).filter((one) => one.role === message.role);
  const onBranch = (id: string) => {
    change.mutate({ id: conversation.id, change: { head_id: endOf(conversation.messages, id) } });
    const wanted = conversation.messages.find((one) => one.id === id);
    // What was asked of both is shown of both.
    const other = pair && siblingsOf(pair.conversation.messages, pair.message).find((one) => one.role === wanted?.role && one.content === wanted.content);
    if (pair && other) change.mutate({ id: pair.conversation.id, change: { head_id: endOf(pair.conversation.messages, other.id) } });
  };
  const onPicture = (text: string) => void go({ to: "/", search: { prompt: [...text.replace(/\s+/g, " ").trim()].slice(0, PROMPT_LETTERS).join(""), chat: conversation.id } });
  const complain = useComplain();
  // What is not accepted is told here, and not lost: the composer has no part in it.
  const send = (said: Said, refused?: () => void) => say.mutate(said, { onError: (error) => { complain(error); refused?.(); } });
  const askAgain = () => again.mutate({ message: message.id, model: conversation.model ?? undefined });
  if (message.role === "user") {
    const both = pair ? { pair: { id: pair.conversation.id, ...placeOf(pair.message) } } : {};
    return <Question message={message} siblings={siblings} busy={branch.busy || say.isPending || (pair?.busy ?? false)} onBranch={onBranch} onPicture={onPicture} onLeave={onLeave} onEdit={(content) => send({ content, pictures: message.pictures, ...placeOf(message), ...both }, () => edit(message.id, content))} />;
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
      onAgain={askAgain}
      onShorten={() => change.mutate({ id: conversation.id, change: { parameters: { ...conversation.parameters, drop_oldest: true } } }, { onSuccess: askAgain })}
      onPicture={onPicture}
      onToolResult={(call, content) => send({ role: "tool", tool_call_id: call, content, parent_id: branch.shown.at(-1)?.id === message.id ? message.id : undefined })}
    />
  );
}
