import { Box, Button, InputBase, Skeleton, Tooltip, Typography } from "@mui/material";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Archive, ArchiveRestore, Ellipsis, MessageSquarePlus, Pencil, Pin, PinOff, Search, Trash2, Upload } from "lucide-react";
import { useRef, useState, type KeyboardEvent } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "@tanstack/react-router";

import { asProblem } from "@/api/errors";
import { queries } from "@/api/queries";
import type { ConversationOut } from "@/api/types";
import { ErrorNote } from "@/ui/ErrorNote";
import { PickMenu } from "@/ui/PickMenu";
import { BoxLink, ButtonLink } from "@/ui/links";
import { useKeptPlace } from "@/ui/useKeptPlace";

import { useChange, useDelete, useImport } from "./actions";

/** Every conversation: found by its words, renamed, pinned, put away, deleted. Arrows move, F2 renames, Delete deletes. */
export function ConversationList({ chosen, onOpen }: { chosen: string | undefined; onOpen?: () => void }) {
  const { t } = useTranslation();
  const [words, setWords] = useState("");
  const [archived, setArchived] = useState(false);
  const list = useInfiniteQuery(queries.conversations(words.trim(), archived));
  const rows = list.data?.pages.flatMap((page) => page.items) ?? [];
  const root = useRef<HTMLDivElement>(null);
  useKeptPlace(root, "a[data-conversation]");
  const file = useRef<HTMLInputElement>(null);
  const bring = useImport();
  const onKey = (event: KeyboardEvent) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by || !(event.target instanceof HTMLElement) || event.target.closest("input, [role=menu]")) return;
    const links = [...(root.current?.querySelectorAll<HTMLElement>("a[data-conversation]") ?? [])];
    const at = links.findIndex((link) => link.contains(document.activeElement) || link.parentElement?.contains(document.activeElement));
    links[Math.min(links.length - 1, Math.max(0, at + by))]?.focus();
    event.preventDefault();
  };
  return (
    <Box ref={root} onKeyDown={onKey} sx={{ display: "flex", flexDirection: "column", minHeight: 0, height: 1 }}>
      <Box sx={{ display: "flex", gap: 1, alignItems: "center" }}>
        <ButtonLink to="/chat" variant="outlined" color="inherit" startIcon={<MessageSquarePlus size={16} />} onClick={onOpen} sx={{ flex: 1, justifyContent: "flex-start" }}>{t("chat.new")}</ButtonLink>
        <PickMenu
          label={t("common.more")}
          icon={<Ellipsis size={17} />}
          options={[{ key: "import", text: t("chat.import"), icon: <Upload size={16} /> }, { key: "archived", text: archived ? t("chat.showCurrent") : t("chat.showArchived"), icon: <Archive size={16} /> }]}
          onPick={(key) => (key === "import" ? file.current?.click() : setArchived(!archived))}
        />
        <input
          ref={file} type="file" hidden accept="application/json,.json" aria-label={t("chat.import")}
          onChange={(event) => {
            const [one] = event.target.files ?? [];
            if (one) bring.mutate(one);
            event.target.value = "";
          }}
        />
      </Box>
      <Box sx={{ display: "flex", alignItems: "center", gap: 2, mt: 3, px: 3, height: 36, borderRadius: "8px", border: 1, borderColor: "divider", bgcolor: "background.raised", color: "text.faint", "&:focus-within": { borderColor: "text.secondary" } }}>
        <Search size={15} aria-hidden />
        <InputBase value={words} onChange={(event) => setWords(event.target.value)} placeholder={t("chat.search")} inputProps={{ "aria-label": t("chat.search"), maxLength: 200 }} sx={{ flex: 1, fontSize: 14, color: "text.primary", "& input:focus-visible": { outline: "none" } }} />
      </Box>
      {archived && <Typography variant="caption" sx={{ color: "text.faint", mt: 3, px: 3 }}>{t("chat.archived")}</Typography>}
      <Box component="ul" aria-label={t("chat.conversations")} sx={{ listStyle: "none", m: 0, mt: 3, p: 0, pb: 4, overflowY: "auto", flex: 1, minHeight: 0 }}>
        {list.isPending && [0, 1, 2, 3].map((at) => <Skeleton key={at} variant="rectangular" height={34} sx={{ mb: 1 }} />)}
        {rows.map((row) => <Row key={row.id} row={row} chosen={row.id === chosen} onOpen={onOpen} />)}
        {list.hasNextPage && <Button size="small" color="inherit" fullWidth disabled={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>{t("common.loadMore")}</Button>}
        {list.data && rows.length === 0 && <Typography component="li" variant="body2" sx={{ color: "text.faint", px: 3, py: 2 }}>{words ? t("chat.noneFound", { words }) : archived ? t("chat.noneArchived") : t("chat.noneYet")}</Typography>}
      </Box>
      {list.isError && !list.data && <ErrorNote title={t("chat.listFailed")} error={asProblem(list.error)} onRetry={() => void list.refetch()} />}
    </Box>
  );
}

