import { Box, Skeleton, Typography } from "@mui/material";
import { useRef, useState, type KeyboardEvent } from "react";
import { useTranslation } from "react-i18next";

import type { DeviceOut } from "@/api/types";
import type { Who } from "@/lib/models";

import { neighbour, type Group } from "./cards";
import { CardSkeleton, ModelCard } from "./ModelCard";

const grid = { m: 0, p: 0, listStyle: "none", display: "grid", gap: 3, gridTemplateColumns: { xs: "minmax(0, 1fr)", sm: "repeat(auto-fill, minmax(316px, 1fr))" } } as const;

/** Groups of cards. One of them is in the line of the Tab key; arrows move among all of them, Enter opens. */
export function CardGrid({ groups, who, device }: { groups: Group[]; who: Who; device: DeviceOut | undefined }) {
  const { t } = useTranslation();
  const root = useRef<HTMLDivElement>(null);
  const [reach, setReach] = useState("");
  const all = groups.flatMap((group) => group.cards);
  const reachable = all.some((card) => card.key === reach) ? reach : all[0]?.key;
  const onKey = (event: KeyboardEvent) => {
    if (!(event.target as HTMLElement).matches("[data-card]") || event.altKey || event.ctrlKey || event.metaKey) return;
    const links = [...(root.current?.querySelectorAll<HTMLElement>("[data-card]") ?? [])];
    const boxes = links.map((link) => link.closest("li")?.getBoundingClientRect() ?? { left: 0, top: 0 });
    const next = neighbour(event.key, links.indexOf(event.target as HTMLElement), boxes);
    if (next === null) return;
    event.preventDefault();
    links[next]?.focus();
  };
  return (
    <Box ref={root} onKeyDown={onKey}>
      {groups.map((group) => (
        <Box component="section" key={group.task} aria-label={t(`models.tasks.${group.task}`)} sx={{ "& + &": { mt: 8 } }}>
          <Typography variant="h3" component="h2" sx={{ mb: 3 }}>{t(`models.tasks.${group.task}`)} <Box component="span" sx={{ color: "text.faint", fontWeight: 450, ml: 1 }}>{group.cards.length}</Box></Typography>
          <Box component="ul" sx={grid}>
            {group.cards.map((card) => <ModelCard key={card.key} card={card} who={who} device={device} reachable={card.key === reachable} onFocus={() => setReach(card.key)} />)}
          </Box>
        </Box>
      ))}
    </Box>
  );
}

export function GridSkeleton() {
  return (
    <Box aria-busy>
      <Skeleton variant="rectangular" width={120} height={22} sx={{ mb: 3 }} />
      <Box component="ul" sx={grid}>{[0, 1, 2, 3, 4, 5].map((key) => <CardSkeleton key={key} />)}</Box>
    </Box>
  );
}
