import { Box, IconButton, Tooltip } from "@mui/material";
import { Archive, Code, Columns2, Download, Ellipsis, FileJson, Gauge, PanelLeft, Search, SlidersHorizontal, Square, Trash2 } from "lucide-react";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "@tanstack/react-router";

import type { ConversationDetailOut, ModelOut } from "@/api/types";
import { usable } from "@/lib/answering";
import { copyText, download } from "@/lib/browser";
import { useSignal } from "@/lib/signal";
import { toast } from "@/lib/toast";
import { IconButtonLink } from "@/ui/links";
import { PickMenu } from "@/ui/PickMenu";

import { useBeside, useChange, useDelete } from "./actions";
import { setup } from "./drafts";
import { ModelPicker } from "./ModelPicker";
import { choose } from "./models";
import { bodyOf, snippet, type Language } from "./snippets";
import { branchOf } from "./tree";

interface Props { conversation: ConversationDetailOut | null; beside: ConversationDetailOut | null; models: readonly ModelOut[] | undefined; onList: () => void; onSettings: () => void; onFind: () => void; children?: ReactNode }

/** Over the thread: who answers, and what else can be done with the conversation. */
export function ChatHead({ conversation, beside, models, onList, onSettings, onFind, children }: Props) {
  const { t } = useTranslation();
  const fresh = useSignal(setup);
  const change = useChange();
  const wanted = conversation ? conversation.model : fresh.model;
  const model = choose(models ?? [], wanted);
  const second = conversation ? (beside?.model ?? null) : fresh.beside;
  const pick = (key: string) => (conversation ? change.mutate({ id: conversation.id, change: { model: key } }) : setup.set((now) => ({ ...now, model: key })));
  const pickSecond = (key: string) => (beside ? change.mutate({ id: beside.id, change: { model: key } }) : setup.set((now) => ({ ...now, beside: key })));
  return (
    <Box sx={{ position: "sticky", top: 56, zIndex: 5, display: "flex", alignItems: "center", gap: 1, minHeight: 48, mx: -2, px: 2, bgcolor: "background.default" }}>
      <Tooltip title={t("chat.conversations")}>
        <IconButton size="small" aria-label={t("chat.conversations")} onClick={onList} sx={{ width: 36, height: 36, "@media (min-width: 1080px)": { display: "none" } }}><PanelLeft size={18} /></IconButton>
      </Tooltip>
      <Box sx={{ display: "flex", alignItems: "center", gap: 1, minWidth: 0, flex: 1 }}>
        <ModelPicker label={t("chat.model")} models={models} model={model} wanted={wanted} onPick={pick} small={second !== null} />
        {second !== null && <Box component="span" aria-hidden sx={{ color: "text.faint" }}>|</Box>}
        {second !== null && <ModelPicker label={t("chat.secondModel")} models={models} model={models?.find((one) => one.key === second)} wanted={second} onPick={pickSecond} small />}
      </Box>
      <Compare conversation={conversation} beside={beside} models={models ?? []} model={model} second={second} />
      <Tooltip title={t("benchmark.title")}>
        <IconButtonLink size="small" aria-label={t("benchmark.title")} to="/chat/benchmark" sx={{ width: 36, height: 36, display: { xs: "none", sm: "inline-flex" } }}><Gauge size={17} /></IconButtonLink>
      </Tooltip>
      {conversation && <Box sx={{ display: { xs: second === null ? "block" : "none", sm: "block" } }}><CopyAs conversation={conversation} model={model} /></Box>}
      <Tooltip title={t("chat.settings")}>
        <IconButton size="small" aria-label={t("chat.settings")} onClick={onSettings} sx={{ width: 36, height: 36 }}><SlidersHorizontal size={17} /></IconButton>
      </Tooltip>
      {conversation && <More conversation={conversation} onFind={onFind} />}
      {children}
    </Box>
  );
}

function Compare({ conversation, beside, models, model, second }: { conversation: ConversationDetailOut | null; beside: ConversationDetailOut | null; models: readonly ModelOut[]; model: ModelOut | undefined; second: string | null }) {
  const { t } = useTranslation();
  const change = useChange();
  const others = models.filter((one) => usable(one));
  if (second !== null) {
    const apart = () => (beside ? change.mutate({ id: beside.id, change: { apart: true } }, { onSuccess: () => conversation && change.mutate({ id: conversation.id, change: {} }) }) : setup.set((now) => ({ ...now, beside: null })));
    return (
      <Tooltip title={t("chat.compareEnd")}>
        <IconButton size="small" aria-label={t("chat.compareEnd")} aria-pressed onClick={apart} sx={{ width: 36, height: 36, color: "primary.main" }}><Square size={16} /></IconButton>
      </Tooltip>
    );
  }
  if (others.length === 0 || !model) return null;
  const options = others.map((one) => ({ key: one.key, text: one.key === model.key ? t("chat.compareSame", { model: one.name }) : one.name }));
  return conversation ? <CompareWith conversation={conversation} options={options} /> : <PickMenu label={t("chat.compare")} icon={<Columns2 size={17} />} options={options} onPick={(key) => setup.set((now) => ({ ...now, beside: key }))} />;
}

function CompareWith({ conversation, options }: { conversation: ConversationDetailOut; options: { key: string; text: string }[] }) {
  const { t } = useTranslation();
  const beside = useBeside(conversation);
  if (conversation.beside_of) return null;
  return <PickMenu label={t("chat.compare")} icon={<Columns2 size={17} />} options={options} onPick={(key) => beside.mutate(key)} />;
}

function CopyAs({ conversation, model }: { conversation: ConversationDetailOut; model: ModelOut | undefined }) {
  const { t } = useTranslation();
  const names = { curl: "curl", python: "Python", javascript: "JavaScript" };
  const copy = async (language: Language) => {
    const body = bodyOf({ model: model?.key ?? conversation.model ?? "", system_prompt: conversation.system_prompt, parameters: conversation.parameters, messages: branchOf(conversation.messages, conversation.head_id) });
    if (await copyText(snippet(language, location.origin, body))) toast(t("generate.copiedAs", { name: names[language] }));
  };
  return <PickMenu label={t("generate.copyAs")} icon={<Code size={17} />} options={(Object.keys(names) as Language[]).map((key) => ({ key, text: names[key] }))} onPick={(key) => void copy(key as Language)} />;
}

function More({ conversation, onFind }: { conversation: ConversationDetailOut; onFind: () => void }) {
  const { t } = useTranslation();
  const go = useNavigate();
  const change = useChange();
  const remove = useDelete();
  const options = [
    { key: "find", text: t("chat.find"), icon: <Search size={16} /> },
    { key: "markdown", text: t("chat.exportMarkdown"), icon: <Download size={16} /> },
    { key: "json", text: t("chat.exportJson"), icon: <FileJson size={16} /> },
    { key: "archive", text: conversation.archived ? t("chat.unarchive") : t("chat.archive"), icon: <Archive size={16} /> },
    { key: "delete", text: t("common.delete"), icon: <Trash2 size={16} />, danger: true },
  ];
  const pick = (key: string) => {
    if (key === "find") onFind();
    else if (key === "archive") change.mutate({ id: conversation.id, change: { archived: !conversation.archived } });
    else if (key === "delete") {
      remove.mutate({ id: conversation.id, title: conversation.title });
      void go({ to: "/chat" });
    } else download(`/api/chat/conversations/${conversation.id}/export?format=${key}`, "");
  };
  return <PickMenu label={t("common.more")} icon={<Ellipsis size={18} />} options={options} onPick={pick} />;
}
