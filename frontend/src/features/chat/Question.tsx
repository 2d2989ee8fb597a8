import { Box, Button, InputBase } from "@mui/material";
import { ImagePlus, Pencil } from "lucide-react";
import { useState, type KeyboardEvent } from "react";
import { useTranslation } from "react-i18next";

import type { MessageOut } from "@/api/types";

import { CopyAction, Tool } from "./Answer";
import { BranchSwitch } from "./BranchSwitch";
import { pictureUrl } from "./drafts";

interface Props { message: MessageOut; siblings: readonly MessageOut[]; busy: boolean; onBranch: (id: string) => void; onEdit?: (text: string) => void; onPicture: (text: string) => void }

/** What a person said. It can be said differently: that begins another branch. */
export function Question({ message, siblings, busy, onBranch, onEdit, onPicture }: Props) {
  const { t } = useTranslation();
  const [text, setText] = useState<string | null>(null);
  const send = () => {
    if (text === null || !text.trim() || busy) return;
    onEdit?.(text.trim());
    setText(null);
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.key === "Escape") setText(null);
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) send();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <Box component="article" aria-label={t("chat.yourMessage")} sx={{ display: "grid", justifyItems: "end", minWidth: 0 }}>
      {(message.pictures ?? []).length > 0 && (
        <Box sx={{ display: "flex", flexWrap: "wrap", justifyContent: "flex-end", gap: 2, mb: 2 }}>
          {message.pictures?.map((id) => (
            <Box key={id} component="a" href={id.startsWith("img_") ? `/gallery/${id}` : pictureUrl(id)} target="_blank" rel="noopener" sx={{ display: "block", borderRadius: "10px", overflow: "hidden", border: 1, borderColor: "divider", bgcolor: "background.sunken" }}>
              <Box component="img" src={pictureUrl(id, true)} alt={t("chat.picture")} loading="lazy" sx={{ display: "block", height: 144, maxWidth: 1, minWidth: 96, objectFit: "cover" }} />
            </Box>
          ))}
        </Box>
      )}
      {text === null ? (
        message.content && <Box sx={{ maxWidth: "88%", bgcolor: "background.sunken", border: 1, borderColor: "divider", borderRadius: "14px 14px 4px 14px", px: 4, py: 3, fontSize: 16, lineHeight: 1.6, whiteSpace: "pre-wrap", overflowWrap: "anywhere" }}>{message.content}</Box>
      ) : (
        <Box onKeyDown={onKey} sx={{ width: 1, border: 1, borderColor: "text.disabled", borderRadius: "12px", bgcolor: "background.paper", p: 3 }}>
          <InputBase multiline fullWidth autoFocus maxRows={16} value={text} onChange={(event) => setText(event.target.value)} inputProps={{ "aria-label": t("chat.edit") }} sx={{ fontSize: 16, lineHeight: 1.6, "& textarea:focus-visible": { outline: "none" } }} />
          <Box sx={{ display: "flex", justifyContent: "flex-end", gap: 2, mt: 2 }}>
            <Button size="small" color="inherit" onClick={() => setText(null)}>{t("common.cancel")}</Button>
            <Button size="small" variant="contained" disabled={!text.trim() || busy} onClick={send}>{t("chat.resend")}</Button>
          </Box>
        </Box>
      )}
      {text === null && (
        <Box sx={{ display: "flex", alignItems: "center", gap: "2px", mt: 1, minHeight: 32 }}>
          <BranchSwitch message={message} siblings={siblings} onBranch={onBranch} disabled={busy} />
          {message.content && <CopyAction text={message.content} />}
          {onEdit && <Tool label={t("chat.edit")} disabled={busy} onClick={() => setText(message.content)}><Pencil size={15} /></Tool>}
          {message.content && <Tool label={t("chat.makePicture")} onClick={() => onPicture(message.content)}><ImagePlus size={16} /></Tool>}
        </Box>
      )}
    </Box>
  );
}
