import { Box, Button, Drawer, Fab, Skeleton, useMediaQuery } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { ArrowDown } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";

import { asProblem } from "@/api/errors";
import { connection } from "@/api/live";
import { queries } from "@/api/queries";
import { useSignal } from "@/lib/signal";
import { EmptyState } from "@/ui/EmptyState";
import { ErrorNote } from "@/ui/ErrorNote";
import { visuallyHidden } from "@/ui/StatusMark";

import { useSay, useStopAll } from "./actions";
import { ContextUse } from "./Answer";
import { Beginning } from "./Beginning";
import { ChatHead } from "./ChatHead";
import { Composer } from "./Composer";
import { ConversationList } from "./ConversationList";
import { attachOfGallery, draftOf, setup, write } from "./drafts";
import { DropPictures } from "./DropPictures";
import { loadMarkdown } from "./Markdown";
import { answers, choose, usable } from "./models";
import { SettingsDrawer } from "./SettingsDrawer";
import { Thread } from "./Thread";
import { branchOf } from "./tree";
import { useFollowEnd } from "./useFollowEnd";
import { useSettings } from "./useSettings";

const BESIDE = "(min-width: 1080px)";
const WIDE = `@media ${BESIDE}`;

export function ChatPage() {
  const { t } = useTranslation();
  const { id } = useParams({ strict: false });
  const go = useNavigate();
  const models = useQuery(queries.models());
  const found = useQuery({ ...queries.conversation(id ?? ""), enabled: id !== undefined, retry: false });
  const conversation = (id !== undefined && found.data) || null;
  const other = useQuery({ ...queries.conversation(conversation?.beside ?? ""), enabled: !!conversation?.beside });
  const beside = (conversation?.beside && other.data) || null;
  const fresh = useSignal(setup);
  const model = choose(models.data ?? [], conversation ? conversation.model : fresh.model);
  const draft = draftOf(id ?? null);
  const say = useSay(conversation, beside, model?.key);
  const end = useFollowEnd(id);
  const settings = useSettings(conversation, beside);
  const [open, setOpen] = useState<"list" | "settings" | null>(null);
  const listBeside = useMediaQuery(BESIDE);
  const input = useRef<HTMLTextAreaElement>(null);
  const offline = useSignal(connection) === "offline";
  const growing = [conversation, beside].flatMap((each) => (each ? branchOf(each.messages, each.head_id).filter((message) => message.state === "growing").map((message) => ({ in: each.id, message: message.id })) : []));
  const stop = useStopAll();
  const any = models.data?.some(answers) ?? true;
  const { toEnd } = end;
  useStartFromAddress(input);
  useEffect(loadMarkdown, []);
  useEffect(() => {
    if (conversation) toEnd();
    // Once it is there, and whenever another is opened.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [conversation?.id, toEnd]);
  useEffect(() => {
    if (window.matchMedia("(pointer: fine)").matches) input.current?.focus({ preventScroll: true });
  }, [id]);

  const send = () => {
    say.mutate({ content: draft.get().text.trim(), draft });
    toEnd();
  };
  const problem = say.error ? asProblem(say.error) : null;
  const missing = found.isError && !found.data ? asProblem(found.error) : null;
  const blocked = offline ? t("chat.offline") : models.data && !model ? t("chat.noModel") : model && !usable(model) ? t("chat.modelAway", { model: model.name }) : null;
  const last = conversation ? branchOf(conversation.messages, conversation.head_id).findLast((message) => message.usage) : undefined;
  const list = <ConversationList chosen={id} onOpen={() => setOpen(null)} />;
  return (
    <Box sx={{ display: "grid", gridTemplateColumns: "minmax(0, 1fr)", [WIDE]: { gridTemplateColumns: "264px minmax(0, 1fr)", gap: 8 }, mt: -4, mb: -12, alignItems: "start" }}>
      <Box component="h1" sx={visuallyHidden}>{t("nav.chat")}</Box>
      {listBeside && <Box component="aside" aria-label={t("chat.conversations")} sx={{ position: "sticky", top: 64, pt: 1, height: "calc(100dvh - 64px)" }}>{list}</Box>}
      {!listBeside && open === "list" && (
        <Drawer open onClose={() => setOpen(null)} slotProps={{ paper: { "aria-label": t("chat.conversations"), role: "dialog", sx: { width: 320, maxWidth: "88vw", p: 4 } } }}>{list}</Drawer>
      )}
      <Box sx={{ display: "flex", flexDirection: "column", minWidth: 0, minHeight: { xs: "calc(100dvh - 56px - 60px)", md: "calc(100dvh - 56px)" } }}>
        <ChatHead conversation={conversation} beside={beside} models={models.data} onList={() => setOpen("list")} onSettings={() => setOpen("settings")} />
        <Box sx={{ flex: 1, display: "flex", flexDirection: "column", width: 1, maxWidth: beside ? 1240 : "72ch", fontSize: 16, mx: "auto", pt: 4, pb: 8 }}>
          {id === undefined && !models.isPending && <Box sx={{ my: "auto" }}><Beginning any={any} onExample={(words) => { write(draft, words); input.current?.focus(); }} /></Box>}
          {id !== undefined && found.isPending && [120, 260, 180].map((height) => <Skeleton key={height} variant="rectangular" height={height} sx={{ mb: 6 }} />)}
          {missing && (missing.status === 404 ? <EmptyState title={t("chat.missingTitle")} text={t("chat.missingText")}><Button variant="contained" onClick={() => void go({ to: "/chat" })}>{t("chat.new")}</Button></EmptyState> : <ErrorNote title={t("chat.loadFailed")} error={missing} details={missing.details} onRetry={() => void found.refetch()} />)}
          {models.isError && !models.data && <ErrorNote title={t("generate.modelsFailed")} error={asProblem(models.error)} onRetry={() => void models.refetch()} />}
          {conversation && <Thread conversation={conversation} beside={beside} models={models.data ?? []} onGrown={end.onGrown} />}
        </Box>
        {!missing && (
          <Box sx={{ position: "sticky", bottom: { xs: "calc(60px + env(safe-area-inset-bottom))", md: 0 }, zIndex: 4, width: 1, maxWidth: beside ? 880 : "76ch", fontSize: 16, mx: "auto", pb: { xs: 2, md: 4 }, background: "linear-gradient(to top, var(--a-palette-background-default) 78%, transparent)" }}>
            {end.away && <Box sx={{ position: "absolute", top: -52, left: 0, right: 0, display: "grid", justifyItems: "center", pointerEvents: "none" }}><Fab size="small" aria-label={t("chat.toEnd")} onClick={end.toEnd} sx={{ pointerEvents: "auto", bgcolor: "background.raised", border: 1, borderColor: "divider", boxShadow: "none", "&:hover": { bgcolor: "background.sunken" } }}><ArrowDown size={17} /></Fab></Box>}
            {problem && problem.status !== 401 && <Box sx={{ mb: 3 }}><ErrorNote title={t("chat.sendFailed")} error={problem} details={problem.details} onRetry={send} retrying={say.isPending} /></Box>}
            <Composer draft={draft} inputRef={input} sending={say.isPending} growing={growing.length > 0} blocked={blocked} sees={model?.sees ?? true} onSend={send} onStop={() => stop(growing)}>
              <ContextUse message={last} most={model?.load_options?.context ?? null} />
            </Composer>
          </Box>
        )}
      </Box>
      <DropPictures draft={draft} />
      {open === "settings" && <SettingsDrawer shown={settings.shown} onChange={settings.set} onClose={() => setOpen(null)} />}
    </Box>
  );
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
