import { Box, Button, Collapse, IconButton, Tooltip, Typography } from "@mui/material";
import { Code, Grid3x3, ImagePlus, MinusCircle, Sparkles } from "lucide-react";
import { useId, useRef, useState, type KeyboardEvent, type ReactNode, type RefObject } from "react";
import { useTranslation } from "react-i18next";

import { useComplain } from "@/api/actions";
import type { ModelOut } from "@/api/types";
import { COARSE, copyText, isMac, typeInto } from "@/lib/browser";
import { emphasis } from "@/lib/emphasis";
import { toast } from "@/lib/toast";
import { FieldNote } from "@/ui/NumberField";
import { PickMenu } from "@/ui/PickMenu";
import { card } from "@/ui/Section";
import { Writing } from "@/ui/Writing";

import { PromptBook } from "./PromptBook";
import { change, LIMITS, type Field, type Settings } from "./settings";
import { snippet, type Language } from "./snippets";
import { KINDS, takeFile } from "./source";
import { TranslateButton } from "./TranslateButton";
import { wantedNow } from "./useGenerate";

interface Props {
  promptRef: RefObject<HTMLTextAreaElement | null>;
  form: Settings;
  model: ModelOut | undefined;
  errors: Partial<Record<Field, string>>;
  sending: boolean;
  /** A video takes none; what is only made larger may do without. */
  words: "needed" | "optional" | "none";
  onSubmit: () => void;
  /** Asks for a grid of what the form says; left out where no grid is made of what is done. */
  onGrid?: () => void;
  onEdit: () => void;
  /** The picture that is worked from, and what to do with it. */
  children?: ReactNode;
}

