import { ArrowDownToLine, Brush, Copy, ExternalLink, MoreHorizontal, Moon, PanelRight, Pause, Pencil, Pin, PinOff, Play, Power, SlidersHorizontal, Trash2, X, Zap } from "lucide-react";
import { useTranslation } from "react-i18next";

import { canDo, lookOf, type Who } from "@/lib/models";
import { PickMenu } from "@/ui/PickMenu";

import { useHubPage, useModelActions } from "./actions";
import type { Card } from "./cards";
import { ask } from "./dialogs";

/** Everything else that can be done with a model; what cannot be done now is not shown. */
export function ModelMenu({ card, who, tabIndex, inDrawer }: { card: Card; who: Who; tabIndex?: number; inDrawer?: boolean }) {
  const { t } = useTranslation();
  const acts = useModelActions();
  const page = useHubPage();
  const { model, offer } = card;
  const repo = model?.repo ?? offer?.repo;
  const can = model && canDo(model, who);
  const look = model && lookOf(model);
  const all: [string, boolean, React.ReactNode, () => void][] = [
    ["open", !inDrawer, <PanelRight key="i" size={15} />, () => acts.open(card.key)],
    ["use", !!can?.use, <Brush key="i" size={15} />, () => model && acts.use(model)],
    ["load", !!can?.load, <Zap key="i" size={15} />, () => model && acts.load(model)],
    ["loadWith", !!can?.options, <SlidersHorizontal key="i" size={15} />, () => ask("load", card.key)],
    ["pause", who.admin && look === "downloading", <Pause key="i" size={15} />, () => model && acts.pause(model)],
    ["resume", who.admin && look === "paused", <Play key="i" size={15} />, () => model && acts.resume(model)],
    ["cancel", who.admin && !!model?.download, <X key="i" size={15} />, () => model && acts.cancel(model)],
    ["park", !!can?.park, <Moon key="i" size={15} />, () => model && acts.park(model)],
    ["unload", !!can?.unload, <Power key="i" size={15} />, () => model && acts.unload(model)],
    ["plan", !!offer && who.admin, <ArrowDownToLine key="i" size={15} />, () => offer && acts.get(offer.repo, offer.key)],
    [model?.pinned ? "unpin" : "pin", !!can?.pin, model?.pinned ? <PinOff key="i" size={15} /> : <Pin key="i" size={15} />, () => model && acts.pin(model)],
    ["edit", !!can?.edit, <Pencil key="i" size={15} />, () => ask("edit", card.key)],
    ["copyKey", true, <Copy key="i" size={15} />, () => void acts.copyKey(card.key)],
    ["hub", !!repo, <ExternalLink key="i" size={15} />, () => void window.open(page(repo ?? ""), "_blank", "noopener")],
    ["delete", !!can?.remove, <Trash2 key="i" size={15} />, () => ask("delete", card.key)],
  ];
  const shown = all.filter(([, possible]) => possible);
  return (
    <PickMenu
      label={t("models.moreOf", { name: card.name })}
      icon={<MoreHorizontal size={18} />}
      tabIndex={tabIndex}
      options={shown.map(([key, , icon]) => ({ key, icon, text: t(`models.menu.${key}` as "models.menu.open"), danger: key === "delete" }))}
      onPick={(picked) => shown.find(([key]) => key === picked)?.[3]()}
    />
  );
}
