import { IconButton, Tooltip } from "@mui/material";
import { Camera, ImagePlus } from "lucide-react";
import { lazy, memo, Suspense, useRef, useState } from "react";
import { useTranslation } from "react-i18next";

import { COARSE } from "@/lib/browser";
import type { Signal } from "@/lib/signal";
import { toast } from "@/lib/toast";

import { accepts, attachFiles, type Draft } from "./drafts";

const CameraDialog = lazy(() => import("./CameraDialog"));

/** Pictures from files and from the camera: a phone's own camera program, elsewhere the browser's picture of it. */
export const PictureButtons = memo(function PictureButtons({ draft, disabled }: { draft: Signal<Draft>; disabled: boolean }) {
  const { t } = useTranslation();
  const files = useRef<HTMLInputElement>(null);
  const phone = useRef<HTMLInputElement>(null);
  const [open, setOpen] = useState(false);
  const attach = (given: readonly File[]) => {
    if (!attachFiles(draft, given)) toast(t("chat.pictureRefused"), { tone: "bad" });
  };
  const input = { type: "file", hidden: true, accept: accepts } as const;
  const onChange = (event: React.ChangeEvent<HTMLInputElement>) => {
    attach([...(event.target.files ?? [])]);
    event.target.value = "";
  };
  return (
    <>
      <input ref={files} {...input} multiple aria-label={t("chat.addPicture")} onChange={onChange} />
      <input ref={phone} {...input} capture="environment" aria-label={t("chat.takePicture")} onChange={onChange} />
      <RoundButton label={t("chat.addPicture")} disabled={disabled} onClick={() => files.current?.click()}><ImagePlus size={18} /></RoundButton>
      <RoundButton label={t("chat.takePicture")} disabled={disabled} onClick={() => (window.matchMedia(COARSE).matches ? phone.current?.click() : setOpen(true))}><Camera size={18} /></RoundButton>
      {open && <Suspense fallback={null}><CameraDialog onTake={(file) => attach([file])} onChoose={() => files.current?.click()} onClose={() => setOpen(false)} /></Suspense>}
    </>
  );
});

function RoundButton({ label, disabled, onClick, children }: { label: string; disabled: boolean; onClick: () => void; children: React.ReactNode }) {
  return (
    <Tooltip title={label}>
      <span><IconButton size="small" aria-label={label} disabled={disabled} onClick={onClick} sx={{ width: 36, height: 36 }}>{children}</IconButton></span>
    </Tooltip>
  );
}
