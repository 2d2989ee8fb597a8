import { Box, Button, IconButton, InputBase, Skeleton, Tooltip } from "@mui/material";
import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Outlet } from "@tanstack/react-router";
import { HardDrive, Search, X } from "lucide-react";
import { useCallback, useDeferredValue, useEffect, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";

import { useComplain } from "@/api/actions";
import { asProblem } from "@/api/errors";
import { queries } from "@/api/queries";
import type { ImageOut, Picked } from "@/api/types";
import { isWhole, type Look } from "@/lib/look";
import { EmptyState, FramesArt } from "@/ui/EmptyState";
import { ErrorNote } from "@/ui/ErrorNote";
import { PageHead } from "@/ui/Section";
import { ButtonLink } from "@/ui/links";

import { Filters } from "./Filters";
import { Grid } from "./Grid";
import { SelectionBar } from "./SelectionBar";
import { Shelf } from "./Shelf";
import { StorageDialog } from "./StorageDialog";
import { TagDialog } from "./TagEditor";

const route = getRouteApi("/gallery");

export function GalleryPage() {
  const { t } = useTranslation();
  const look = route.useSearch();
  const shown = useDeferredValue(look);
  const gallery = useInfiniteQuery(queries.gallery(shown));
  const images = useMemo(() => gallery.data?.pages.flatMap((page) => page.items) ?? [], [gallery.data]);
  const { selected, setSelected, selectAll, known } = useSelection(shown, images, gallery.hasNextPage);
  const chosen = useMemo(() => known(selected), [known, selected]);
  const [tagged, setTagged] = useState<ReadonlySet<string> | null>(null);
  // As they are now: each change is shown while the dialog is open.
  const tagging = tagged && known(tagged);
  const tag = (pictures: Picked[]) => setTagged(new Set(pictures.map(({ id }) => id)));
  const narrowed = !isWhole(look);
  const [storage, setStorage] = useState(false);
  // How many a search finds is known when all of them are here; until then there are more than these.
  const total = gallery.data?.pages[0]?.total ?? (gallery.hasNextPage ? null : images.length);
  const note = images.length === 0 ? null : total === null ? t("gallery.countMore", { count: images.length }) : t("gallery.count", { count: total });
  const problem = gallery.isError ? asProblem(gallery.error) : null;
  // All that are here were deleted, and there are more.
  const { fetchNextPage, hasNextPage, isFetchingNextPage, isError } = gallery;
  const loadRest = useCallback(async (wanted: () => boolean) => {
    while (wanted()) {
      const { hasNextPage, isError } = await fetchNextPage({ cancelRefetch: false });
      if (!hasNextPage) return true;
      if (isError) return null;
    }
    return null;
  }, [fetchNextPage]);
  const goesOn = images.length === 0 && hasNextPage && !isError;
  useEffect(() => {
    if (goesOn && !isFetchingNextPage) void fetchNextPage();
  }, [goesOn, isFetchingNextPage, fetchNextPage]);
  return (
    <>
      <PageHead title={t("gallery.title")} note={note}>
        <Box sx={{ display: "flex", alignItems: "center", gap: 2, "& > div": { flexShrink: 1, minWidth: 0 } }}>
          <SearchBox key="search" />
          <Tooltip title={t("gallery.storage")}><IconButton aria-label={t("gallery.storage")} onClick={() => setStorage(true)}><HardDrive size={18} /></IconButton></Tooltip>
        </Box>
      </PageHead>
      <Shelf />
      <Filters />
      <Box sx={{ mt: 3 }}>
        {problem && images.length === 0 && <ErrorNote title={t("gallery.failed")} error={problem} details={problem.details} onRetry={() => void gallery.refetch()} />}
        {(gallery.isPending || goesOn) && <Placeholder />}
        {gallery.isSuccess && !goesOn && images.length === 0 && (narrowed ? <NoMatch look={look} /> : <Nothing />)}
        {images.length > 0 && <Grid images={images} selected={selected} chosen={chosen} onSelect={setSelected} onSelectAll={selectAll} onTag={tag} hasMore={gallery.hasNextPage} loadingMore={gallery.isFetchingNextPage} loadMore={() => void gallery.fetchNextPage()} loadRest={loadRest} />}
      </Box>
      <SelectionBar images={chosen} look={look} onTag={() => tag(chosen)} onAll={chosen.length < images.length || (gallery.hasNextPage && chosen.length === images.length) ? selectAll : undefined} onClear={() => setSelected(new Set())} />
      {tagging && tagging.length > 0 && <TagDialog images={tagging} onClose={() => setTagged(null)} />}
      {storage && <StorageDialog onClose={() => setStorage(false)} />}
      <Outlet />
    </>
  );
}

/**
 * Which pictures are selected: of those that are here, and once all were asked for also of those that are not. What goes
 * meanwhile, here or in another tab, is not counted any more.
 */
function useSelection(look: Look, images: ImageOut[], hasMore: boolean) {
  const client = useQueryClient();
  const complain = useComplain();
  const [{ selected, all }, setSelection] = useState<{ selected: ReadonlySet<string>; all: boolean }>({ selected: new Set(), all: false });
  const marks = useQuery({ ...queries.marks(look), enabled: all }).data;
  const known = useCallback((ids: ReadonlySet<string>): Picked[] => {
    const here = new Set(images.map(({ id }) => id));
    return [...images.filter(({ id }) => ids.has(id)), ...(all ? (marks ?? []).filter(({ id }) => ids.has(id) && !here.has(id)) : [])];
  }, [images, marks, all]);
  const setSelected = useCallback((ids: ReadonlySet<string>) => setSelection((old) => ({ selected: ids, all: old.all && ids.size > 0 })), []);
  const selectAll = () => {
    setSelected(new Set(images.map(({ id }) => id)));
    if (!hasMore) return;
    client.fetchQuery({ ...queries.marks(look), staleTime: 0 }).then((every) => setSelection({ selected: new Set(every.map(({ id }) => id)), all: true }), complain);
  };
  return { selected, setSelected, selectAll, known };
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
    const timer = setTimeout(() => void go({ to: ".", search: (old) => ({ ...old, q: text.trim() || undefined }), replace: true }), 220);
    return () => clearTimeout(timer);
  }, [text, q, go]);
  return (
    <Box sx={{ display: "flex", alignItems: "center", gap: 2, height: 36, width: { xs: "calc(100vw - 74px)", sm: 320 }, pl: 3, pr: 1, borderRadius: "8px", border: 1, borderColor: "divider", bgcolor: "background.paper", color: "text.faint", "&:focus-within": { borderColor: "text.secondary" } }}>
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

function NoMatch({ look }: { look: Look }) {
  const { t } = useTranslation();
  const go = route.useNavigate();
  const collection = useQuery(queries.collections()).data?.find((one) => one.id === look.collection);
  const only = (name: keyof Look) => Object.keys(look).every((key) => key === name || key === "order");
  if (collection && only("collection")) return <EmptyState art={<FramesArt />} title={t("gallery.emptyCollection", { name: collection.name })} text={t("gallery.emptyCollectionText")}><ButtonLink variant="outlined" color="inherit" to="/gallery">{t("gallery.clearSearch")}</ButtonLink></EmptyState>;
  if (only("favourite")) return <EmptyState art={<FramesArt />} title={t("gallery.noFavourites")} text={t("gallery.noFavouritesText")}><ButtonLink variant="outlined" color="inherit" to="/gallery">{t("gallery.clearSearch")}</ButtonLink></EmptyState>;
  return (
    <EmptyState title={look.q && only("q") ? t("gallery.noMatch", { query: look.q }) : t("gallery.noneLikeThis")} text="">
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
