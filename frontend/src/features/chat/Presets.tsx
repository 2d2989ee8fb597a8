import { Box, Button, Chip, IconButton, OutlinedInput, Tooltip, Typography } from "@mui/material";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { BookmarkPlus, RefreshCw, Trash2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { useComplain } from "@/api/actions";
import * as api from "@/api/generated/sdk.gen";
import { keys } from "@/api/keys";
import { queries } from "@/api/queries";
import type { PresetOut } from "@/api/types";
import { toast } from "@/lib/toast";

import type { Shown } from "./SettingsDrawer";

const same = (preset: PresetOut, shown: Shown) => preset.system_prompt === shown.system_prompt && JSON.stringify(sorted(preset.parameters)) === JSON.stringify(sorted(shown.parameters)) && (preset.model === null || preset.model === shown.model);
const sorted = (parameters: object) => Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined).sort(([one], [other]) => one.localeCompare(other));

/** System prompts with parameters, by name: taken with one press, saved with two. */
export function Presets({ shown, onTake }: { shown: Shown; onTake: (preset: Partial<Shown>) => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const complain = useComplain();
  const presets = useQuery(queries.chatPresets());
  const [chosen, setChosen] = useState<string | null>(null);
  const [name, setName] = useState<string | null>(null);
  const done = () => void client.invalidateQueries({ queryKey: keys.chatPresets });
  const body = (called: string, model: string | null) => ({ name: called, system_prompt: shown.system_prompt, parameters: shown.parameters, model });
  const save = useMutation({ mutationFn: (called: string) => api.addChatPreset({ body: body(called, null) }), onSuccess: (made) => { setName(null); setChosen(made.id); done(); }, onError: complain });
  const update = useMutation({ mutationFn: (preset: PresetOut) => api.changeChatPreset({ path: { preset_id: preset.id }, body: body(preset.name, preset.model) }), onSuccess: done, onError: complain });
  const drop = useMutation({
    mutationFn: (preset: PresetOut) => api.deleteChatPreset({ path: { preset_id: preset.id } }),
    onSuccess: ({ id: _, ...gone }) => {
      done();
      toast(t("chat.presetDeleted", { name: gone.name }), { seconds: 10, action: { label: t("common.undo"), run: () => void api.addChatPreset({ body: gone }).then(done, complain) } });
    },
    onError: complain,
  });
  const one = presets.data?.find((preset) => preset.id === chosen) ?? presets.data?.find((preset) => same(preset, shown));
  return (
    <Box>
      <Box sx={{ display: "flex", alignItems: "center", minHeight: 34 }}>
        <Typography variant="overline" sx={{ color: "text.secondary", flex: 1 }}>{t("chat.presets")}</Typography>
        {one && !same(one, shown) && <Tooltip title={t("chat.presetUpdate", { name: one.name })}><IconButton size="small" aria-label={t("chat.presetUpdate", { name: one.name })} onClick={() => update.mutate(one)}><RefreshCw size={15} /></IconButton></Tooltip>}
        {one && <Tooltip title={t("chat.presetDelete", { name: one.name })}><IconButton size="small" aria-label={t("chat.presetDelete", { name: one.name })} onClick={() => drop.mutate(one)}><Trash2 size={15} /></IconButton></Tooltip>}
        <Tooltip title={t("chat.presetSave")}><IconButton size="small" aria-label={t("chat.presetSave")} aria-expanded={name !== null} onClick={() => setName(name === null ? "" : null)}><BookmarkPlus size={16} /></IconButton></Tooltip>
      </Box>
      <Box sx={{ display: "flex", flexWrap: "wrap", gap: 2, mt: 1 }}>
        {presets.data?.map((preset) => (
          <Chip
            key={preset.id} label={preset.name} variant="outlined" color={preset === one ? "primary" : "default"} aria-pressed={preset === one}
            onClick={() => {
              setChosen(preset.id);
              onTake({ system_prompt: preset.system_prompt, parameters: preset.parameters, ...(preset.model ? { model: preset.model } : {}) });
            }}
          />
        ))}
        {presets.data?.length === 0 && name === null && <Typography variant="body2" sx={{ color: "text.faint" }}>{t("chat.presetsNone")}</Typography>}
      </Box>
      {name !== null && (
        <Box component="form" onSubmit={(event) => { event.preventDefault(); if (name.trim()) save.mutate(name.trim()); }} sx={{ display: "flex", gap: 2, mt: 2 }}>
          <OutlinedInput size="small" fullWidth autoFocus value={name} placeholder={t("chat.presetName")} onChange={(event) => setName(event.target.value)} inputProps={{ "aria-label": t("chat.presetName"), maxLength: 60 }} />
          <Button type="submit" size="small" variant="contained" disabled={!name.trim() || save.isPending}>{t("chat.presetKeep")}</Button>
        </Box>
      )}
    </Box>
  );
}
