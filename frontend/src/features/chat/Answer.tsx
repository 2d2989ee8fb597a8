import { Box, Button, ButtonBase, Collapse, IconButton, Tooltip, Typography } from "@mui/material";
import { Brain, ChevronDown, ImagePlus, RotateCcw } from "lucide-react";
import { useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";

import type { AnswerWaitOut, MessageOut, ModelOut } from "@/api/types";
import { useSaid } from "@/i18n/said";
import { copyText } from "@/lib/browser";
import { decimal, duration } from "@/lib/numbers";
import { toast } from "@/lib/toast";
import { CopyButton } from "@/ui/CopyButton";
import { ErrorNote } from "@/ui/ErrorNote";
import { useNow } from "@/ui/useNow";

import { BranchSwitch } from "./BranchSwitch";
import { Markdown } from "./Markdown";
import { ToolCall } from "./ToolCall";
import { useAnswer } from "./useAnswer";

interface Props {
  conversation: string;
  message: MessageOut;
  siblings: readonly MessageOut[];
  model: ModelOut | undefined;
  busy: boolean;
  onBranch: (id: string) => void;
  onAgain: () => void;
  onPicture: (text: string) => void;
  onToolResult: (call: string, result: string) => void;
  /** Answers once more without the oldest messages: where the context was full. */
  onShorten: () => void;
  results: ReadonlyMap<string, string>;
}

/** What a model answers: its reasoning folded, then its words, what it calls, what went wrong, a few figures. */
export function Answer({ conversation, message: kept, siblings, model, busy, onBranch, onAgain, onPicture, onToolResult, onShorten, results }: Props) {
  const { t } = useTranslation();
  const { message, waiting } = useAnswer(conversation, kept);
  const growing = message.state === "growing";
  const reasoning = message.reasoning ?? "";
  const said = message.content !== "" || (message.tool_calls ?? []).length > 0;
  return (
    <Box component="article" aria-label={t("chat.answerOf", { model: model?.name ?? message.model ?? "" })} aria-busy={growing} data-message={message.id} data-state={message.state} sx={{ minWidth: 0 }}>
      {reasoning && <Reasoning text={reasoning} growing={growing && !said} seconds={message.timing?.thought ?? null} />}
      {growing && !said && !reasoning && <Waiting waiting={waiting} since={message.created_at} />}
      {message.content && <div data-words><Markdown text={message.content} growing={growing} /></div>}
      {(message.tool_calls ?? []).map((call) => <ToolCall key={call.id} call={call} growing={growing} result={results.get(call.id)} onResult={(result) => onToolResult(call.id, result)} onPicture={onPicture} />)}
      {message.state === "failed" && message.error && (
        <Box sx={{ mt: 3 }}><ErrorNote title={t("chat.answerFailed")} error={message.error} details={`${message.error.code}: ${message.error.message}\n${message.id}`} onRetry={onAgain} retrying={busy}>{message.error.code === "context_length_exceeded" && <Button size="small" variant="outlined" color="inherit" disabled={busy} onClick={onShorten}>{t("chat.dropOldestNow")}</Button>}</ErrorNote></Box>
      )}
      {(message.state === "stopped" || message.state === "interrupted") && <Typography variant="body2" sx={{ color: "text.faint", mt: said ? 2 : 0 }}>{t(`chat.states.${message.state}`)}</Typography>}
      {!growing && (
        <Box sx={{ display: "flex", flexWrap: "wrap", alignItems: "center", gap: "2px", mt: 2, ml: -2, minHeight: 32 }}>
          <BranchSwitch message={kept} siblings={siblings} onBranch={onBranch} disabled={busy} />
          {message.content && <CopyAction text={message.content} />}
          <Tool label={t("chat.again")} onClick={onAgain} disabled={busy}><RotateCcw size={15} /></Tool>
          {message.content && <Tool label={t("chat.makePicture")} onClick={() => onPicture(message.content)}><ImagePlus size={16} /></Tool>}
          <Figures message={message} />
        </Box>
      )}
    </Box>
  );
}

export function Tool({ label, onClick, disabled, children }: { label: string; onClick: () => void; disabled?: boolean; children: ReactNode }) {
  return (
    <Tooltip title={label}>
      <span><IconButton size="small" aria-label={label} onClick={onClick} disabled={disabled} sx={{ color: "text.faint" }}>{children}</IconButton></span>
    </Tooltip>
  );
}

export function CopyAction({ text }: { text: string }) {
  const { t } = useTranslation();
  return <Box sx={{ "& button": { color: "text.faint" }, display: "inline-flex" }}><CopyButton text={text} name={t("common.copy")} /></Box>;
}

/** Quiet numbers of an answer. */
function Figures({ message }: { message: MessageOut }) {
  const { t, i18n } = useTranslation();
  const { timing, usage } = message;
  const words = [
    message.model,
    typeof timing?.tokens_per_second === "number" && t("chat.rate", { rate: decimal(timing.tokens_per_second, timing.tokens_per_second < 10 ? 1 : 0, i18n.language) }),
    typeof timing?.first_token === "number" && t("chat.firstToken", { time: seconds(timing.first_token, i18n.language) }),
    typeof timing?.waited === "number" && t("chat.loadedIn", { time: seconds(timing.waited, i18n.language) }),
    usage && t("chat.tokens", { count: usage.completion_tokens }),
    message.finish_reason === "length" && t("chat.cutOff"),
    usage?.left_out ? t("chat.leftOut", { count: usage.left_out }) : null,
    usage?.pictures_left_out ? t("chat.picturesLeftOut", { count: usage.pictures_left_out }) : null,
  ].filter(Boolean);
  return <Typography variant="mono" data-figures sx={{ color: "text.faint", ml: 2, minWidth: 0 }}>{words.map((word) => String(word).replaceAll(" ", "\u00a0")).join(" · ")}</Typography>;
}

const seconds = (value: number, locale: string) => (value < 10 ? `${decimal(value, value < 1 ? 2 : 1, locale)} s` : duration(value));

function Waiting({ waiting, since }: { waiting: AnswerWaitOut | null; since: string }) {
  const { t } = useTranslation();
  const said = useSaid();
  const now = useNow(1000);
  const passed = Math.max(0, (now - Date.parse(since)) / 1000);
  return (
    <Box sx={{ display: "flex", alignItems: "center", gap: 3, minHeight: 32, color: "text.secondary", fontSize: 14 }}>
      <Box aria-hidden sx={{ width: 8, height: 8, flexShrink: 0, borderRadius: "50%", bgcolor: "primary.main", animation: "chat-breathe 1.4s ease-in-out infinite", "@keyframes chat-breathe": { "50%": { opacity: 0.25, scale: 0.7 } } }} />
      {waiting ? [said(waiting).text.replace(/\.$/, ""), waiting.seconds ? t("chat.waitsAbout", { time: duration(waiting.seconds) }) : passed > 3 && t("chat.waitsSince", { time: duration(passed) })].filter(Boolean).join(" · ") : passed > 3 ? t("chat.begins", { time: duration(passed) }) : t("chat.beginsSoon")}
    </Box>
  );
}

function Reasoning({ text, growing, seconds }: { text: string; growing: boolean; seconds: number | null }) {
  const { t } = useTranslation();
  const [open, setOpen] = useState(false);
  return (
    <Box sx={{ mb: 3, border: 1, borderColor: "divider", borderRadius: "10px", overflow: "hidden" }}>
      <ButtonBase aria-expanded={open} onClick={() => setOpen(!open)} sx={{ width: 1, minHeight: 38, px: 3, gap: 2, justifyContent: "flex-start", fontFamily: "inherit", fontSize: 13, fontWeight: 550, color: "text.secondary", "&:hover": { bgcolor: "action.hover" } }}>
        <Brain size={15} aria-hidden />
        {growing ? t("chat.thinking") : seconds !== null ? t("chat.thought", { time: duration(Math.max(1, seconds)) }) : t("chat.reasoning")}
        <Box component={ChevronDown} size={16} aria-hidden sx={{ ml: "auto", rotate: open ? "180deg" : 0, transition: "rotate 140ms ease-out" }} />
      </ButtonBase>
      <Collapse in={open} unmountOnExit>
        <Box sx={{ px: 4, pb: 3, fontSize: 14, lineHeight: 1.6, color: "text.secondary", whiteSpace: "pre-wrap", overflowWrap: "anywhere" }}>{text.trim()}</Box>
      </Collapse>
    </Box>
  );
}

export async function copyAndSay(text: string, words: string): Promise<void> {
  if (await copyText(text)) toast(words);
}
