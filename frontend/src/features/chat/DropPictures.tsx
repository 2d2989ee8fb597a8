import { useMemo } from "react";
import { useTranslation } from "react-i18next";

import type { Signal } from "@/lib/signal";
import { toast } from "@/lib/toast";
import { DropVeil, useDropping, type Takes } from "@/ui/DropPictures";

import { attachFiles, attachOfGallery, type Draft } from "./drafts";

/** The whole page takes pictures that are dropped or pasted. */
export function DropPictures({ draft }: { draft: Signal<Draft> }) {
  const { t } = useTranslation();
  const takes = useMemo<Takes>(() => ({
    files: (files) => {
      if (!attachFiles(draft, files)) toast(t("chat.pictureRefused"), { tone: "bad" });
    },
    ours: (id) => void attachOfGallery(draft, id),
  }), [draft, t]);
  return useDropping(takes) ? <DropVeil>{t("chat.drop")}</DropVeil> : null;
}
