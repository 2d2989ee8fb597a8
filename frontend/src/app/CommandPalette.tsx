import { Box, Dialog, InputBase, Typography, useColorScheme } from "@mui/material";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Activity, BookOpen, Boxes, CornerDownLeft, Dices, Gauge, Images, Keyboard, Languages, ListChecks, ListTodo, MessageSquarePlus, MessagesSquare, Monitor, Moon, PackagePlus, Search, Sparkles, Sun, WandSparkles } from "lucide-react";
import { useId, useState, type KeyboardEvent, type ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { queries } from "@/api/queries";
import { languages, setLanguage, type Language } from "@/i18n";

interface Command { id: string; group: string; text: string; icon: ReactNode; run: () => void }

interface Props { onClose: () => void; onShortcuts: () => void }

export function CommandPalette({ onClose, onShortcuts }: Props) {
  const { t } = useTranslation();
  return (
    <Dialog open onClose={onClose} maxWidth="sm" fullWidth slotProps={{ paper: { "aria-label": t("shell.paletteLabel"), sx: { position: "absolute", top: "12vh", m: 0, width: "calc(100% - 32px)", maxHeight: "70vh" } } }}>
      <Palette onClose={onClose} onShortcuts={onShortcuts} />
    </Dialog>
  );
}

function Palette({ onClose, onShortcuts }: Props) {
  const { t } = useTranslation();
  const [query, setQuery] = useState("");
  const [at, setAt] = useState(0);
  const list = useId();
  const all = useCommands(onShortcuts);
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const found = all.filter((command) => words.every((word) => `${command.group} ${command.text}`.toLowerCase().includes(word)));
  const shown = (query ? found : found.filter((command) => !command.id.startsWith("language:"))).slice(0, 40);
  const chosen = Math.min(at, shown.length - 1);
  const run = (command: Command | undefined) => {
    if (!command) return;
    onClose();
    command.run();
  };
  const onKey = (event: KeyboardEvent) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by && shown.length) {
      event.preventDefault();
      const next = (chosen + by + shown.length) % shown.length;
      setAt(next);
      document.getElementById(`${list}-${next}`)?.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter") {
      event.preventDefault();
      run(shown[chosen]);
    }
  };
  return (
    <Box sx={{ display: "flex", flexDirection: "column", minHeight: 0 }} onKeyDown={onKey}>
      <Box sx={{ display: "flex", alignItems: "center", gap: 3, px: 4, borderBottom: 1, borderColor: "divider", color: "text.faint" }}>
        <Search size={18} aria-hidden />
        <InputBase
          autoFocus
          fullWidth
          value={query}
          placeholder={t("palette.placeholder")}
          onChange={(event) => {
            setQuery(event.target.value);
            setAt(0);
          }}
          inputProps={{ role: "combobox", "aria-label": t("shell.paletteLabel"), "aria-expanded": true, "aria-controls": list, "aria-activedescendant": shown.length ? `${list}-${chosen}` : undefined }}
          sx={{ height: 52, fontSize: 16, color: "text.primary" }}
        />
      </Box>
      <Box id={list} role="listbox" aria-label={t("shell.paletteLabel")} sx={{ overflow: "auto", p: 2 }}>
        {shown.length === 0 && <Typography sx={{ p: 4, color: "text.secondary" }}>{t("palette.nothing", { query })}</Typography>}
        {shown.map((command, index) => (
          <Box key={command.id} role="presentation">
            {command.group !== shown[index - 1]?.group && <Typography variant="caption" role="presentation" sx={{ display: "block", color: "text.faint", px: 3, pt: index ? 3 : 1, pb: 1 }}>{command.group}</Typography>}
            <Box
              id={`${list}-${index}`}
              role="option"
              aria-selected={index === chosen}
              onMouseMove={() => setAt(index)}
              onClick={() => run(command)}
              sx={{ display: "flex", alignItems: "center", gap: 3, px: 3, minHeight: 38, borderRadius: "8px", cursor: "pointer", bgcolor: index === chosen ? "action.hover" : "transparent", "& > svg:first-of-type": { color: "text.faint", flexShrink: 0 } }}
            >
              {command.icon}
              <Box component="span" sx={{ flex: 1, minWidth: 0, whiteSpace: "nowrap", overflow: "hidden", textOverflow: "ellipsis" }}>{command.text}</Box>
              {index === chosen && <CornerDownLeft size={14} aria-hidden />}
            </Box>
          </Box>
        ))}
      </Box>
    </Box>
  );
}

