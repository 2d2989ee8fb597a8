import { Box, IconButton, Tooltip, Typography } from "@mui/material";
import { ArrowUp, Square, TriangleAlert, X } from "lucide-react";
import { memo, useEffect, useRef, type KeyboardEvent, type ReactNode, type RefObject } from "react";
import { useTranslation } from "react-i18next";

import { useSaid } from "@/i18n/said";
import { COARSE } from "@/lib/browser";
import { useSignal, type Signal } from "@/lib/signal";
import { Writing } from "@/ui/Writing";

import { detach, isSame, MOST_LETTERS, MOST_PICTURES, write, type Draft } from "./drafts";
import { PictureButtons } from "./PictureButtons";

interface Props {
  draft: Signal<Draft>;
  inputRef: RefObject<HTMLTextAreaElement | null>;
  sending: boolean;
  /** The models or the conversation are not known yet: what is sent meanwhile goes once they are. */
  early: boolean;
  growing: boolean;
  /** Why nothing can be sent now, in words; null when it can. */
  blocked: string | null;
  /** It is said above in full: on a phone it is not said again. */
  told: boolean;
  /** What is to be known of what will be sent. */
  note: string | null;
  onSend: () => void;
  onStop: () => void;
  /** The last question is to be said differently. */
  onEditLast: () => void;
  children?: ReactNode;
}

/** Where one writes: Enter sends, Shift Enter goes on; pictures are pasted, dropped, chosen or taken. */
export function Composer({ draft, inputRef, sending, early, growing, blocked, told, note, onSend, onStop, onEditLast, children }: Props) {
  const { t } = useTranslation();
  const { text, pictures } = useSignal(draft);
  const broken = pictures.some((one) => one.problem !== null);
  const long = text.length > MOST_LETTERS && [...text].length > MOST_LETTERS;
  const good = (text.trim() !== "" || pictures.length > 0) && !broken && !sending && !growing && blocked === null && !long;
  const ready = good && !early;
  const meant = useRef<Draft | null>(null);
  useEffect(() => () => void (meant.current = null), [draft]); // another conversation is another matter
  useEffect(() => {
    if (early || !meant.current) return;
    const as = meant.current;
    meant.current = null;
    if (ready && isSame(as, draft.get())) onSend();
  }, [draft, early, ready, onSend]);
  const send = () => {
    if (ready) onSend();
    else meant.current = good ? draft.get() : null;
  };
  const onKey = (event: KeyboardEvent) => {
    // While letters are composed (Japanese, dead keys) Enter ends that. On a phone it begins a line: there is a button.
    if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing && !window.matchMedia(COARSE).matches) {
      event.preventDefault();
      send();
    } else if (event.key === "ArrowUp" && text === "" && pictures.length === 0 && !growing) {
      event.preventDefault();
      onEditLast();
    }
  };
  const warning = long ? t("validation.tooLong", { max: MOST_LETTERS, count: [...text].length }) : null;
  return (
    <Box
      component="form"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
      sx={{ border: 1, borderColor: "divider", borderRadius: "16px", bgcolor: "background.paper", boxShadow: "0 8px 28px -16px rgb(8 12 20 / 0.32)", transition: "border-color 140ms ease-out", "&:focus-within": { borderColor: "text.disabled" } }}
    >
      {pictures.length > 0 && (
        <Box sx={{ display: "flex", flexWrap: "wrap", gap: 2, px: 3, pt: 3 }}>
          {pictures.map((one) => <Attachment key={one.key} picture={one} onRemove={(byKey) => { detach(draft, one.key); if (byKey) inputRef.current?.focus(); }} />)}
        </Box>
      )}
      <Writing
        inputRef={inputRef} minRows={1} maxRows={10}
        value={text}
        placeholder={t("chat.placeholder")}
        onWrite={(words) => write(draft, words)}
        onKeyDown={onKey}
        input={{ "aria-label": t("chat.message"), "aria-keyshortcuts": "Enter", enterKeyHint: "send" }}
        sx={{ px: 4, pt: 3, pb: 1, fontSize: 16, lineHeight: 1.55 }}
      />
      {warning && <Typography variant="caption" role="status" sx={{ display: "flex", gap: 2, px: 4, pb: 1, color: "warning.main" }}><TriangleAlert size={14} aria-hidden />{warning}</Typography>}
      {note && <Typography variant="caption" role="status" component="p" sx={{ px: 4, pb: 1, color: "text.secondary" }}>{note}</Typography>}
      <Box sx={{ display: "flex", alignItems: "center", gap: 1, px: 2, pb: 2, minWidth: 0 }}>
        <PictureButtons draft={draft} disabled={pictures.length >= MOST_PICTURES} />
        <Box sx={{ flex: 1, minWidth: 0, display: "flex", alignItems: "center", justifyContent: "flex-end", gap: 3, pr: 2 }}>
          {children}
          <Typography variant="caption" noWrap sx={{ color: blocked ? "warning.main" : "text.faint", display: { xs: blocked && !told ? "block" : "none", sm: "block" }, ...(blocked ? {} : { [`@media ${COARSE}`]: { display: "none" } }) }}>{blocked ?? t("chat.enterSends")}</Typography>
        </Box>
        {growing ? <StopButton onStop={onStop} /> : <SendButton ready={ready} />}
      </Box>
    </Box>
  );
}

