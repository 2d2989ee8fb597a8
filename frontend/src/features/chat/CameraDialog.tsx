import { Box, Button, Dialog, DialogActions, DialogContent, DialogTitle, Typography } from "@mui/material";
import { CameraOff } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";

type Trouble = "insecure" | "denied" | "none" | "busy" | "failed";

const TROUBLES: Record<string, Trouble> = { NotAllowedError: "denied", SecurityError: "denied", NotFoundError: "none", OverconstrainedError: "none", NotReadableError: "busy", AbortError: "busy" };

// Browsers leave it out on plain http from another machine.
const cameras = () => (navigator.mediaDevices as MediaDevices | undefined) ?? null;

interface Props { onTake: (file: File) => void; onChoose: () => void; onClose: () => void }

/** A picture from this machine's camera; where there is none to be had, why, and what else one can do. */
export default function CameraDialog({ onTake, onChoose, onClose }: Props) {
  const { t } = useTranslation();
  const video = useRef<HTMLVideoElement>(null);
  const [round, setRound] = useState(0);
  const [live, setLive] = useState(false);
  const [trouble, setTrouble] = useState<Trouble | null>(cameras() ? null : "insecure");
  useEffect(() => {
    let stream: MediaStream | null = null;
    let gone = false;
    const end = () => stream?.getTracks().forEach((track) => track.stop());
    cameras()?.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1920 } } }).then(
      (given) => {
        stream = given;
        if (gone || !video.current) return end();
        video.current.srcObject = given;
        void video.current.play().catch(() => undefined);
        setLive(true);
      },
      (error: unknown) => !gone && setTrouble((error instanceof DOMException && TROUBLES[error.name]) || "failed"),
    );
    return () => {
      gone = true;
      end();
    };
  }, [round]);
  const take = () => {
    const from = video.current;
    if (!from?.videoWidth) return;
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [from.videoWidth, from.videoHeight];
    canvas.getContext("2d")?.drawImage(from, 0, 0);
    canvas.toBlob((blob) => {
      if (blob) onTake(new File([blob], "camera.jpg", { type: "image/jpeg" }));
      onClose();
    }, "image/jpeg", 0.92);
  };
  return (
    <Dialog open onClose={onClose} maxWidth="sm" fullWidth aria-labelledby="camera-title">
      <DialogTitle id="camera-title">{t("chat.takePicture")}</DialogTitle>
      <DialogContent>
        {trouble ? (
          <Box role="alert" sx={{ display: "grid", justifyItems: "center", textAlign: "center", gap: 3, py: 6, color: "text.secondary" }}>
            <CameraOff size={36} strokeWidth={1.4} aria-hidden />
            <Typography sx={{ maxWidth: "44ch" }}>{t(`chat.camera.${trouble}`)}</Typography>
          </Box>
        ) : (
          <Box component="video" ref={video} muted playsInline aria-label={t("chat.camera.view")} onLoadedMetadata={() => setLive(true)} sx={{ display: "block", width: 1, aspectRatio: "4 / 3", objectFit: "contain", borderRadius: "10px", bgcolor: "background.sunken" }} />
        )}
      </DialogContent>
      <DialogActions>
        <Button color="inherit" onClick={onClose}>{t("common.cancel")}</Button>
        {trouble && <Button color="inherit" variant="outlined" onClick={() => { onClose(); onChoose(); }}>{t("chat.camera.choose")}</Button>}
        {trouble && trouble !== "insecure" && <Button variant="contained" onClick={() => { setTrouble(null); setLive(false); setRound(round + 1); }}>{t("common.retry")}</Button>}
        {!trouble && <Button variant="contained" disabled={!live} onClick={take}>{t("chat.camera.take")}</Button>}
      </DialogActions>
    </Dialog>
  );
}
