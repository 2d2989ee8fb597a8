import { Box, ButtonBase, Skeleton, Typography, useMediaQuery } from "@mui/material";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { ArrowUpRight } from "lucide-react";
import { memo, useRef } from "react";
import { useTranslation } from "react-i18next";

import { queries } from "@/api/queries";
import { COARSE, isMac } from "@/lib/browser";
import { hasEnded } from "@/lib/jobs";
import { useSignal } from "@/lib/signal";
import { TextLink } from "@/ui/links";
import { useKeptPlace } from "@/ui/useKeptPlace";

import { EarlierStrip } from "./EarlierStrip";
import { RunCard } from "./RunCard";
import { shown } from "./useGenerate";

const MOST = 12;

/**
 * Everything under way, what was made in this tab, newest first, and below it what was made before. Teaches when there is
 * nothing at all. Until it is known which of these it is, the shape of it stands there: nothing is drawn that would move.
 */
export const Runs = memo(function Runs({ onExample }: { /** Left out where words for a whole picture do not fit. */ onExample?: (prompt: string) => void }) {
  const { t } = useTranslation();
  const ours = useSignal(shown);
  const jobs = useQuery(queries.recentJobs());
  const gallery = useInfiniteQuery(queries.gallery());
  const system = useQuery(queries.system());
  const runs = (jobs.data ?? [])
    .filter((job) => job.kind === "image.generate" && (!hasEnded(job) || ours.includes(job.id)))
    .sort((a, b) => Number(b.status === "running") - Number(a.status === "running") || b.created_at.localeCompare(a.created_at));
  // Of a job that waits for its software the system knows whether that is being built: more or fewer lines above the tiles.
  const unclear = system.isPending && runs.some((job) => job.waiting?.reason === "environment");
  const list = useRef<HTMLElement>(null);
  const pending = jobs.isPending || unclear || (runs.length === 0 && gallery.isPending);
  useKeptPlace(list, "[data-place]", !pending && runs.length > 0, "[data-tile]");
  if (pending) return <Coming />;
  return (
    <>
      {runs.length > 0 ? (
        <Box component="section" ref={list} aria-label={t("generate.results")} sx={{ display: "grid", gap: 6, mt: 2, gridTemplateColumns: "minmax(0, 1fr)" }}>
          {runs.slice(0, MOST).map((job) => <RunCard key={job.id} job={job} />)}
          {runs.length > MOST && <TextLink to="/jobs" sx={{ fontSize: 13, color: "text.secondary", justifySelf: "start" }}>{t("generate.moreRuns", { count: runs.length - MOST })}</TextLink>}
        </Box>
      ) : (
        onExample && <Ideas large={gallery.isSuccess && !gallery.data.pages[0]?.items.length} onExample={onExample} />
      )}
      <EarlierStrip />
    </>
  );
});

function Coming() {
  return (
    <Box aria-busy sx={{ display: "grid", gap: 3, mt: 2 }}>
      <Skeleton variant="rectangular" width={160} height={20} />
      <Box sx={{ display: "flex", gap: 2, overflow: "hidden" }}>
        {[0, 1, 2, 3, 4, 5, 6].map((key) => <Skeleton key={key} variant="rectangular" width={124} height={124} sx={{ flex: "none" }} />)}
      </Box>
    </Box>
  );
}

function Ideas({ large, onExample }: { large: boolean; onExample: (prompt: string) => void }) {
  const { t } = useTranslation();
  const touch = useMediaQuery(COARSE);
  const examples = Object.values(t("generate.examples", { returnObjects: true }));
  const keys = touch ? t("generate.submit") : t("generate.submitHint", { key: isMac ? "⌘" : "Ctrl" });
  return (
    <Box sx={{ py: large ? { xs: 6, md: 12 } : 2, display: "grid", gap: 4, justifyItems: large ? "center" : "start", textAlign: large ? "center" : "left" }}>
      {large && (
        <Box sx={{ maxWidth: 480 }}>
          <Typography variant="h2" component="p">{t("generate.emptyTitle")}</Typography>
          <Typography sx={{ mt: 2, color: "text.secondary", textWrap: "balance" }}>{t("generate.emptyText", { keys })}</Typography>
        </Box>
      )}
      <Box sx={{ display: "flex", flexWrap: "wrap", gap: 2, width: { xs: 1, sm: "auto" }, justifyContent: large ? "center" : "flex-start", maxWidth: 760 }}>
        {examples.map((prompt) => (
          <ButtonBase
            key={prompt}
            onClick={() => onExample(prompt)}
            sx={{ display: "inline-flex", width: { xs: 1, sm: "auto" }, justifyContent: "space-between", alignItems: "center", gap: "7px", textAlign: "left", px: 3, py: "7px", borderRadius: "18px", border: 1, borderColor: "divider", bgcolor: "background.paper", color: "text.secondary", fontSize: 13, fontFamily: "inherit", transition: "border-color 120ms ease-out", "&:hover": { borderColor: "primary.main", color: "text.primary" }, "&.Mui-focusVisible": { outline: "2px solid", outlineColor: "primary.main" } }}
          >
            {prompt}
            <Box component={ArrowUpRight} size={14} aria-hidden sx={{ flexShrink: 0 }} />
          </ButtonBase>
        ))}
      </Box>
    </Box>
  );
}
