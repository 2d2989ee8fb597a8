import { Box, Drawer, IconButton, OutlinedInput, Switch, Typography } from "@mui/material";
import { X } from "lucide-react";
import { useId, useState } from "react";
import { useTranslation } from "react-i18next";

import type { ChatParameters } from "@/api/types";
import { Field } from "@/ui/Field";
import { Fold } from "@/ui/Fold";
import { FieldNote } from "@/ui/NumberField";

import { FIRST, MORE, numberOf, stopsOf, toolsOf, trimmed, type NumberParameter } from "./parameters";
import { Presets } from "./Presets";

export interface Shown { model: string | null; system_prompt: string; parameters: ChatParameters }

interface Props { shown: Shown; onChange: (change: Partial<Shown>) => void; onClose: () => void }

/** The system prompt and the parameters, of this conversation or of the next. */
export function SettingsDrawer({ shown, onChange, onClose }: Props) {
  const { t } = useTranslation();
  const { parameters } = shown;
  // A preset fills the fields anew; what somebody types into them stays as it was typed.
  const [round, setRound] = useState(0);
  const set = (patch: Partial<ChatParameters>) => onChange({ parameters: trimmed({ ...parameters, ...patch }) });
  const number = (one: NumberParameter) => <OwnNumber key={`${one.name}-${round}`} parameter={one} value={parameters[one.name] ?? null} onChange={(value) => set({ [one.name]: value })} />;
  const changed = MORE.filter((one) => typeof parameters[one.name] === "number").length + (parameters.stop?.length ? 1 : 0) + (parameters.tools?.length ? 1 : 0);
  return (
    <Drawer anchor="right" open onClose={onClose} slotProps={{ paper: { "aria-label": t("chat.settings"), role: "dialog", sx: { width: { xs: 1, sm: 400 }, maxWidth: 1, borderLeft: { sm: 1 }, borderColor: { sm: "divider" } } } }}>
      <Box sx={{ display: "flex", alignItems: "center", px: 6, height: 56, borderBottom: 1, borderColor: "divider", flexShrink: 0 }}>
        <Typography variant="h3" component="h2" sx={{ flex: 1 }}>{t("chat.settings")}</Typography>
        <IconButton aria-label={t("common.close")} onClick={onClose} edge="end"><X size={19} /></IconButton>
      </Box>
      <Box sx={{ overflow: "auto", p: 6, display: "grid", gap: 5, alignContent: "start", gridTemplateColumns: "minmax(0, 1fr)" }}>
        <Presets
          shown={shown}
          onTake={(preset) => {
            onChange(preset);
            setRound(round + 1);
          }}
        />
        <Written key={`system-${round}`} label={t("chat.systemPrompt")} value={shown.system_prompt} rows={4} placeholder={t("chat.systemPlaceholder")} onChange={(system_prompt) => onChange({ system_prompt })} />
        {FIRST.map(number)}
        <Choice text={t("chat.jsonAnswer")} on={parameters.json_answer === true} onChange={(on) => set({ json_answer: on || null })} />
        <Choice text={t("chat.dropOldest")} on={parameters.drop_oldest === true} onChange={(on) => set({ drop_oldest: on || null })} />
        <Box sx={{ px: 4, mx: -4 }}>
          <Fold title={t("chat.advanced")} note={changed ? t("chat.changed", { count: changed }) : null}>
            {MORE.map(number)}
            <Written key={`stop-${round}`} label={t("chat.parameters.stop")} hint={t("chat.stopHint")} value={(parameters.stop ?? []).join("\n")} rows={2} mono onChange={(text) => set({ stop: stopsOf(text) })} />
            <Tools key={`tools-${round}`} value={parameters.tools} onChange={(tools) => set({ tools })} />
          </Fold>
        </Box>
      </Box>
    </Drawer>
  );
}

function Choice({ text, on, onChange }: { text: string; on: boolean; onChange: (on: boolean) => void }) {
  return (
    <Box component="label" sx={{ display: "flex", alignItems: "center", justifyContent: "space-between", gap: 3, fontSize: 14 }}>
      {text}
      <Switch size="small" checked={on} onChange={(_, now) => onChange(now)} />
    </Box>
  );
}

/** A number, or nothing: then it is the model's own. */
function OwnNumber({ parameter, value, onChange }: { parameter: NumberParameter; value: number | null; onChange: (value: number | null) => void }) {
  const { t } = useTranslation();
  const id = useId();
  const [text, setText] = useState(value === null ? "" : String(value));
  const wrong = Number.isNaN(numberOf(text, parameter));
  const bounds = { min: parameter.min, max: parameter.max };
  return (
    <Box>
      <Box sx={{ display: "flex", alignItems: "center", gap: 3 }}>
        <Typography component="label" htmlFor={id} variant="body2" sx={{ flex: 1, color: "text.secondary" }}>{t(`chat.parameters.${parameter.name}`)}</Typography>
        <OutlinedInput
          id={id} size="small" value={text} error={wrong} placeholder={t("chat.own")}
          onChange={(event) => {
            setText(event.target.value);
            const typed = numberOf(event.target.value, parameter);
            if (!Number.isNaN(typed)) onChange(typed);
          }}
          inputProps={{ inputMode: "decimal", "aria-invalid": wrong, "aria-describedby": `${id}-note` }}
          sx={{ width: 132, "& input": { fontFamily: '"JetBrains Mono Variable", monospace', fontSize: 13, textAlign: "right" } }}
        />
      </Box>
      <FieldNote id={`${id}-note`} error={wrong ? t(parameter.whole ? "validation.integer" : "validation.range", bounds) : undefined} />
    </Box>
  );
}

/** A text that keeps what is typed while the server is told of it. */
function Written({ value, onChange, ...field }: { label: string; value: string; rows: number; hint?: string; placeholder?: string; mono?: boolean; onChange: (text: string) => void }) {
  const [text, setText] = useState(value);
  return (
    <Field
      {...field}
      value={text}
      onChange={(typed) => {
        setText(typed);
        onChange(typed);
      }}
    />
  );
}

function Tools({ value, onChange }: { value: ChatParameters["tools"]; onChange: (tools: Record<string, unknown>[]) => void }) {
  const { t } = useTranslation();
  const [text, setText] = useState(value?.length ? JSON.stringify(value, null, 2) : "");
  const found = toolsOf(text);
  return (
    <Field
      label={t("chat.parameters.tools")} hint={t("chat.toolsHint")} value={text} rows={4} mono error={found ? undefined : t("chat.toolsWrong")}
      onChange={(typed) => {
        setText(typed);
        const tools = toolsOf(typed);
        if (tools) onChange(tools);
      }}
    />
  );
}