function Row({ row, chosen, onOpen }: { row: ConversationOut; chosen: boolean; onOpen?: () => void }) {
  const { t } = useTranslation();
  const go = useNavigate();
  const change = useChange();
  const remove = useDelete();
  const [title, setTitle] = useState<string | null>(null);
  const name = row.title || t("chat.untitled");
  const rename = () => {
    if (title !== null && title.trim() && title.trim() !== row.title) change.mutate({ id: row.id, change: { title: title.trim() } });
    setTitle(null);
  };
  const drop = () => {
    remove.mutate({ id: row.id, title: row.title });
    if (chosen) void go({ to: "/chat" });
  };
  const pick = (key: string) => {
    if (key === "rename") setTitle(row.title);
    else if (key === "pin") change.mutate({ id: row.id, change: { pinned: !row.pinned } });
    else if (key === "archive") change.mutate({ id: row.id, change: { archived: !row.archived } });
    else drop();
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.key === "F2") setTitle(row.title);
    else if (event.key === "Delete") drop();
    else return;
    event.preventDefault();
  };
  if (title !== null)
    return (
      <Box component="li" sx={{ px: 1 }}>
        <InputBase
          autoFocus fullWidth value={title} onChange={(event) => setTitle(event.target.value)} onBlur={rename} inputProps={{ "aria-label": t("chat.rename"), maxLength: 200 }}
          onKeyDown={(event) => {
            if (event.key === "Enter") rename();
            if (event.key === "Escape") setTitle(null);
          }}
          sx={{ height: 36, px: 2, fontSize: 14, border: 1, borderColor: "primary.main", borderRadius: "8px", "& input:focus-visible": { outline: "none" } }}
        />
      </Box>
    );
  return (
    <Box component="li" sx={{ position: "relative", display: "flex", alignItems: "center", borderRadius: "8px", bgcolor: chosen ? "background.paper" : "transparent", boxShadow: chosen ? (theme) => `inset 0 0 0 1px ${theme.vars.palette.divider}` : "none", "&:hover": { bgcolor: chosen ? "background.paper" : "action.hover" }, "& [aria-haspopup]": { opacity: 0 }, "&:hover [aria-haspopup], &:focus-within [aria-haspopup], & [aria-expanded=true]": { opacity: 1 }, "@media (pointer: coarse)": { "& [aria-haspopup]": { opacity: 1 } } }}>
      <BoxLink data-conversation={row.id} to="/chat/$id" params={{ id: row.id }} aria-current={chosen ? "page" : undefined} onClick={onOpen} onKeyDown={onKey} sx={{ flex: 1, minWidth: 0, display: "flex", alignItems: "center", gap: 2, minHeight: 36, pl: 3, color: "text.primary", textDecoration: "none", fontSize: 14, borderRadius: "8px" }}>
        {row.pinned && <Box component={Pin} size={13} aria-label={t("chat.pinned")} sx={{ color: "text.faint", flexShrink: 0 }} />}
        <Tooltip title={name} enterDelay={900} placement="right"><Box component="span" sx={{ overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap" }}>{name}</Box></Tooltip>
      </BoxLink>
      <PickMenu
        label={t("chat.actionsOf", { title: name })}
        icon={<Ellipsis size={16} />}
        size={32}
        options={[
          { key: "rename", text: t("chat.rename"), icon: <Pencil size={16} /> },
          { key: "pin", text: row.pinned ? t("chat.unpin") : t("chat.pin"), icon: row.pinned ? <PinOff size={16} /> : <Pin size={16} /> },
          { key: "archive", text: row.archived ? t("chat.unarchive") : t("chat.archive"), icon: row.archived ? <ArchiveRestore size={16} /> : <Archive size={16} /> },
          { key: "delete", text: t("common.delete"), icon: <Trash2 size={16} />, danger: true },
        ]}
        onPick={pick}
      />
    </Box>
  );
}

