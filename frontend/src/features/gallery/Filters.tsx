import { Box, Button, ButtonBase, Menu, MenuItem, Popover, TextField } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { ChevronDown, X } from "lucide-react";
import { useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { queries } from "@/api/queries";
import { filtersOf, ASPECTS, KINDS, ORDERS, type Look } from "@/lib/look";
import { daysAgo } from "@/lib/days";

import { Stars } from "./Stars";

const route = getRouteApi("/gallery");
const SPANS = [0, 6, 29, 364] as const;

/** What narrows the gallery down, each with its values; all of it stands in the address. */
export function Filters() {
  const { t, i18n } = useTranslation();
  const look = route.useSearch();
  const go = route.useNavigate();
  const facets = useQuery(queries.facets()).data;
  const set = (change: Partial<Look>) => void go({ to: ".", search: (old) => ({ ...old, ...change }), resetScroll: false });
  const counted = (list: { name: string; count: number }[] | undefined) => (list ?? []).map(({ name, count }) => ({ value: name, text: name, note: new Intl.NumberFormat(i18n.language).format(count) }));
  const models = counted(facets?.models);
  const tags = counted(facets?.tags);
  const loras = counted(facets?.loras);
  const stars = look.unrated ? "0" : look.rating ? String(look.rating) : undefined;
  const set_ = filtersOf(look);
  const narrowed = Object.keys(set_).some((name) => !["collection", "favourite"].includes(name));
  return (
    <Box role="group" aria-label={t("gallery.filters")} sx={{ mt: 2, display: "flex", alignItems: "center", gap: 1, height: 34, overflowX: "auto", scrollbarWidth: "none", mx: { xs: -4, md: 0 }, px: { xs: 4, md: 0 } }}>
      <Choice name={t("gallery.order")} value={look.order ?? "newest"} always options={ORDERS.map((value) => ({ value, text: t(`gallery.orders.${value}`) }))} onPick={(order) => set({ order: order === "newest" ? undefined : (order as Look["order"]) })} />
      <Choice name={t("gallery.stars")} value={stars} options={[...[5, 4, 3, 2, 1].map((value) => ({ value: String(value), text: t("gallery.starsMore", { count: value }), shown: <Stars value={value} /> })), { value: "0", text: t("gallery.unrated") }]} onPick={(value) => set({ rating: Number(value) || undefined, unrated: value === "0" ? true : undefined })} />
      <Choice name={t("gallery.shape")} value={look.aspect} options={ASPECTS.map((value) => ({ value, text: t(`gallery.shapes.${value}`) }))} onPick={(aspect) => set({ aspect: aspect as Look["aspect"] })} />
      <Days since={look.since} until={look.until} onChange={set} />
      {(models.length > 1 || look.model) && <Choice name={t("generate.model")} value={look.model} options={models} onPick={(model) => set({ model })} />}
      {(tags.length > 0 || look.tag) && <Choice name={t("gallery.tag")} value={look.tag?.join(", ")} options={tags} onPick={(tag) => set({ tag: tag ? [tag] : undefined })} />}
      {(loras.length > 0 || look.lora) && <Choice name="LoRA" value={look.lora} options={loras} onPick={(lora) => set({ lora })} />}
      {((facets?.sizes.length ?? 0) > 1 || look.size) && <Choice name={t("gallery.size")} value={look.size} options={(facets?.sizes ?? []).map((one) => ({ value: `${one.width}x${one.height}`, text: `${one.width} × ${one.height}`, note: new Intl.NumberFormat(i18n.language).format(one.count) }))} onPick={(size) => set({ size })} />}
      {(facets?.has_videos || look.kind) && <Choice name={t("gallery.kind")} value={look.kind} options={KINDS.map((value) => ({ value, text: t(`gallery.kinds.${value}`) }))} onPick={(kind) => set({ kind: kind as Look["kind"] })} />}
      {look.parent && <Choice name={t("gallery.madeFromOne")} value={look.parent} options={[]} onPick={() => set({ parent: undefined })} />}
      {narrowed && <Button size="small" color="inherit" onClick={() => void go({ to: ".", search: ({ q, order, collection, favourite }) => ({ q, order, collection, favourite }), resetScroll: false })} sx={{ flex: "none", whiteSpace: "nowrap" }}>{t("gallery.clearFilters")}</Button>}
    </Box>
  );
}

interface Option { value: string; text: string; note?: string; shown?: ReactNode }

/** One filter: its name while it is open to all, its value once it is set, with a way to clear it. */
function Choice({ name, value, options, always, onPick }: { name: string; value: string | undefined; options: Option[]; always?: boolean; onPick: (value: string | undefined) => void }) {
  const { t } = useTranslation();
  const [anchor, setAnchor] = useState<HTMLElement | null>(null);
  const chosen = options.find((option) => option.value === value);
  return (
    <>
      <Pill name={name} value={value === undefined ? undefined : (chosen?.shown ?? chosen?.text ?? value)} spoken={chosen?.text ?? value} open={!!anchor} plain={always} onOpen={setAnchor} onClear={always ? undefined : () => onPick(undefined)} />
      <Menu anchorEl={anchor} open={!!anchor} onClose={() => setAnchor(null)} slotProps={{ list: { "aria-label": name }, paper: { sx: { maxHeight: 420, maxWidth: 340 } } }}>
        {!always && value !== undefined && <MenuItem onClick={() => { setAnchor(null); onPick(undefined); }}>{t("gallery.any")}</MenuItem>}
        {options.map((option) => (
          <MenuItem key={option.value} selected={option.value === value} onClick={() => { setAnchor(null); onPick(option.value); }} sx={{ gap: 4, justifyContent: "space-between" }}>
            <Box component="span" sx={{ overflow: "hidden", textOverflow: "ellipsis" }}>{option.text}</Box>
            {option.note && <Box component="span" sx={{ color: "text.faint", fontSize: 13, fontVariantNumeric: "tabular-nums" }}>{option.note}</Box>}
          </MenuItem>
        ))}
      </Menu>
    </>
  );
}

/** From one day to another, or one of the usual spans. */
function Days({ since, until, onChange }: { since?: string; until?: string; onChange: (change: Partial<Look>) => void }) {
  const { t, i18n } = useTranslation();
  const [anchor, setAnchor] = useState<HTMLElement | null>(null);
  const short = (day: string) => new Intl.DateTimeFormat(i18n.language, { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" }).format(new Date(day));
  const value = since && until ? (since === until ? short(since) : `${short(since)} – ${short(until)}`) : since ? t("gallery.sinceDay", { day: short(since) }) : until ? t("gallery.untilDay", { day: short(until) }) : undefined;
  const day = (label: string, shown: string | undefined, pick: (day: string | undefined) => void) => <TextField type="date" size="small" label={label} value={shown ?? ""} onChange={(event) => pick(event.target.value || undefined)} slotProps={{ inputLabel: { shrink: true } }} />;
  return (
    <>
      <Pill name={t("gallery.date")} value={value} spoken={value} opens="dialog" open={!!anchor} onOpen={setAnchor} onClear={() => onChange({ since: undefined, until: undefined })} />
      <Popover open={!!anchor} anchorEl={anchor} onClose={() => setAnchor(null)} anchorOrigin={{ vertical: "bottom", horizontal: "left" }} slotProps={{ paper: { "aria-label": t("gallery.date"), role: "dialog", sx: { p: 4, display: "grid", gap: 4, width: 280 } } }}>
        <Box sx={{ display: "grid", gridTemplateColumns: "1fr 1fr", gap: 2 }}>
          {SPANS.map((days) => <Button key={days} variant="outlined" color="inherit" size="small" onClick={() => { setAnchor(null); onChange({ since: daysAgo(days), until: undefined }); }}>{t(`gallery.spans.${days}`)}</Button>)}
        </Box>
        {day(t("gallery.from"), since, (picked) => onChange({ since: picked }))}
        {day(t("gallery.to"), until, (picked) => onChange({ until: picked }))}
      </Popover>
    </>
  );
}

function Pill({ name, value, spoken, opens = "menu", open, plain, onOpen, onClear }: { name: string; value: ReactNode; spoken?: string; opens?: "menu" | "dialog"; open: boolean; plain?: boolean; onOpen: (anchor: HTMLElement) => void; onClear?: () => void }) {
  const { t } = useTranslation();
  const on = value !== undefined && !plain;
  return (
    <Box sx={{ flex: "none", display: "flex", alignItems: "center", height: 30, borderRadius: "8px", border: 1, borderColor: on ? "primary.main" : "divider", bgcolor: on ? "background.paper" : "transparent", color: on ? "text.primary" : "text.secondary", "&:hover": { borderColor: on ? "primary.main" : "text.disabled" } }}>
      <ButtonBase aria-haspopup={opens} aria-expanded={open} aria-label={spoken ? `${name}: ${spoken}` : name} onClick={(event) => onOpen(event.currentTarget)} sx={{ height: 28, pl: "10px", pr: on ? "4px" : "8px", gap: "5px", fontSize: 13, fontWeight: on ? 550 : 450, maxWidth: 240, borderRadius: "7px", "&.Mui-focusVisible": { outline: "2px solid", outlineColor: "primary.main" } }}>
        <Box component="span" sx={{ overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap" }}>{value ?? name}</Box>
        {!on && <ChevronDown size={14} aria-hidden />}
      </ButtonBase>
      {on && onClear && <ButtonBase aria-label={t("gallery.clearFilter", { name })} onClick={onClear} sx={{ width: 26, height: 28, color: "text.faint", borderRadius: "7px", "&:hover": { color: "text.primary" }, "&.Mui-focusVisible": { outline: "2px solid", outlineColor: "primary.main" } }}><X size={14} /></ButtonBase>}
    </Box>
  );
}
