import { Box, Button, Skeleton, Typography } from "@mui/material";
import { useInfiniteQuery } from "@tanstack/react-query";
import { ListTodo } from "lucide-react";
import { useTranslation } from "react-i18next";

import { asProblem } from "@/api/errors";
import { queries } from "@/api/queries";
import { EXAMPLE } from "@/lib/batches";
import { CopyButton } from "@/ui/CopyButton";
import { EmptyState } from "@/ui/EmptyState";
import { ErrorNote, LogBlock } from "@/ui/ErrorNote";
import { ButtonLink } from "@/ui/links";
import { card, PageHead } from "@/ui/Section";

import { BatchRow } from "./BatchRow";
import { NewBatch } from "./NewBatch";

/** Files of requests that are answered in the background: give one, see how far it is, take what it answered. */
export function BatchesPage() {
  const { t } = useTranslation();
  const list = useInfiniteQuery(queries.batches());
  const batches = list.data?.pages.flatMap((page) => page.data) ?? [];
  const problem = list.isError && !batches.length ? asProblem(list.error) : null;
  return (
    <>
      <PageHead title={t("batches.title")} note={t("batches.note")}>
        <ButtonLink color="inherit" variant="outlined" size="small" to="/jobs">{t("nav.jobs")}</ButtonLink>
      </PageHead>
      <Box sx={{ mt: 4, display: "grid", gap: 6, gridTemplateColumns: "minmax(0, 1fr)" }}>
        <NewBatch />
        {problem && <ErrorNote title={t("batches.unreadable")} error={problem} details={problem.details} onRetry={() => void list.refetch()} />}
        {list.isPending && <Skeleton variant="rectangular" height={160} />}
        {list.isSuccess && batches.length === 0 && (
          <EmptyState art={<ListTodo size={44} strokeWidth={1.2} />} title={t("batches.emptyTitle")} text={t("batches.emptyText")}>
            <Box sx={{ maxWidth: "min(640px, calc(100vw - 64px))", textAlign: "left" }}>
              <Box sx={{ display: "flex", alignItems: "center" }}>
                <Typography variant="overline" sx={{ color: "text.secondary", flex: 1 }}>{t("batches.example")}</Typography>
                <CopyButton text={EXAMPLE} />
              </Box>
              <LogBlock text={EXAMPLE} />
            </Box>
          </EmptyState>
        )}
        {batches.length > 0 && (
          <Box component="ul" aria-label={t("batches.title")} sx={{ ...card, m: 0, p: 0, listStyle: "none", overflow: "hidden" }}>
            {batches.map((batch) => <BatchRow key={batch.id} batch={batch} />)}
          </Box>
        )}
        {list.hasNextPage && <Box sx={{ display: "grid", placeItems: "center" }}><Button color="inherit" variant="outlined" disabled={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>{t("common.loadMore")}</Button></Box>}
      </Box>
    </>
  );
}
