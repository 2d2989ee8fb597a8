import { Box, Button, ButtonBase, Checkbox, IconButton, InputBase, Popover, Tooltip, Typography } from "@mui/material";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { BookOpen, Heart, Plus, Trash2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { useComplain } from "@/api/actions";
import * as api from "@/api/generated/sdk.gen";
import { keys } from "@/api/keys";
import { queries } from "@/api/queries";
import type { PromptOut, StyleOut } from "@/api/types";
import { toast } from "@/lib/toast";
import { Field } from "@/ui/Field";
import { Segmented } from "@/ui/Segmented";

import { change, type Settings } from "./settings";

/** The API's limit. */
const MOST_STYLES = 10;

type Part = "recent" | "kept" | "styles";

/** Prompts that were used, those that somebody keeps, and styles: named words that are added to every prompt. */
export function PromptBook({ form, onPick }: { form: Settings; onPick: () => void }) {
  const { t } = useTranslation();
  const [anchor, setAnchor] = useState<HTMLElement | null>(null);
  const [part, setPart] = useState<Part>("recent");
  const close = () => setAnchor(null);
  const pick = (one: PromptOut) => {
    change({ prompt: one.prompt, negative: one.negative_prompt });
    onPick();
    close();
  };
  return (
    <>
      <Tooltip title={t("prompts.title")}>
        <IconButton size="small" aria-label={t("prompts.title")} aria-haspopup="dialog" aria-expanded={!!anchor} onClick={(event) => setAnchor(event.currentTarget)} sx={{ width: 36, height: 36, color: form.styles.length > 0 ? "primary.main" : undefined }}>
          <BookOpen size={17} />
        </IconButton>
      </Tooltip>
      <Popover anchorEl={anchor} open={!!anchor} onClose={close} anchorOrigin={{ vertical: "bottom", horizontal: "left" }} slotProps={{ paper: { role: "dialog", "aria-label": t("prompts.title"), sx: { width: 420, maxWidth: "calc(100vw - 24px)", p: 3 } } }}>
        <Segmented label={t("prompts.title")} value={part} onChange={setPart} options={(["recent", "kept", "styles"] as const).map((value) => ({ value, label: t(`prompts.parts.${value}`) }))} />
        <Box sx={{ mt: 3 }}>{part === "styles" ? <Styles chosen={form.styles} /> : <Prompts key={part} kept={part === "kept"} onPick={pick} />}</Box>
      </Popover>
    </>
  );
}

function Prompts({ kept, onPick }: { kept: boolean; onPick: (one: PromptOut) => void }) {
  const { t } = useTranslation();
  const [words, setWords] = useState("");
  // Nothing brings the history back: the same button asks once more.
  const [sure, setSure] = useState(false);
  const list = useQuery(queries.prompts(words.trim(), kept));
  const acts = useBook();
  return (
    <>
      <InputBase value={words} onChange={(event) => setWords(event.target.value.slice(0, 200))} placeholder={t("prompts.search")} fullWidth autoFocus inputProps={{ "aria-label": t("prompts.search") }} sx={{ border: 1, borderColor: "divider", borderRadius: "8px", px: 3, py: 1, fontSize: 14 }} />
      <Box component="ul" aria-label={t(`prompts.parts.${kept ? "kept" : "recent"}`)} sx={{ m: 0, mt: 2, p: 0, listStyle: "none", minHeight: 120, maxHeight: 300, overflow: "auto" }}>
        {list.data?.length === 0 && <Typography component="li" variant="body2" sx={{ color: "text.secondary", p: 3 }}>{t(words ? "prompts.nothingFound" : kept ? "prompts.noneKept" : "prompts.noneUsed")}</Typography>}
        {list.isError && <Typography component="li" variant="body2" sx={{ color: "error.main", p: 3 }}>{t("prompts.failed")}</Typography>}
        {list.data?.map((one) => (
          <Box component="li" key={one.id} sx={{ display: "flex", alignItems: "center", gap: 1, borderRadius: "8px", "&:hover, &:focus-within": { bgcolor: "action.hover" } }}>
            <ButtonBase onClick={() => onPick(one)} sx={{ flex: 1, minWidth: 0, justifyContent: "flex-start", textAlign: "left", px: 3, py: 2, borderRadius: "8px", fontFamily: "inherit", fontSize: 14, lineHeight: 1.4 }}>
              <Box component="span" sx={{ display: "-webkit-box", WebkitLineClamp: 2, WebkitBoxOrient: "vertical", overflow: "hidden" }}>{one.prompt}</Box>
            </ButtonBase>
            <IconButton size="small" aria-label={t("prompts.keep", { prompt: one.prompt })} aria-pressed={one.favourite} onClick={() => acts.favour.mutate(one)} sx={{ color: one.favourite ? "error.main" : "text.faint" }}><Heart size={15} fill={one.favourite ? "currentColor" : "none"} /></IconButton>
            <IconButton size="small" aria-label={t("prompts.forget", { prompt: one.prompt })} onClick={() => acts.forget.mutate(one)} sx={{ color: "text.faint" }}><Trash2 size={15} /></IconButton>
          </Box>
        ))}
      </Box>
      {!kept && (list.data?.length ?? 0) > 0 && <Button size="small" color={sure ? "error" : "inherit"} onClick={() => (sure ? acts.clear.mutate(undefined, { onSettled: () => setSure(false) }) : setSure(true))} onBlur={() => setSure(false)} sx={{ mt: 2 }}>{t(sure ? "prompts.clearSure" : "prompts.clear")}</Button>}
    </>
  );
}

function Styles({ chosen }: { chosen: string[] }) {
  const { t } = useTranslation();
  const list = useQuery(queries.styles());
  const [editing, setEditing] = useState<StyleOut | "new" | null>(null);
  // One that is gone would be asked for still, and refused.
  const gone = list.data ? chosen.filter((name) => !list.data.some((style) => style.name === name)) : [];
  if (editing) return <StyleForm style={editing === "new" ? null : editing} onDone={() => setEditing(null)} />;
  const full = chosen.length >= MOST_STYLES;
  const toggle = (name: string) => change({ styles: chosen.includes(name) ? chosen.filter((each) => each !== name) : [...chosen, name] });
  return (
    <>
      <Typography variant="body2" role="status" sx={{ color: "text.secondary", px: 1 }}>{t("prompts.aboutStyles")}{full && ` ${t("prompts.stylesFull", { max: MOST_STYLES })}`}</Typography>
      <Box component="ul" aria-label={t("prompts.parts.styles")} sx={{ m: 0, mt: 2, p: 0, listStyle: "none", maxHeight: 280, overflow: "auto" }}>
        {list.data?.map((style) => (
          <Box component="li" key={style.id} sx={{ display: "flex", alignItems: "center", gap: 1, borderRadius: "8px", "&:hover, &:focus-within": { bgcolor: "action.hover" } }}>
            <Checkbox size="small" checked={chosen.includes(style.name)} disabled={full && !chosen.includes(style.name)} onChange={() => toggle(style.name)} slotProps={{ input: { "aria-label": style.name } }} />
            <ButtonBase onClick={() => setEditing(style)} sx={{ flex: 1, minWidth: 0, display: "block", textAlign: "left", py: 1, borderRadius: "6px", fontFamily: "inherit" }}>
              <Box sx={{ fontSize: 14, fontWeight: 550 }}>{style.name}</Box>
              <Box sx={{ fontSize: 12, color: "text.secondary", overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap" }}>{style.prompt}</Box>
            </ButtonBase>
          </Box>
        ))}
        {gone.map((name) => (
          <Box component="li" key={name} sx={{ display: "flex", alignItems: "center", gap: 1 }}>
            <Checkbox size="small" checked onChange={() => toggle(name)} slotProps={{ input: { "aria-label": name } }} />
            <Box sx={{ minWidth: 0, py: 1 }}>
              <Box sx={{ fontSize: 14, fontWeight: 550, overflowWrap: "anywhere" }}>{name}</Box>
              <Box sx={{ fontSize: 12, color: "error.main" }}>{t("prompts.styleGone")}</Box>
            </Box>
          </Box>
        ))}
      </Box>
      <Button size="small" startIcon={<Plus size={15} />} onClick={() => setEditing("new")} sx={{ mt: 2 }}>{t("prompts.newStyle")}</Button>
    </>
  );
}

function StyleForm({ style, onDone }: { style: StyleOut | null; onDone: () => void }) {
  const { t } = useTranslation();
  const acts = useBook();
  const [words, setWords] = useState({ name: style?.name ?? "", prompt: style?.prompt ?? "", negative_prompt: style?.negative_prompt ?? "" });
  const put = (field: keyof typeof words, most: number) => (value: string) => setWords({ ...words, [field]: value.slice(0, most) });
  const save = () => {
    if (words.name.trim()) acts.saveStyle.mutate({ id: style?.id ?? null, words }, { onSuccess: (saved) => {
      if (style) change((now) => ({ styles: now.styles.map((name) => (name === style.name ? saved.name : name)) }));
      onDone();
    } });
  };
  return (
    <Box component="form" onSubmit={(event) => { event.preventDefault(); event.stopPropagation(); save(); }} sx={{ display: "grid", gap: 3 }}>
      <Field label={t("prompts.styleName")} value={words.name} onChange={put("name", 60)} autoFocus />
      <Field label={t("prompts.stylePrompt")} value={words.prompt} onChange={put("prompt", 1000)} />
      <Typography variant="caption" sx={{ color: "text.faint", mt: -2 }}>{t("prompts.stylePlace", { spot: "{prompt}" })}</Typography>
      <Field label={t("generate.negative")} value={words.negative_prompt} onChange={put("negative_prompt", 1000)} />
      <Box sx={{ display: "flex", gap: 2 }}>
        {style && <Button color="inherit" onClick={() => acts.dropStyle.mutate(style, { onSuccess: onDone })}>{t("common.delete")}</Button>}
        <Button color="inherit" onClick={onDone} sx={{ ml: "auto" }}>{t("common.cancel")}</Button>
        <Button type="submit" variant="contained" disabled={!words.name.trim() || acts.saveStyle.isPending}>{t("prompts.save")}</Button>
      </Box>
    </Box>
  );
}

/** What can be done with prompts and styles; a failure is told. */
function useBook() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const onError = useComplain();
  const again = () => client.invalidateQueries({ queryKey: keys.prompts });
  const options = { onError, onSettled: again };
  return {
    favour: useMutation({ mutationFn: (one: PromptOut) => api.changePrompt({ path: { prompt_id: one.id }, body: { favourite: !one.favourite } }), ...options }),
    forget: useMutation({ mutationFn: (one: PromptOut) => api.deletePrompt({ path: { prompt_id: one.id } }), ...options }),
    clear: useMutation({ mutationFn: () => api.clearPrompts(), ...options }),
    saveStyle: useMutation({
      mutationFn: ({ id, words }: { id: string | null; words: Omit<StyleOut, "id"> }) => (id ? api.changeStyle({ path: { style_id: id }, body: words }) : api.addStyle({ body: words })),
      ...options,
    }),
    dropStyle: useMutation({
      mutationFn: async (style: StyleOut) => {
        await api.deleteStyle({ path: { style_id: style.id } });
        change((now) => ({ styles: now.styles.filter((name) => name !== style.name) }));
        const undo = () => void api.addStyle({ body: { name: style.name, prompt: style.prompt, negative_prompt: style.negative_prompt } }).then(again, onError);
        toast(t("prompts.styleDeleted", { name: style.name }), { seconds: 10, action: { label: t("common.undo"), run: undo } });
      },
      ...options,
    }),
  };
}
