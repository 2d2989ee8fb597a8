import { Box, Divider, Menu, MenuItem } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { Check, Minus, Plus } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { usePutInto } from "@/api/marking";
import { queries } from "@/api/queries";
import type { CollectionOut, Picked } from "@/api/types";

import { NameDialog } from "./CollectionDialogs";

/** Into which collections pictures go; with `from` they are moved out of that one. One that all are in is left by choosing it. */
export function CollectionMenu({ anchor, images, from, onClose }: { anchor: HTMLElement; images: Picked[]; from?: CollectionOut; onClose: () => void }) {
  const { t } = useTranslation();
  const collections = useQuery(queries.collections());
  const put = usePutInto();
  const [naming, setNaming] = useState(false);
  const inside = (one: CollectionOut) => images.filter((image) => image.collections?.includes(one.id)).length;
  if (naming) return <NameDialog onClose={onClose} onMade={(made) => put({ images, to: made, from })} />;
  return (
    <Menu open anchorEl={anchor} onClose={onClose} anchorOrigin={{ vertical: "top", horizontal: "center" }} transformOrigin={{ vertical: "bottom", horizontal: "center" }} slotProps={{ list: { "aria-label": t(from ? "gallery.moveTo" : "gallery.addTo") }, paper: { sx: { maxHeight: 380, maxWidth: 320 } } }}>
      {collections.data?.filter((one) => one.id !== from?.id).map((one) => {
        const count = inside(one);
        const all = count === images.length;
        return (
          <MenuItem
            key={one.id} role="menuitemcheckbox" aria-checked={all ? true : count ? "mixed" : false}
            onClick={() => {
              onClose();
              if (from) put({ images, to: one, from });
              else put(all ? { images, from: one } : { images, to: one });
            }}
            sx={{ gap: 2 }}
          >
            <Box sx={{ width: 16, display: "grid", color: "primary.main" }}>{all ? <Check size={15} /> : count > 0 ? <Minus size={15} /> : null}</Box>
            <Box component="span" sx={{ overflow: "hidden", textOverflow: "ellipsis" }}>{one.name}</Box>
          </MenuItem>
        );
      })}
      {(collections.data?.length ?? 0) > (from ? 1 : 0) && <Divider />}
      <MenuItem onClick={() => setNaming(true)} sx={{ gap: 2 }}><Plus size={16} />{t("gallery.newCollection")}…</MenuItem>
      {from && <MenuItem onClick={() => { onClose(); put({ images, from }); }} sx={{ gap: 2 }}><Minus size={16} />{t("gallery.takeOut", { name: from.name })}</MenuItem>}
    </Menu>
  );
}
