import { Box, Button, IconButton, Paper } from "@mui/material";
import { X } from "lucide-react";
import { useEffect, useLayoutEffect, useRef, useState, type FocusEvent } from "react";
import { createPortal } from "react-dom";
import { useTranslation } from "react-i18next";

import { useSignal } from "@/lib/signal";
import { dismiss, toasts, type Toast } from "@/lib/toast";

/** In front of everything, and inside the dialog that is open: what stands outside an open dialog is neither read out nor reached with Tab. */
export function Toasts() {
  const { t } = useTranslation();
  const list = useSignal(toasts);
  const place = usePlace();
  return createPortal(
    <Box
      role="log"
      aria-label={t("shell.messages")}
      sx={{ position: "fixed", zIndex: 1500, left: "50%", translate: "-50% 0", bottom: { xs: 72, md: 24 }, display: "grid", gap: 2, width: "max-content", maxWidth: "calc(100vw - 32px)" }}
    >
      {list.map((item) => (
        <OneToast key={item.id} item={item} />
      ))}
    </Box>,
    place,
  );
}

/** One element that moves into the dialog on top, and back to the page when none is open. The toasts in it never begin anew. */
function usePlace(): HTMLElement {
  const [place] = useState(() => {
    const made = document.createElement("div");
    // In the browser's top layer: a dialog that fades or slides away does not take its toasts with it.
    if ("showPopover" in made) made.popover = "manual";
    Object.assign(made.style, { position: "fixed", inset: "auto", width: "0", height: "0", margin: "0", padding: "0", border: "0", background: "none", overflow: "visible", visibility: "visible" });
    return made;
  });
  useEffect(() => {
    const settle = () => {
      const home = [...document.querySelectorAll("body > .MuiModal-root [role=dialog]")].at(-1) ?? document.body;
      if (place.parentElement === home) return;
      home.append(place);
      place.removeAttribute("aria-hidden");
      if (place.popover) place.showPopover();
    };
    settle();
    const opened = new MutationObserver(settle);
    opened.observe(document.body, { childList: true });
    return () => {
      opened.disconnect();
      place.remove();
    };
  }, [place]);
  return place;
}

function OneToast({ item }: { item: Toast }) {
  const { t } = useTranslation();
  // It stays for as long as somebody points at it or has reached it by keyboard.
  const [held, setHeld] = useState(false);
  useEffect(() => {
    if (held) return;
    const timer = setTimeout(() => dismiss(item.id), item.seconds * 1000);
    return () => clearTimeout(timer);
  }, [item, held]);
  const [hold, release] = [() => setHeld(true), () => setHeld(false)];
  const { paper, enter } = useFocusBack();
  return (
    <Paper
      ref={paper}
      onPointerEnter={hold}
      onPointerLeave={release}
      onFocus={(event) => {
        enter(event);
        hold();
      }}
      onBlur={release}
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
          <Box sx={{ position: "absolute", left: 0, bottom: 0, height: 2, width: "100%", bgcolor: "#ff9d86", transformOrigin: "left", animation: held ? "none" : `toast-left ${item.seconds}s linear forwards`, "@keyframes toast-left": { to: { transform: "scaleX(0)" } } }} />
        </Button>
      )}
      <IconButton size="small" onClick={() => dismiss(item.id)} aria-label={t("common.dismiss")} sx={{ color: "#aab3c0", "&:hover": { color: "#fff" } }}>
        <X size={16} />
      </IconButton>
    </Paper>
  );
}

/** Whoever is in a toast by keyboard when it goes is back where they came from, or in the dialog: the next key is for that. */
function useFocusBack() {
  const paper = useRef<HTMLDivElement>(null);
  const from = useRef<HTMLElement | null>(null);
  useLayoutEffect(() => {
    const toast = paper.current;
    return () => {
      if (!toast?.contains(document.activeElement)) return;
      const dialog = toast.closest("[role=dialog]")?.parentElement; // what MUI focuses when it opens
      (dialog ?? from.current)?.focus();
    };
  }, []);
  const enter = ({ relatedTarget, currentTarget }: FocusEvent) => {
    if (relatedTarget instanceof HTMLElement && !currentTarget.contains(relatedTarget)) from.current = relatedTarget;
  };
  return { paper, enter };
}
