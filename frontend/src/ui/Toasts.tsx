import { Box, Button, IconButton, Paper } from "@mui/material";
import { X } from "lucide-react";
import { useEffect } from "react";
import { useTranslation } from "react-i18next";

import { useSignal } from "@/lib/signal";
import { dismiss, toasts, type Toast } from "@/lib/toast";

export function Toasts() {
  const list = useSignal(toasts);
  return (
    <Box
      role="status"
      aria-live="polite"
      sx={{ position: "fixed", zIndex: 1500, left: "50%", translate: "-50% 0", bottom: { xs: 72, md: 24 }, display: "grid", gap: 2, width: "max-content", maxWidth: "calc(100vw - 32px)" }}
    >
      {list.map((item) => (
        <OneToast key={item.id} item={item} />
      ))}
    </Box>
  );
}

function OneToast({ item }: { item: Toast }) {
  const { t } = useTranslation();
  useEffect(() => {
    const timer = setTimeout(() => dismiss(item.id), item.seconds * 1000);
    return () => clearTimeout(timer);
  }, [item]);
  return (
    <Paper
      sx={{
        display: "flex", alignItems: "center", gap: 2, pl: 4, pr: 1, py: 1, minHeight: 44, borderRadius: "10px", fontSize: 14,
        bgcolor: item.tone === "bad" ? "#7d1029" : "#1d242f", color: "#f4f6fa", boxShadow: "0 12px 32px -8px rgb(8 12 20 / 0.45)",
        animation: "toast-in 160ms ease-out", "@keyframes toast-in": { from: { opacity: 0, translate: "0 8px" } },
      }}
    >
      <Box sx={{ flex: 1, py: 1 }}>{item.text}</Box>
      {item.action && (
        <Button
          size="small"
          onClick={() => {
            item.action?.run();
            dismiss(item.id);
          }}
          sx={{ color: "#ff9d86", position: "relative", overflow: "hidden" }}
        >
          {item.action.label}
          <Box sx={{ position: "absolute", left: 0, bottom: 0, height: 2, width: "100%", bgcolor: "#ff9d86", transformOrigin: "left", animation: `toast-left ${item.seconds}s linear forwards`, "@keyframes toast-left": { to: { transform: "scaleX(0)" } } }} />
        </Button>
      )}
      <IconButton size="small" onClick={() => dismiss(item.id)} aria-label={t("common.dismiss")} sx={{ color: "#aab3c0", "&:hover": { color: "#fff" } }}>
        <X size={16} />
      </IconButton>
    </Paper>
  );
}
