import { Box } from "@mui/material";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";

import type { ConversationDetailOut, MessageOut, ModelOut } from "@/api/types";
import { visuallyHidden } from "@/ui/StatusMark";

/** Tells those who hear the page when an answer begins and how it ended; its words they read when they want to. */
export function Announcer({ conversations, models }: { conversations: readonly (ConversationDetailOut | null)[]; models: readonly ModelOut[] }) {
  const { t } = useTranslation();
  const [words, setWords] = useState("");
  const grew = useRef<ReadonlySet<string>>(new Set());
  const messages = conversations.flatMap((one) => one?.messages ?? []);
  const growing = messages.filter((one) => one.state === "growing");
  const key = growing.map((one) => one.id).join(" ");
  useEffect(() => {
    const name = (one: MessageOut) => models.find((model) => model.key === one.model)?.name ?? one.model ?? "";
    const begun = growing.filter((one) => !grew.current.has(one.id));
    const ended = messages.filter((one) => grew.current.has(one.id) && one.state !== "growing");
    grew.current = new Set(growing.map((one) => one.id));
    const news = [...ended.map((one) => t(`chat.announce.${one.state === "complete" ? "ended" : one.state === "failed" ? "failed" : "stopped"}`, { model: name(one) })), ...begun.map((one) => t("chat.announce.begun", { model: name(one) }))];
    if (news.length) setWords(news.join(" "));
    // Only what begins and ends is news.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [key]);
  return <Box role="log" aria-live="polite" data-announcer sx={visuallyHidden}>{words}</Box>;
}
