import { Box, Button, ButtonBase, Checkbox, FormControlLabel, MenuItem, Select, Typography } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { Check, Square, Zap } from "lucide-react";
import { useId, useState } from "react";
import { useTranslation } from "react-i18next";

import type { ModelOut } from "@/api/types";
import * as api from "@/api/generated/sdk.gen";
import { queries } from "@/api/queries";
import { canDo, lookOf, typeName } from "@/lib/models";
import { duration, gib } from "@/lib/numbers";
import { said } from "@/i18n/said";
import { toast } from "@/lib/toast";
import { Segmented } from "@/ui/Segmented";

import { useModelActions, useOrder, useWho } from "./actions";
import { Estimate } from "./Estimate";
import { Frame } from "@/ui/Frame";
import { InLine } from "@/ui/InLine";
import { CHAT_ENGINES, DTYPES, formOf, optionsOf, questionOf, remedied, sameOptions, TTLS, type ChatEngine, type Dtype, type LoadForm, type Ttl } from "./loading";
import { ChatOptions } from "./ChatOptions";
import { Labelled } from "./Labelled";
import { SpeedOptions } from "./SpeedOptions";

const CONTEXTS = [2048, 8192, 32_768, 131_072];

/** How a model is loaded, and beside it what that takes. Nothing starts before the button. */
export function LoadDialog({ model, onClose }: { model: ModelOut; onClose: () => void }) {
  const { t } = useTranslation();
  const acts = useModelActions();
  const order = useOrder();
  const who = useWho();
  const [form, setForm] = useState(() => formOf(model));
  const set = (change: Partial<LoadForm>) => setForm((old) => ({ ...old, ...change }));
  const options = optionsOf(form, model.task, model.chat);
  const [look, same] = [lookOf(model), sameOptions(options, model.load_options)];
  // One that is in memory can be loaded anew with other options; the server says when it is at work.
  const again = look === "ready" && !same && canDo(model, who).options;
  const keep = () => order.mutate({ key: model.key, call: () => api.changeModel({ path: { key: model.key }, body: { load_options: options } }), meanwhile: { load_options: options }, done: () => toast(t("models.load.kept")) });
  const load = () => {
    acts.load(model, options);
    onClose();
  };
  return (
    <Frame
      title={t("models.load.title", { name: model.name })} width="md" onClose={onClose}
      actions={
        <>
          {who.admin && <Button color="inherit" disabled={same || order.isPending} onClick={keep} sx={{ mr: "auto", ml: { xs: -2, sm: 0 } }}>{t("models.load.keep")}</Button>}
          <Button color="inherit" onClick={onClose} sx={{ display: { xs: "none", sm: "inline-flex" } }}>{t("common.close")}</Button>
          {who.admin && (look === "loading" || look === "waiting")
            ? <Button variant="outlined" color="inherit" startIcon={<Square size={13} />} disabled={acts.busy} onClick={() => acts.unload(model)}>{t("models.steps.stop")}</Button>
            : <Button variant="contained" startIcon={<Zap size={15} />} disabled={!(canDo(model, who).load || again)} onClick={load}>{t(again ? "models.load.again" : "models.load.now")}</Button>}
        </>
      }
    >
      <Box sx={{ display: "grid", gap: 6, gridTemplateColumns: { xs: "minmax(0, 1fr)", md: "minmax(0, 1fr) minmax(0, 1fr)" } }}>
        <Box sx={{ display: "grid", gap: 4, alignContent: "start", gridTemplateColumns: "minmax(0, 1fr)" }}>
          <Options model={model} form={form} set={set} />
          <Amounts model={model} form={form} set={set} />
          {model.task === "chat" && model.chat && <ChatOptions chat={model.chat} form={form} set={set} />}
          {(model.task === "image" || model.task === "video") && <SpeedOptions speed={form.speed} onChange={(speed) => set({ speed })} />}
        </Box>
        <Box sx={{ display: "flex", flexDirection: "column", gap: 4, minWidth: 0 }}>
          {look === "waiting" && model.waiting && <InLine wait={model.waiting} />}
          <Estimate question={questionOf(model, form)} onRemedy={(change) => setForm((old) => remedied(old, change))} />
        </Box>
      </Box>
    </Frame>
  );
}