/** Ctrl and the arrows upwards and downwards move the weight of words, as in A1111. Typed in, so that it can be undone. */
function weighs(event: KeyboardEvent<HTMLElement>): void {
  const field = event.target;
  const moves = event.key === "ArrowUp" || event.key === "ArrowDown";
  if (!(field instanceof HTMLTextAreaElement) || !moves || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
  event.preventDefault();
  const change = emphasis(field.value, field.selectionStart, field.selectionEnd, event.key === "ArrowUp");
  if (!change) return;
  typeInto(field, change.from, change.to, change.text);
  field.setSelectionRange(change.start, change.end);
}

/** The prompt, large and first. */
export function Composer({ promptRef, form, model, errors, sending, words, onSubmit, onGrid, onEdit, children }: Props) {
  const { t } = useTranslation();
  const id = useId();
  const [avoid, setAvoid] = useState(form.negative !== "");
  const complain = useComplain();
  const names = { curl: t("generate.copyCurl"), python: t("generate.copyPython"), javascript: t("generate.copyJavascript") };
  const copyAs = async (language: Language) => {
    const wanted = await wantedNow(model).catch(complain);
    if (wanted && (await copyText(snippet(language, location.origin, wanted)))) toast(t("generate.copiedAs", { name: names[language] }));
  };
  const near = form.prompt.length > LIMITS.prompt * 0.8;
  return (
    <Box
      component="form"
      onSubmit={(event) => {
        event.preventDefault();
        onSubmit();
      }}
      sx={{ ...card, borderColor: errors.prompt ? "error.main" : "divider", transition: "border-color 140ms ease-out, box-shadow 140ms ease-out", "&:focus-within": { borderColor: errors.prompt ? "error.main" : "text.disabled", boxShadow: "0 0 0 4px color-mix(in srgb, var(--a-palette-text-primary) 6%, transparent)" } }}
    >
      <Box component="label" htmlFor={id} sx={{ display: "block", px: { xs: 4, sm: 6 }, pt: 4, fontSize: 13, fontWeight: 550, color: "text.secondary" }}>{words === "none" ? t("task.noWordsTitle") : t("generate.prompt")}</Box>
      {words === "none" && <Typography sx={{ px: { xs: 4, sm: 6 }, pt: 2, pb: 4, color: "text.secondary" }}>{t("task.noWords")}</Typography>}
      {words !== "none" && <Writing
        id={id} inputRef={promptRef} minRows={2} maxRows={9} autoFocus
        value={form.prompt}
        placeholder={words === "optional" ? t("task.ownWords") : t("generate.placeholder")}
        onWrite={(prompt) => {
          change({ prompt });
          onEdit();
        }}
        onKeyDown={weighs}
        input={{ "aria-invalid": !!errors.prompt, "aria-describedby": `${id}-note`, "aria-keyshortcuts": "Control+Enter Meta+Enter Control+ArrowUp Control+ArrowDown" }}
        sx={{ px: { xs: 4, sm: 6 }, pt: 2, pb: 2, fontSize: 20, lineHeight: 1.4, letterSpacing: "-0.012em" }}
      />}
      <Box sx={{ px: { xs: 4, sm: 6 } }}>
        <FieldNote id={`${id}-note`} error={errors.prompt} />
        <Collapse in={avoid && words !== "none"} unmountOnExit>
          <Box sx={{ borderTop: 1, borderColor: "divider", py: 2 }}>
            <Typography component="label" htmlFor={`${id}-avoid`} variant="overline" sx={{ color: "text.secondary" }}>{t("generate.negative")}</Typography>
            <Writing
              id={`${id}-avoid`} minRows={1} maxRows={5}
              value={form.negative}
              placeholder={t("generate.negativePlaceholder")}
              onWrite={(negative) => {
                change({ negative });
                onEdit();
              }}
              onKeyDown={weighs}
              input={{ "aria-invalid": !!errors.negative_prompt, "aria-keyshortcuts": "Control+ArrowUp Control+ArrowDown" }}
              sx={{ fontSize: 14, py: 1 }}
            />
            <FieldNote error={errors.negative_prompt} />
          </Box>
        </Collapse>
      </Box>
      {children}
      <Box sx={{ display: "flex", alignItems: "center", gap: { xs: 0, sm: 1 }, px: { xs: 3, sm: 4 }, py: 3, pl: { xs: 2, sm: 4 }, "& > *": { flexShrink: 0 }, "& > [aria-expanded]": { flexShrink: 1 } }}>
        <PictureButton />
        {words !== "none" && <Button
          size="small"
          color="inherit"
          startIcon={<MinusCircle size={15} />}
          aria-expanded={avoid}
          aria-label={avoid ? t("generate.negativeNone") : t("generate.negativeAdd")}
          onClick={() => {
            if (avoid) change({ negative: "" });
            setAvoid(!avoid);
          }}
          sx={{ minWidth: 36, minHeight: 36, "& .MuiButton-startIcon": { ml: { xs: 0, sm: "-2px" }, mr: { xs: 0, sm: "7px" } } }}
        >
          <Box component="span" sx={{ display: { xs: "none", sm: "inline" }, minWidth: 0, overflow: "hidden", textOverflow: "ellipsis" }}>{avoid ? t("generate.negativeNone") : t("generate.negativeAdd")}</Box>
        </Button>}
        <PromptBook form={form} onPick={onEdit} />
        {words !== "none" && <TranslateButton form={form} onPick={onEdit} />}
        {onGrid && <Tooltip title={t("gallery.grid_")}><IconButton size="small" aria-label={t("gallery.grid_")} onClick={onGrid} sx={{ width: 36, height: 36 }}><Grid3x3 size={17} /></IconButton></Tooltip>}
        <PickMenu
          label={t("generate.copyAs")}
          icon={<Code size={17} />}
          options={(Object.keys(names) as Language[]).map((key) => ({ key, text: names[key] }))}
          onPick={(key) => void copyAs(key as Language)}
        />
        <Typography variant="mono" sx={{ ml: "auto", color: "text.faint", mr: 2, display: near ? "inline" : "none" }}>{form.prompt.length} / {LIMITS.prompt}</Typography>
        <Typography variant="caption" component="kbd" sx={{ ml: near ? 0 : "auto", mr: 3, fontFamily: "inherit", color: "text.faint", display: { xs: "none", sm: "inline" }, [`@media ${COARSE}`]: { display: "none" } }}>{t("generate.submitHint", { key: isMac ? "⌘" : "Ctrl" })}</Typography>
        <Button type="submit" variant="contained" startIcon={<Sparkles size={16} />} disabled={sending} sx={{ ml: { xs: "auto", sm: 0 }, px: 5, minHeight: 40 }}>
          {sending ? t("generate.submitting") : t("generate.submit")}
        </Button>
      </Box>
    </Box>
  );
}

/** A file of this machine to work from. */
function PictureButton() {
  const { t } = useTranslation();
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <input
        ref={input}
        type="file"
        hidden
        accept={KINDS.join(",")}
        data-testid="picture-file"
        onChange={(event) => {
          const file = event.target.files?.[0];
          if (file) void takeFile(file);
          event.target.value = ""; // the same file can be chosen again
        }}
      />
      <Tooltip title={t("task.addHint")}>
        <IconButton aria-label={t("task.add")} onClick={() => input.current?.click()} sx={{ width: 36, height: 36 }}><ImagePlus size={18} /></IconButton>
      </Tooltip>
    </>
  );
}
