import { Button, IconButton, Tooltip } from "@mui/material";
import { Check, Copy } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { copyText } from "@/lib/browser";

/** Copies `text`; shows a tick for a moment. With `label` a button with words, without an icon. */
export function CopyButton({ text, label, name }: { text: string; label?: string; name?: string }) {
  const { t } = useTranslation();
  const [done, setDone] = useState(false);
  const copy = async () => {
    setDone(await copyText(text));
    setTimeout(() => setDone(false), 1400);
  };
  const icon = done ? <Check size={15} /> : <Copy size={15} />;
  if (label) {
    return (
      <Button size="small" variant="outlined" color="inherit" startIcon={icon} onClick={() => void copy()}>
        {done ? t("common.copied") : label}
      </Button>
    );
  }
  return (
    <Tooltip title={done ? t("common.copied") : (name ?? t("common.copy"))}>
      <IconButton size="small" onClick={() => void copy()} aria-label={name ?? t("common.copy")}>
        {icon}
      </IconButton>
    </Tooltip>
  );
}
