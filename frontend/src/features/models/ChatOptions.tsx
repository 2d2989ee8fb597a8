import { Autocomplete, Box, Button, MenuItem, Select, TextField, type AutocompleteRenderInputParams } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { ChevronDown } from "lucide-react";
import { useId, useState } from "react";
import { useTranslation } from "react-i18next";

import { queries } from "@/api/queries";
import type { ModelOut } from "@/api/types";

import { Labelled } from "./Labelled";
import { IMAGES, NO_PARSER, PARSER, REASONING_PARSERS, TOOL_PARSERS, type LoadForm } from "./loading";

/** How a chat model's words are read, how many pictures it takes, and the LoRAs beside it. Folded away, unless something is set. */
export function ChatOptions({ chat, form, set }: { chat: NonNullable<ModelOut["chat"]>; form: LoadForm; set: (change: Partial<LoadForm>) => void }) {
  const { t } = useTranslation();
  const [open, setOpen] = useState(!!form.toolParser || !!form.reasoningParser || form.images !== "default" || form.loras.length > 0);
  const [id, pictures, added] = [useId(), useId(), useId()];
  const models = useQuery(queries.models());
  const loras = (models.data ?? []).filter((model) => model.type === "lora" && model.task === "chat");
  const usual = chat.usual;
  const sees = usual.images !== null && usual.images !== undefined;
  return (
    <Box>
      <Button size="small" color="inherit" aria-expanded={open} aria-controls={id} onClick={() => setOpen(!open)} endIcon={<ChevronDown size={14} style={{ transform: open ? "rotate(180deg)" : undefined }} aria-hidden />} sx={{ px: 2, ml: -2 }}>
        {t("models.chat.title")}
      </Button>
      {open && (
        <Box id={id} sx={{ display: "grid", gap: 3, mt: 2, gridTemplateColumns: "minmax(0, 1fr)" }}>
          <Parser label={t("models.chat.tools")} value={form.toolParser} usual={usual.tool_parser} known={TOOL_PARSERS} onChange={(toolParser) => set({ toolParser })} />
          <Parser label={t("models.chat.reasoning")} value={form.reasoningParser} usual={usual.reasoning_parser} known={REASONING_PARSERS} onChange={(reasoningParser) => set({ reasoningParser })} />
          {sees && (
            <Labelled label={t("models.chat.images")} id={pictures}>
              <Select size="small" fullWidth labelId={pictures} value={form.images} onChange={(event) => set({ images: event.target.value === "default" ? "default" : Number(event.target.value) })}>
                <MenuItem value="default">{t("models.chat.usual", { value: String(usual.images) })}</MenuItem>
                {[...new Set([...IMAGES, ...(form.images === "default" ? [] : [form.images])])].map((count) => <MenuItem key={count} value={count}>{t("models.chat.pictures", { count })}</MenuItem>)}
              </Select>
            </Labelled>
          )}
          {(chat.adapts || form.loras.length > 0) && (
            <Labelled label={t("models.chat.loras")} id={added} hint={t("models.chat.lorasHint")}>
              <Autocomplete
                multiple size="small" options={loras.map((model) => model.key)} value={form.loras} onChange={(_, chosen) => set({ loras: chosen })}
                getOptionLabel={(key) => loras.find((model) => model.key === key)?.name ?? key} noOptionsText={t("models.chat.noLoras")}
                renderInput={(props) => <TextField {...props} slotProps={named(props, added)} />}
              />
            </Labelled>
          )}
        </Box>
      )}
    </Box>
  );
}

/** By vLLM's name for it: one of those that are known, or another that is typed. */
function Parser({ label, value, usual, known, onChange }: { label: string; value: string; usual: string | null; known: string[]; onChange: (value: string) => void }) {
  const { t } = useTranslation();
  const wrong = !!value && !PARSER.test(value);
  const id = useId();
  return (
    <Labelled label={label} id={id}>
      <Autocomplete
        freeSolo size="small" options={[NO_PARSER, ...known]} inputValue={value} onInputChange={(_, typed) => onChange(typed.trim())}
        getOptionLabel={(name) => name} renderOption={({ key, ...props }, name) => <li key={key} {...props}>{name === NO_PARSER ? t("models.chat.none") : name}</li>}
        renderInput={(props) => <TextField {...props} error={wrong} helperText={wrong ? t("models.chat.wrong") : undefined} placeholder={t("models.chat.usual", { value: usual ?? t("models.chat.none") })} slotProps={named(props, id)} />}
      />
    </Labelled>
  );
}

/** The field of an Autocomplete, under a name that stands above it. */
function named(props: AutocompleteRenderInputParams, id: string) {
  return { ...props.slotProps, htmlInput: { ...props.slotProps.htmlInput, "aria-labelledby": id } };
}
