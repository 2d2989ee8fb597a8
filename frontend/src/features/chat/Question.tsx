import { Box, Button, InputBase } from "@mui/material";
import { ImagePlus, Pencil } from "lucide-react";
import type { KeyboardEvent } from "react";
import { useTranslation } from "react-i18next";

import type { MessageOut } from "@/api/types";
import { useSignal } from "@/lib/signal";

import { CopyAction, Tool } from "./Answer";
import { BranchSwitch } from "./BranchSwitch";
import { edit, edits, endEdit } from "./drafts";
import { PictureOf } from "./PictureOf";

interface Props { message: MessageOut; siblings: readonly MessageOut[]; busy: boolean; onBranch: (id: string) => void; onEdit?: (text: string) => void; onPicture: (text: string) => void; /** Editing has ended: the focus goes back to where one writes. */ onLeave: () => void }

/** What a person said. It can be said differently: that begins another branch. */
export function Question({ message, siblings, busy, onBranch, onEdit, onPicture, onLeave }: Props) {
  const { t } = useTranslation();
  const text = useSignal(edits)[message.id] ?? null;
  const end = () => {
    endEdit(message.id);
    onLeave();
  };
  const send = () => {
    if (text === null || !(text.trim() || message.pictures?.length) || busy) return;
    onEdit?.(text.trim());
    end();
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.key === "Escape") end();
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) send();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <Box component="article" aria-label={t("chat.yourMessage")} data-message={message.id} sx={{ display: "grid", justifyItems: "end", minWidth: 0 }}>
      {(message.pictures ?? []).length > 0 && (
        <Box sx={{ display: "flex", flexWrap: "wrap", justifyContent: "flex-end", gap: 2, mb: 2 }}>
          {message.pictures?.map((id, at) => <PictureOf key={at} id={id} at={at} of={message.pictures?.length ?? 1} />)}
        </Box>
      )}
      {text === null ? (
        message.content && <Box data-words sx={{ maxWidth: "88%", bgcolor: "background.sunken", border: 1, borderColor: "divider", borderRadius: "14px 14px 4px 14px", px: 4, py: 3, fontSize: 16, lineHeight: 1.6, whiteSpace: "pre-wrap", overflowWrap: "anywhere" }}>{message.content}</Box>
      ) : (
        <Box onKeyDown={onKey} sx={{ width: 1, border: 1, borderColor: "text.disabled", borderRadius: "12px", bgcolor: "background.paper", p: 3 }}>
          <InputBase multiline fullWidth autoFocus maxRows={16} value={text} onChange={(event) => edit(message.id, event.target.value)} inputProps={{ "aria-label": t("chat.edit") }} sx={{ fontSize: 16, lineHeight: 1.6, "& textarea:focus-visible": { outline: "none" } }} />
          <Box sx={{ display: "flex", justifyContent: "flex-end", gap: 2, mt: 2 }}>
            <Button size="small" color="inherit" onClick={end}>{t("common.cancel")}</Button>
            <Button size="small" variant="contained" disabled={!(text.trim() || message.pictures?.length) || busy} onClick={send}>{t("chat.resend")}</Button>
          </Box>
        </Box>
      )}
      {text === null && (
        <Box sx={{ display: "flex", alignItems: "center", gap: "2px", mt: 1, minHeight: 32 }}>
          <BranchSwitch message={message} siblings={siblings} onBranch={onBranch} disabled={busy} />
          {message.content && <CopyAction text={message.content} />}
          {onEdit && <Tool label={t("chat.edit")} disabled={busy} onClick={() => edit(message.id, message.content)}><Pencil size={15} /></Tool>}
          {message.content && <Tool label={t("chat.makePicture")} onClick={() => onPicture(message.content)}><ImagePlus size={16} /></Tool>}
        </Box>
      )}
    </Box>
  );
}