function Options({ model, form, set }: { model: ModelOut; form: LoadForm; set: (change: Partial<LoadForm>) => void }) {
  const { t } = useTranslation();
  const [type, ttl, engine, lender] = [useId(), useId(), useId(), useId()];
  const words = (value: Ttl) => (value === "default" ? t("models.load.ttlDefault") : value === 0 ? t("models.load.ttlNever") : t("models.load.ttlAfter", { time: duration(value) }));
  const ttls: Ttl[] = TTLS.some((value) => value === form.ttl) ? [...TTLS] : [...TTLS, form.ttl];
  return (
    <>
      {model.chat && (
        <Labelled label={t("models.load.engine")} id={engine} hint={form.engine === "default" ? said({ message: model.chat.engine_reason, said: model.chat.engine_said }).text : undefined}>
          <Select size="small" fullWidth labelId={engine} value={form.engine} onChange={(event) => set({ engine: event.target.value as ChatEngine })}>
            <MenuItem value="default">{t("models.load.engineDefault")}</MenuItem>
            {Object.entries(CHAT_ENGINES).map(([value, name]) => <MenuItem key={value} value={value}>{name}</MenuItem>)}
          </Select>
        </Labelled>
      )}
      <Labelled label={t("models.load.dtype")} id={type} hint={t("models.load.dtypeHint")}>
        <Select size="small" fullWidth labelId={type} value={form.dtype} onChange={(event) => set({ dtype: event.target.value as Dtype })}>
          {DTYPES.map((value) => <MenuItem key={value} value={value}>{value === "default" ? t("models.load.dtypeDefault", { dtype: typeName(model.dtype) }) : value}</MenuItem>)}
        </Select>
      </Labelled>
      {model.parts && model.parts.lenders.length > 0 && (
        <Labelled label={t("models.load.parts")} id={lender} hint={t("models.load.partsHint")}>
          <Select size="small" fullWidth displayEmpty labelId={lender} value={form.partsFrom} onChange={(event) => set({ partsFrom: event.target.value })}>
            <MenuItem value="">{t("models.load.partsFirst", { model: model.parts.lenders[0] })}</MenuItem>
            {model.parts.lenders.map((key) => <MenuItem key={key} value={key}>{key}</MenuItem>)}
          </Select>
        </Labelled>
      )}
      <Devices chosen={form.devices} onChange={(devices) => set({ devices })} />
      <Labelled label={t("models.load.ttl")} id={ttl} hint={model.pinned ? t("models.load.pinnedHint") : undefined}>
        <Select size="small" fullWidth labelId={ttl} value={form.ttl} onChange={(event) => set({ ttl: event.target.value as Ttl })}>
          {ttls.map((value) => <MenuItem key={value} value={value}>{words(value)}</MenuItem>)}
        </Select>
      </Labelled>
    </>
  );
}

