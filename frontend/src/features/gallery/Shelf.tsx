import { Box, IconButton, Skeleton, Tooltip } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { Ellipsis, Heart, Pencil, Plus, Trash2 } from "lucide-react";
import { useEffect, useRef, useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { queries } from "@/api/queries";
import type { CollectionOut } from "@/api/types";
import type { Look } from "@/lib/look";
import { ButtonBaseLink } from "@/ui/links";
import { PickMenu } from "@/ui/PickMenu";

import { DeleteCollection, NameDialog } from "./CollectionDialogs";

const route = getRouteApi("/gallery");

/** The collections beside "all" and "favourites": one line that scrolls. */
export function Shelf() {
  const { t, i18n } = useTranslation();
  const look = route.useSearch();
  const collections = useQuery(queries.collections());
  const [asks, setAsks] = useState<{ what: "new" | "rename" | "delete"; one?: CollectionOut } | null>(null);
  const row = useRef<HTMLDivElement>(null);
  const chosen = collections.data?.find((one) => one.id === look.collection);
  useEffect(() => void row.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" }), [chosen?.id]);
  const close = () => setAsks(null);
  return (
    <>
      <Box ref={row} component="nav" aria-label={t("gallery.collections")} sx={{ mt: 3, display: "flex", alignItems: "center", gap: 1, height: 34, overflowX: "auto", scrollbarWidth: "none", mx: { xs: -4, md: 0 }, px: { xs: 4, md: 0 } }}>
        <Place on={!look.collection && !look.favourite} change={{ collection: undefined, favourite: undefined }}>{t("gallery.all")}</Place>
        <Place on={look.favourite === true && !look.collection} change={{ collection: undefined, favourite: true }}><Heart size={14} aria-hidden />{t("gallery.favourites")}</Place>
        {collections.isPending && <Skeleton variant="rectangular" width={120} height={32} sx={{ borderRadius: "16px", flex: "none" }} />}
        {collections.data?.map((one) => (
          <Box key={one.id} sx={{ flex: "none", display: "flex", alignItems: "center" }}>
            <Place on={one.id === look.collection} change={{ collection: one.id, favourite: undefined }}>
              {one.name}
              <Box component="span" sx={{ color: "text.faint", fontWeight: 450, fontVariantNumeric: "tabular-nums" }}>{new Intl.NumberFormat(i18n.language).format(one.count)}</Box>
            </Place>
            {one.id === look.collection && (
              <PickMenu
                label={t("gallery.collectionMenu", { name: one.name })} size={32} icon={<Ellipsis size={16} />} onPick={(what) => setAsks({ what: what as "rename" | "delete", one })}
                options={[{ key: "rename", text: t("gallery.rename"), icon: <Pencil size={15} /> }, { key: "delete", text: t("gallery.deleteCollection"), icon: <Trash2 size={15} />, danger: true }]}
              />
            )}
          </Box>
        ))}
        <Tooltip title={t("gallery.newCollection")}>
          <IconButton size="small" aria-label={t("gallery.newCollection")} onClick={() => setAsks({ what: "new" })} sx={{ width: 32, height: 32, flex: "none" }}><Plus size={17} /></IconButton>
        </Tooltip>
      </Box>
      {asks?.what === "new" && <NameDialog onClose={close} />}
      {asks?.what === "rename" && asks.one && <NameDialog collection={asks.one} onClose={close} />}
      {asks?.what === "delete" && asks.one && <DeleteCollection collection={asks.one} onClose={close} />}
    </>
  );
}

function Place({ on, change, children }: { on: boolean; change: Partial<Look>; children: ReactNode }) {
  return (
    <ButtonBaseLink
      to="/gallery" search={(old: object) => ({ ...old, ...change })} resetScroll={false} aria-current={on ? "true" : undefined}
      sx={{ flex: "none", maxWidth: 260, gap: "6px", px: 3, height: 32, borderRadius: "16px", fontSize: 13, fontWeight: on ? 600 : 450, whiteSpace: "nowrap", color: on ? "text.primary" : "text.secondary", border: 1, borderColor: on ? "text.disabled" : "transparent", bgcolor: on ? "background.paper" : "transparent", "&:hover": { color: "text.primary", borderColor: on ? "text.disabled" : "divider" }, "&.Mui-focusVisible": { outline: "2px solid", outlineColor: "primary.main", outlineOffset: "-2px" } }}
    >
      {children}
    </ButtonBaseLink>
  );
}
