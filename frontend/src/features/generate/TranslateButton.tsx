import { CircularProgress, IconButton, Tooltip } from "@mui/material";
import { useMutation } from "@tanstack/react-query";
import { Languages } from "lucide-react";
import { useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";

import { useComplain } from "@/api/actions";
import { translatePrompt } from "@/api/generated/sdk.gen";
import { toast } from "@/lib/toast";

import { change, settings, type Settings } from "./settings";

/** The prompt in English, through a chat model. Pressed again while it works, it stops. What was typed comes back with Undo. */
export function TranslateButton({ form, onPick }: { form: Settings; onPick: () => void }) {
  const { t } = useTranslation();
  const complain = useComplain();
  const asked = useRef<AbortController | null>(null);
  useEffect(() => () => asked.current?.abort(), []);
  const typed = form.prompt.trim();
  const work = useMutation({
    mutationFn: (text: string) => {
      asked.current = new AbortController();
      return translatePrompt({ body: { text }, signal: asked.current.signal });
    },
    onSuccess: (done, text) => {
      if (settings.get().prompt.trim() !== text) return; // typed on meanwhile: those words stay
      if (!done.changed) return void toast(t(`translate.${done.reason ?? "english"}`, { model: done.model ?? "" }));
      const before = settings.get();
      change({ prompt: done.text, translated: { from: text, to: done.text } });
      onPick();
      const undo = () => change({ prompt: before.prompt, translated: before.translated });
      toast(t("translate.done", { model: done.model ?? "" }), { seconds: 10, action: { label: t("translate.undo"), run: undo } });
    },
    onError: (error) => {
      if (!asked.current?.signal.aborted) complain(error);
    },
  });
  const label = work.isPending ? t("translate.stop") : t("translate.ask");
  return (
    <Tooltip title={label}>
      <span>
        <IconButton
          size="small"
          aria-label={label}
          aria-busy={work.isPending}
          disabled={typed === "" && !work.isPending}
          onClick={() => (work.isPending ? asked.current?.abort() : work.mutate(typed))}
          sx={{ width: 36, height: 36 }}
        >
          {work.isPending ? <CircularProgress size={16} thickness={5} /> : <Languages size={17} />}
        </IconButton>
      </span>
    </Tooltip>
  );
}