/** Any number of devices; none chosen means any. */
function Devices({ chosen, onChange }: { chosen: number[]; onChange: (devices: number[]) => void }) {
  const { t, i18n } = useTranslation();
  const system = useQuery(queries.system());
  const devices = system.data?.devices ?? [];
  const toggle = (index: number) => onChange(chosen.includes(index) ? chosen.filter((each) => each !== index) : [...chosen, index]);
  return (
    <Labelled label={t("models.load.devices")} hint={chosen.length > 1 ? t("models.load.spread", { count: chosen.length }) : chosen.length === 0 ? t("models.load.anyDevice") : undefined}>
      <Box role="group" aria-label={t("models.load.devices")} sx={{ display: "grid", gap: 1 }}>
        {devices.map((device) => {
          const on = chosen.includes(device.index);
          return (
            <ButtonBase key={device.index} role="checkbox" aria-checked={on} onClick={() => toggle(device.index)} sx={{ width: 1, gap: 2, px: 3, minHeight: 40, justifyContent: "flex-start", textAlign: "left", borderRadius: "8px", border: 1, borderColor: on ? "primary.main" : "divider", bgcolor: "background.raised", fontFamily: "inherit", fontSize: 13, "&.Mui-focusVisible": { outline: "2px solid", outlineColor: "primary.main" } }}>
              <Box sx={{ width: 16, height: 16, flexShrink: 0, borderRadius: "4px", border: 1, borderColor: on ? "primary.main" : "text.disabled", bgcolor: on ? "primary.main" : "transparent", color: "primary.contrastText", display: "grid", placeItems: "center" }}>{on && <Check size={12} strokeWidth={3} aria-hidden />}</Box>
              <Box component="span" sx={{ flex: 1, minWidth: 0, overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap" }}>{device.name}</Box>
              <Typography variant="mono" sx={{ color: "text.faint", flexShrink: 0 }}>{t("models.load.freeOf", { free: gib(Math.max(0, device.budget_bytes - device.leased_bytes), i18n.language) })}</Typography>
            </ButtonBase>
          );
        })}
      </Box>
    </Labelled>
  );
}

/** How much is asked of the model at once: the estimate depends on it, the loading does not. */
function Amounts({ model, form, set }: { model: ModelOut; form: LoadForm; set: (change: Partial<LoadForm>) => void }) {
  const { t } = useTranslation();
  const shape = useId();
  if (model.task === "image" && model.defaults) {
    const value = `${form.width}x${form.height}`;
    const sizes = [...new Set([...(model.presets ?? []).map((each) => `${each.width}x${each.height}`), value])];
    return (
      <Labelled label={t("models.load.for")} id={shape}>
        <Box sx={{ display: "grid", gap: 2, gridTemplateColumns: "1fr 1fr" }}>
          <Select size="small" labelId={shape} value={value} onChange={(event) => { const [width, height] = event.target.value.split("x").map(Number); set({ width, height }); }}>
            {sizes.map((size) => <MenuItem key={size} value={size}>{size.replace("x", " × ")}</MenuItem>)}
          </Select>
          <Segmented label={t("models.load.pictures")} value={form.batch} options={[1, 2, 4, 8].map((count) => ({ value: count, label: count, name: t("generate.summary", { count }) }))} onChange={(batch) => set({ batch })} />
        </Box>
      </Labelled>
    );
  }
  if (model.task === "chat") {
    return (
      <Labelled label={t("models.load.forChat")}>
        <Box sx={{ display: "grid", gap: 2, gridTemplateColumns: "1fr 1fr" }}>
          <Select size="small" value={form.context} inputProps={{ "aria-label": t("models.load.context") }} onChange={(event) => set({ context: event.target.value })}>
            {[...new Set([...CONTEXTS, form.context])].map((count) => <MenuItem key={count} value={count}>{t("models.load.tokens", { count })}</MenuItem>)}
          </Select>
          <Segmented label={t("models.load.batch")} value={form.batch} options={[...new Set([1, 4, 16, form.batch])].sort((a, b) => a - b).map((count) => ({ value: count, label: count, name: t("models.load.chats", { count }) }))} onChange={(batch) => set({ batch })} />
        </Box>
        <EightBits form={form} set={set} />
      </Labelled>
    );
  }
  return null;
}

/** What a chat model keeps in 8 bits, to leave room for more. */
function EightBits({ form, set }: { form: LoadForm; set: (change: Partial<LoadForm>) => void }) {
  const { t } = useTranslation();
  const { quantization, ...speed } = form.speed;
  const boxes: [string, boolean, (checked: boolean) => void][] = [
    [t("models.load.weightsFp8"), quantization === "fp8", (checked) => set({ speed: checked ? { ...speed, quantization: "fp8" } : speed })],
    [t("models.load.cacheFp8"), form.shortCache, (checked) => set({ shortCache: checked })],
  ];
  return (
    <Box sx={{ mt: 1, display: "grid" }}>
      {boxes.map(([label, on, put]) => <FormControlLabel key={label} control={<Checkbox size="small" checked={on} onChange={(_, checked) => put(checked)} />} label={<Typography variant="body2">{label}</Typography>} />)}
      <Typography variant="caption" sx={{ color: "text.faint" }}>{t("models.load.fp8Hint")}</Typography>
    </Box>
  );
}
