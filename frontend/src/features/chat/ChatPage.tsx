import { Box, Button, Drawer, Skeleton, useMediaQuery } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useCallback, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";

import { asProblem } from "@/api/errors";
import { connection } from "@/api/live";
import { queries } from "@/api/queries";
import type { ModelOut } from "@/api/types";
import { answering, answers, usable } from "@/lib/answering";
import { useSignal } from "@/lib/signal";
import { EmptyState } from "@/ui/EmptyState";
import { ErrorNote } from "@/ui/ErrorNote";
import { visuallyHidden } from "@/ui/StatusMark";

import { useChange, useSay, useStopAll } from "./actions";
import { Announcer } from "./Announcer";
import { AskPart } from "./AskPart";
import { Beginning } from "./Beginning";
import { ChatHead } from "./ChatHead";
import { ConversationList } from "./ConversationList";
import { attachOfGallery, draftOf, edit, setup, write } from "./drafts";
import { DropPictures } from "./DropPictures";
import { FindBar } from "./FindBar";
import { loadMarkdown } from "./Markdown";
import { choose } from "./models";
import { SettingsDrawer } from "./SettingsDrawer";
import { Thread } from "./Thread";
import { branchOf } from "./tree";
import { useFind } from "./useFind";
import { useFollowEnd } from "./useFollowEnd";
import { useSettings } from "./useSettings";

const BESIDE = "(min-width: 1080px)";
const NONE: ModelOut[] = [];
const WIDE = `@media ${BESIDE}`;

