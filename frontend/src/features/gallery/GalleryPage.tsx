import { Box, Button, IconButton, InputBase, Skeleton } from "@mui/material";
import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Outlet } from "@tanstack/react-router";
import { Search, X } from "lucide-react";
import { useDeferredValue, useEffect, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";

import { asProblem } from "@/api/errors";
import { queries } from "@/api/queries";
import { EmptyState, FramesArt } from "@/ui/EmptyState";
import { ErrorNote } from "@/ui/ErrorNote";
import { PageHead } from "@/ui/Section";
import { ButtonLink } from "@/ui/links";

import { Grid } from "./Grid";
import { SelectionBar } from "./SelectionBar";

const route = getRouteApi("/gallery");

export function GalleryPage() {
  const { t } = useTranslation();
  const look = route.useSearch();
  const { q } = look;
  const gallery = useInfiniteQuery(queries.gallery(useDeferredValue(look)));
  const images = useMemo(() => gallery.data?.pages.flatMap((page) => page.items) ?? [], [gallery.data]);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const chosen = images.filter((image) => selected.has(image.id));
  // How many a search finds is known when all of them are here; until then there are more than these.
  const total = gallery.data?.pages[0]?.total ?? (gallery.hasNextPage ? null : images.length);
  const note = images.length === 0 ? null : total === null ? t("gallery.countMore", { count: images.length }) : t("gallery.count", { count: total });
  const problem = gallery.isError ? asProblem(gallery.error) : null;
  return (
    <>
      <PageHead title={t("gallery.title")} note={note}>
        <SearchBox key="search" />
      </PageHead>
      <Box sx={{ mt: 4 }}>
        {problem && images.length === 0 && <ErrorNote title={t("gallery.failed")} error={problem} details={problem.details} onRetry={() => void gallery.refetch()} />}
        {gallery.isPending && <Placeholder />}
        {gallery.isSuccess && images.length === 0 && (q ? <NoMatch query={q} /> : <Nothing />)}
        {images.length > 0 && <Grid images={images} selected={selected} onSelect={setSelected} hasMore={gallery.hasNextPage} loadingMore={gallery.isFetchingNextPage} loadMore={() => void gallery.fetchNextPage()} />}
      </Box>
      <SelectionBar images={chosen} onClear={() => setSelected(new Set())} />
      <Outlet />
    </>
  );
}

function SearchBox() {
  const { t } = useTranslation();
  const { q = "" } = route.useSearch();
  const go = route.useNavigate();
  const [text, setText] = useState(q);
  const [known, setKnown] = useState(q);
  if (known !== q) {
    // The address changed from outside (back, a link): follow it.
    setKnown(q);
    if (text.trim() !== q) setText(q);
  }
  useEffect(() => {
    if (text.trim() === q) return;
    const timer = setTimeout(() => void go({ to: ".", search: { q: text.trim() || undefined }, replace: true }), 220);
    return () => clearTimeout(timer);
  }, [text, q, go]);
  return (
    <Box sx={{ display: "flex", alignItems: "center", gap: 2, height: 36, width: { xs: "calc(100vw - 32px)", sm: 320 }, pl: 3, pr: 1, borderRadius: "8px", border: 1, borderColor: "divider", bgcolor: "background.paper", color: "text.faint", "&:focus-within": { borderColor: "primary.main" } }}>
      <Search size={16} aria-hidden />
      <InputBase type="search" fullWidth value={text} onChange={(event) => setText(event.target.value)} placeholder={t("gallery.search")} inputProps={{ "aria-label": t("gallery.search") }} sx={{ fontSize: 14, "& input:focus-visible": { outline: "none" }, "& input::-webkit-search-cancel-button": { display: "none" } }} />
      {text && <IconButton size="small" aria-label={t("common.clear")} onClick={() => setText("")}><X size={15} /></IconButton>}
    </Box>
  );
}

function Nothing() {
  const { t } = useTranslation();
  return (
    <EmptyState art={<FramesArt />} title={t("gallery.emptyTitle")} text={t("gallery.emptyText")}>
      <ButtonLink variant="contained" to="/">{t("gallery.emptyAction")}</ButtonLink>
    </EmptyState>
  );
}

function NoMatch({ query }: { query: string }) {
  const { t } = useTranslation();
  const go = route.useNavigate();
  return (
    <EmptyState title={t("gallery.noMatch", { query })} text="">
      <Button variant="outlined" color="inherit" onClick={() => void go({ to: ".", search: {} })}>{t("gallery.clearSearch")}</Button>
    </EmptyState>
  );
}

function Placeholder() {
  const widths = [22, 16, 26, 18, 18, 30, 20, 24, 26];
  return (
    <Box aria-busy sx={{ display: "flex", flexWrap: "wrap", gap: 1, mx: { xs: -4, md: 0 } }}>
      {[...widths, ...widths].map((width, index) => <Skeleton key={index} variant="rectangular" height={210} sx={{ flex: `1 1 ${width * 8}px`, borderRadius: "4px" }} />)}
    </Box>
  );
}