function useCommands(onShortcuts: () => void): Command[] {
  const { t } = useTranslation();
  const go = useNavigate();
  const { setMode } = useColorScheme();
  const { data } = useInfiniteQuery(queries.gallery());
  const models = useQuery(queries.models());
  const pictures = data?.pages.flatMap((page) => page.items).slice(0, 300) ?? [];
  const examples = t("generate.examples", { returnObjects: true });
  const icon = 17;
  const page = (id: string, text: string, sign: ReactNode, run: () => void): Command => ({ id, group: t("palette.pages"), text, icon: sign, run });
  const act = (id: string, text: string, sign: ReactNode, run: () => void): Command => ({ id, group: t("palette.actions"), text, icon: sign, run });
  return [
    page("generate", t("nav.generate"), <Sparkles size={icon} />, () => void go({ to: "/" })),
    page("gallery", t("nav.gallery"), <Images size={icon} />, () => void go({ to: "/gallery" })),
    page("chat", t("nav.chat"), <MessagesSquare size={icon} />, () => void go({ to: "/chat" })),
    page("models", t("nav.models"), <Boxes size={icon} />, () => void go({ to: "/models" })),
    page("jobs", t("nav.jobs"), <ListChecks size={icon} />, () => void go({ to: "/jobs" })),
    page("benchmark", t("benchmark.title"), <Gauge size={icon} />, () => void go({ to: "/chat/benchmark" })),
    page("batches", t("batches.title"), <ListTodo size={icon} />, () => void go({ to: "/jobs/batches" })),
    page("system", t("nav.system"), <Activity size={icon} />, () => void go({ to: "/system" })),
    page("creatures", t("creatures.title"), <Dices size={icon} />, () => void go({ to: "/creatures" })),
    page("docs", t("palette.apiDocs"), <BookOpen size={icon} />, () => void window.open("/docs", "_blank", "noopener")),
    act("add-model", t("models.add"), <PackagePlus size={icon} />, () => void go({ to: "/models", search: { add: "hub" } })),
    act("new-chat", t("chat.new"), <MessageSquarePlus size={icon} />, () => void go({ to: "/chat" })),
    act("shortcuts", t("palette.shortcuts"), <Keyboard size={icon} />, onShortcuts),
    act("light", t("palette.themeLight"), <Sun size={icon} />, () => setMode("light")),
    act("dark", t("palette.themeDark"), <Moon size={icon} />, () => setMode("dark")),
    act("system-theme", t("palette.themeSystem"), <Monitor size={icon} />, () => setMode("system")),
    ...(Object.keys(languages) as Language[]).map((code) => act(`language:${code}`, t("palette.language", { name: languages[code] }), <Languages size={icon} />, () => void setLanguage(code))),
    ...Object.values(examples).map((prompt, index): Command => ({ id: `example:${index}`, group: t("palette.examples"), text: prompt, icon: <WandSparkles size={icon} />, run: () => void go({ to: "/", search: { prompt } }) })),
    ...(models.data ?? []).map((model): Command => ({ id: `model:${model.key}`, group: t("nav.models"), text: model.name === model.key ? model.key : `${model.name} (${model.key})`, icon: <Boxes size={icon} />, run: () => void go({ to: "/models/$key", params: { key: model.key } }) })),
    ...pictures.map((image): Command => ({
      id: image.id,
      group: t("palette.pictures"),
      text: image.prompt,
      icon: <Box component="img" src={image.thumbnail_url} alt="" loading="lazy" sx={{ width: 24, height: 24, objectFit: "cover", borderRadius: "4px", flexShrink: 0 }} />,
      run: () => void go({ to: "/gallery/$id", params: { id: image.id } }),
    })),
  ];
}