/** Drawn when they change, not with every key. */
const SendButton = memo(function SendButton({ ready }: { ready: boolean }) {
  const { t } = useTranslation();
  return (
    <Tooltip title={t("chat.send")}>
      <span><IconButton type="submit" aria-label={t("chat.send")} disabled={!ready} sx={{ ...round, "&.Mui-disabled": { bgcolor: "background.sunken", color: "text.disabled" } }}><ArrowUp size={18} /></IconButton></span>
    </Tooltip>
  );
});

function StopButton({ onStop }: { onStop: () => void }) {
  const { t } = useTranslation();
  return (
    <Tooltip title={t("chat.stop")}>
      <IconButton aria-label={t("chat.stop")} onClick={onStop} sx={round}><Square size={14} fill="currentColor" /></IconButton>
    </Tooltip>
  );
}

const round = { width: 38, height: 38, borderRadius: "50%", bgcolor: "primary.main", color: "primary.contrastText", "&:hover": { bgcolor: "primary.dark", color: "primary.contrastText" } } as const;

function Attachment({ picture, onRemove }: { picture: Draft["pictures"][number]; onRemove: (byKey: boolean) => void }) {
  const { t } = useTranslation();
  const said = useSaid();
  const sending = picture.id === null && picture.problem === null;
  const scaled = picture.scaled && t("chat.scaled", { from: picture.scaled.from.join(" × "), to: picture.scaled.to.join(" × ") });
  return (
    <Tooltip title={picture.problem ? said(picture.problem).text : [picture.name, scaled].filter(Boolean).join(" · ")}>
      <Box sx={{ position: "relative", width: 64, height: 64, borderRadius: "10px", overflow: "hidden", border: 1, borderColor: picture.problem ? "error.main" : "divider", bgcolor: "background.sunken" }}>
        <Box component="img" src={picture.url} alt={picture.name || t("chat.picture")} sx={{ width: 1, height: 1, objectFit: "cover", opacity: sending || picture.problem ? 0.45 : 1 }} />
        {picture.problem && <Box component={TriangleAlert} size={18} aria-label={said(picture.problem).text} sx={{ position: "absolute", inset: 0, m: "auto", color: "error.main" }} />}
        <IconButton size="small" aria-label={t("chat.removePicture")} onClick={(event) => onRemove(event.detail === 0)} sx={{ position: "absolute", top: 2, right: 2, p: "3px", borderRadius: "50%", bgcolor: "background.paper", "&:hover": { bgcolor: "background.paper" } }}><X size={12} /></IconButton>
      </Box>
    </Tooltip>
  );
}
