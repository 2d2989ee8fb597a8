import { Box, IconButton } from "@mui/material";
import { TriangleAlert, X } from "lucide-react";
import { useTranslation } from "react-i18next";

import { getImage } from "@/api/generated/sdk.gen";
import { bytes } from "@/lib/numbers";
import { useSignal } from "@/lib/signal";
import { DropVeil, useDropping, type Takes } from "@/ui/DropPictures";

import { refusal, takeFile, takeImage } from "./source";

/** One at a time: of several files the first. */
const TAKES: Takes = {
  files: ([file]) => void (file && takeFile(file)),
  ours: (id) => void getImage({ path: { image_id: id } }).then(takeImage, () => undefined),
};

/** The whole page takes a picture that is dropped or pasted, and says why it does not. */
export function DropPlace() {
  const { t, i18n } = useTranslation();
  const over = useDropping(TAKES);
  const why = useSignal(refusal);
  const values = why && ("bytes" in why ? { name: why.name, size: bytes(why.bytes, i18n.language), most: bytes(why.most, i18n.language) } : "count" in why ? { name: why.name, size: Math.round(why.count / 1e6), most: why.most / 1e6 } : { name: why.name });
  return (
    <>
      {why && (
        <Box role="alert" sx={{ display: "flex", alignItems: "center", gap: 3, pl: 4, pr: 2, py: 2, borderRadius: "10px", border: 1, borderColor: "divider", bgcolor: "background.paper", fontSize: 13 }}>
          <Box component={TriangleAlert} size={17} aria-hidden sx={{ color: "warning.main", flexShrink: 0 }} />
          <Box sx={{ flex: 1, minWidth: 0 }}>{t(why.key, { ...values })}</Box>
          <IconButton size="small" aria-label={t("common.dismiss")} onClick={() => refusal.set(null)}><X size={16} /></IconButton>
        </Box>
      )}
      {over && <DropVeil>{t("task.drop")}</DropVeil>}
    </>
  );
}