export function ChatPage() {
  const { t } = useTranslation();
  const { id } = useParams({ strict: false });
  const go = useNavigate();
  const models = useQuery({ ...queries.models(), select: answering });
  const found = useQuery({ ...queries.conversation(id ?? ""), enabled: id !== undefined, retry: false });
  const conversation = (id !== undefined && found.data) || null;
  const other = useQuery({ ...queries.conversation(conversation?.beside ?? ""), enabled: !!conversation?.beside });
  const beside = (conversation?.beside && other.data) || null;
  const fresh = useSignal(setup);
  const model = choose(models.data ?? [], conversation ? conversation.model : fresh.model);
  const draft = draftOf(id ?? null);
  const say = useSay(conversation, beside, model?.key);
  const { away, toEnd, content } = useFollowEnd(id);
  const settings = useSettings(conversation, beside);
  const { finding, found: words, open: find } = useFind(conversation, beside);
  const [open, setOpen] = useState<"list" | "settings" | null>(null);
  const listBeside = useMediaQuery(BESIDE);
  const input = useRef<HTMLTextAreaElement>(null);
  const offline = useSignal(connection) === "offline";
  const growing = [conversation, beside].flatMap((each) => (each ? branchOf(each.messages, each.head_id).filter((message) => message.state === "growing").map((message) => ({ in: each.id, message: message.id })) : []));
  const stop = useStopAll();
  const change = useChange();
  const any = models.data?.some(answers) ?? true;
  const second = models.data?.find((one) => one.key === (conversation ? beside?.model : fresh.beside));
  const back = useCallback(() => {
    if (window.matchMedia("(pointer: fine)").matches) input.current?.focus({ preventScroll: true });
  }, []);
  const stopNow = () => {
    stop(growing);
    back();
  };
  const dropOldest = () => settings.set({ parameters: { ...settings.shown.parameters, drop_oldest: true } });
  const goToEnd = () => {
    toEnd();
    back();
  };
  useEscape(growing.length > 0, stopNow);
  useStartFromAddress(input);
  useEffect(loadMarkdown, []);
  useEffect(() => {
    if (conversation) toEnd();
    // Once it is there, and whenever another is opened.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [conversation?.id, toEnd]);
  useEffect(back, [id, back]);

  const send = () => {
    say.mutate({ content: draft.get().text.trim(), draft });
    toEnd();
  };
  const editLast = () => {
    const last = conversation && branchOf(conversation.messages, conversation.head_id).findLast((message) => message.role === "user");
    if (!last) return;
    toEnd();
    edit(last.id, last.content);
  };
  const ask = (key: string) => (conversation ? change.mutate({ id: conversation.id, change: { model: key } }) : setup.set((now) => ({ ...now, model: key })));
  const missing = found.isError && !found.data ? asProblem(found.error) : null;
  const blocked = offline ? t("chat.offline") : models.data && !model ? t("chat.noModel") : model && !usable(model) ? t("chat.modelAway", { model: model.name }) : null;
  const list = <ConversationList chosen={id} onOpen={() => setOpen(null)} />;
  return (
    <Box sx={{ display: "grid", gridTemplateColumns: "minmax(0, 1fr)", [WIDE]: { gridTemplateColumns: "264px minmax(0, 1fr)", gap: 8 }, mt: -4, mb: -12, alignItems: "start" }}>
      <Box component="h1" sx={visuallyHidden}>{t("nav.chat")}</Box>
      {listBeside && <Box component="aside" aria-label={t("chat.conversations")} sx={{ position: "sticky", top: 64, pt: 1, height: "calc(100dvh - 64px)" }}>{list}</Box>}
      {!listBeside && open === "list" && (
        <Drawer open onClose={() => setOpen(null)} slotProps={{ paper: { "aria-label": t("chat.conversations"), role: "dialog", sx: { width: 320, maxWidth: "88vw", p: 4 } } }}>{list}</Drawer>
      )}
      <Box sx={{ display: "flex", flexDirection: "column", minWidth: 0, minHeight: { xs: "calc(100dvh - 56px - 60px)", md: "calc(100dvh - 56px)" } }}>
        <ChatHead conversation={conversation} beside={beside} models={models.data} onList={() => setOpen("list")} onSettings={() => setOpen("settings")} onFind={find}>
          {finding && <FindBar finding={finding} onLeave={back} />}
        </ChatHead>
        <Box ref={content} sx={{ flex: 1, display: "flex", flexDirection: "column", width: 1, maxWidth: beside ? 1240 : "72ch", fontSize: 16, mx: "auto", pt: 4, pb: 8 }}>
          {id === undefined && !models.isPending && <Box sx={{ my: "auto" }}><Beginning any={any} onExample={(words) => { write(draft, words); input.current?.focus(); }} /></Box>}
          {id !== undefined && found.isPending && [120, 260, 180].map((height) => <Skeleton key={height} variant="rectangular" height={height} sx={{ mb: 6 }} />)}
          {missing && (missing.status === 404 ? <EmptyState title={t("chat.missingTitle")} text={t("chat.missingText")}><Button variant="contained" onClick={() => void go({ to: "/chat" })}>{t("chat.new")}</Button></EmptyState> : <ErrorNote title={t("chat.loadFailed")} error={missing} details={missing.details} onRetry={() => void found.refetch()} />)}
          {models.isError && !models.data && <ErrorNote title={t("generate.modelsFailed")} error={asProblem(models.error)} onRetry={() => void models.refetch()} />}
          {conversation && <Thread key={conversation.id} conversation={conversation} beside={beside} models={models.data ?? NONE} found={words} onLeave={back} />}
        </Box>
        {!missing && (
          <Box sx={{ position: "sticky", bottom: { xs: "calc(60px + env(safe-area-inset-bottom))", md: 0 }, zIndex: 4, width: 1, maxWidth: beside ? 880 : "76ch", fontSize: 16, mx: "auto", pb: { xs: 2, md: 4 }, background: "linear-gradient(to top, var(--a-palette-background-default) 78%, transparent)" }}>
            <AskPart conversation={conversation} opening={id !== undefined && !conversation} beside={beside} asked={[model, second].filter((one) => one !== undefined)} models={models.data ?? NONE} draft={draft} inputRef={input} say={say} onDropOldest={dropOldest} growing={growing.length > 0} blocked={blocked} away={away} onToEnd={goToEnd} onSend={send} onStop={stopNow} onEditLast={editLast} onModel={ask} />
          </Box>
        )}
      </Box>
      <DropPictures draft={draft} />
      <Announcer conversations={[conversation, beside]} models={models.data ?? NONE} />
      {open === "settings" && <SettingsDrawer shown={settings.shown} onChange={settings.set} onClose={() => setOpen(null)} />}
    </Box>
  );
}

/** Escape stops what grows, wherever the focus is; menus, drawers and fields that take it for themselves come first. */
function useEscape(active: boolean, stop: () => void) {
  const latest = useRef(stop);
  useEffect(() => {
    latest.current = stop;
  });
  useEffect(() => {
    if (!active) return;
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("[role=dialog], [role=menu]")) return;
      event.preventDefault();
      latest.current();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [active]);
}

/** `?picture=`, `?prompt=` and `?model=` are taken over once and leave the address. */
function useStartFromAddress(input: React.RefObject<HTMLTextAreaElement | null>) {
  const { t } = useTranslation();
  const search = useSearch({ strict: false }) as { picture?: string; prompt?: string; model?: string };
  const go = useNavigate();
  useEffect(() => {
    if (!search.picture && !search.prompt && !search.model) return;
    const { model } = search;
    if (model) setup.set((now) => ({ ...now, model }));
    const draft = draftOf(null);
    if (search.picture) {
      void attachOfGallery(draft, search.picture);
      if (!draft.get().text.trim()) write(draft, t("chat.describe"));
    }
    if (search.prompt) write(draft, search.prompt);
    void go({ to: "/chat", search: {}, replace: true });
    input.current?.focus();
  }, [search, go, input, t]);
}
