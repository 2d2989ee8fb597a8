import { Box, Button, OutlinedInput, Typography } from "@mui/material";
import { ImagePlus, Wrench } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import type { ToolCallOut } from "@/api/types";
import { LogBlock } from "@/ui/ErrorNote";

/** JSON set out for the eye; as it was written where it is none, or not yet. */
function laidOut(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** The words for a picture, where a call is for one. */
function promptOf(call: ToolCallOut): string | null {
  if (!/picture|image/i.test(call.name)) return null;
  try {
    const { prompt } = JSON.parse(call.arguments) as { prompt?: unknown };
    return typeof prompt === "string" && prompt.trim() ? prompt : null;
  } catch {
    return null;
  }
}

interface Props { call: ToolCallOut; growing: boolean; result: string | undefined; onResult: (result: string) => void; onPicture: (prompt: string) => void }

/** A function that the model wants to be called: its name, its arguments, and what it answered once somebody says so. */
export function ToolCall({ call, growing, result, onResult, onPicture }: Props) {
  const { t } = useTranslation();
  const [answering, setAnswering] = useState(false);
  const [text, setText] = useState("");
  const prompt = growing ? null : promptOf(call);
  return (
    <Box role="group" aria-label={t("chat.call", { name: call.name })} sx={{ mt: 3, border: 1, borderColor: "divider", borderRadius: "10px", p: 4 }}>
      <Box sx={{ display: "flex", alignItems: "center", gap: 2 }}>
        <Wrench size={15} aria-hidden />
        <Typography variant="mono" sx={{ fontSize: 13, fontWeight: 600 }}>{call.name}</Typography>
      </Box>
      <LogBlock text={laidOut(call.arguments)} />
      {result !== undefined && (
        <>
          <Typography variant="caption" sx={{ color: "text.faint", display: "block", mt: 3 }}>{t("chat.result")}</Typography>
          <LogBlock text={laidOut(result)} />
        </>
      )}
      {!growing && result === undefined && (
        <Box sx={{ display: "flex", flexWrap: "wrap", gap: 2, mt: 3 }}>
          {prompt && <Button size="small" variant="contained" startIcon={<ImagePlus size={15} />} onClick={() => onPicture(prompt)}>{t("chat.makePicture")}</Button>}
          <Button size="small" variant="outlined" color="inherit" aria-expanded={answering} onClick={() => setAnswering(!answering)}>{t("chat.giveResult")}</Button>
        </Box>
      )}
      {answering && result === undefined && (
        <Box component="form" sx={{ mt: 3, display: "grid", gap: 2 }} onSubmit={(event) => { event.preventDefault(); if (text.trim()) onResult(text); }}>
          <OutlinedInput multiline minRows={2} maxRows={8} autoFocus value={text} onChange={(event) => setText(event.target.value)} placeholder={t("chat.resultPlaceholder")} inputProps={{ "aria-label": t("chat.result") }} sx={{ fontFamily: '"JetBrains Mono Variable", monospace', fontSize: 13 }} />
          <Button type="submit" size="small" variant="contained" disabled={!text.trim()} sx={{ justifySelf: "start" }}>{t("chat.sendResult")}</Button>
        </Box>
      )}
    </Box>
  );
}
