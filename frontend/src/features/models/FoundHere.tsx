import { Box, Button, Skeleton, Typography } from "@mui/material";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Check, CircleAlert, FolderSearch } from "lucide-react";
import { useTranslation } from "react-i18next";

import { useComplain } from "@/api/actions";
import { asProblem } from "@/api/errors";
import { keys } from "@/api/keys";
import * as api from "@/api/generated/sdk.gen";
import { queries } from "@/api/queries";
import type { FoundModelOut } from "@/api/types";
import { familyName, typeName } from "@/lib/models";
import { bytes } from "@/lib/numbers";
import { toast } from "@/lib/toast";
import { EmptyState } from "@/ui/EmptyState";
import { useSaid } from "@/i18n/said";
import { ErrorNote } from "@/ui/ErrorNote";
import { ButtonLink } from "@/ui/links";

import { TASK_ICONS } from "./ModelCard";

/** What lies in the Hugging Face cache of the machine: fetched by other programs, used here without a second copy. */
export function FoundHere() {
  const { t } = useTranslation();
  const found = useQuery(queries.found());
  const problem = found.isError ? asProblem(found.error) : null;
  const items = [...(found.data?.items ?? [])].sort((a, b) => Number(!!a.problem) - Number(!!b.problem) || Number(!!a.key) - Number(!!b.key) || a.repo.localeCompare(b.repo));
  return (
    <Box sx={{ minHeight: 0, overflow: "auto", flex: 1 }}>
      {found.data && <Typography variant="body2" sx={{ color: "text.secondary", mb: 3 }}>{t("models.found.text")} <Typography variant="mono" sx={{ color: "text.faint" }}>{found.data.cache}</Typography></Typography>}
      {problem && <ErrorNote title={t("models.found.failed")} error={problem} details={problem.details} onRetry={() => void found.refetch()} />}
      {found.isPending && <Box aria-busy sx={{ display: "grid", gap: 2 }}>{[0, 1, 2].map((key) => <Skeleton key={key} variant="rectangular" height={56} />)}</Box>}
      {found.data && items.length === 0 && <EmptyState art={<FolderSearch size={40} strokeWidth={1.2} />} title={t("models.found.emptyTitle")} text={t("models.found.emptyText")} />}
      <Box component="ul" sx={{ m: 0, p: 0, listStyle: "none" }}>{items.map((item) => <Item key={item.path} item={item} />)}</Box>
    </Box>
  );
}

function Item({ item }: { item: FoundModelOut }) {
  const { t, i18n } = useTranslation();
  const client = useQueryClient();
  const words = useSaid();
  const adopt = useMutation({
    mutationFn: () => api.importModel({ body: { path: item.path } }),
    onSuccess: (model) => {
      void client.invalidateQueries({ queryKey: keys.allModels });
      toast(t("models.fromDisk.done", { name: model.name }));
    },
    onError: useComplain(),
  });
  const Icon = item.problem ? CircleAlert : item.task ? TASK_ICONS[item.task] : FolderSearch;
  const facts = [item.task && t(`models.tasks.${item.task}`), item.family && familyName(item.family), item.dtype && typeName(item.dtype), item.size_bytes && bytes(item.size_bytes, i18n.language), item.commit.slice(0, 8)].filter(Boolean).join(" · ");
  return (
    <Box component="li" sx={{ display: "flex", alignItems: "center", gap: 3, minHeight: 64, py: 2, borderTop: 1, borderColor: "divider", "&:first-of-type": { borderTop: 0 } }}>
      <Box sx={{ color: "text.faint", flexShrink: 0 }}><Icon size={18} strokeWidth={1.8} aria-hidden /></Box>
      <Box sx={{ flex: 1, minWidth: 0 }}>
        <Typography sx={{ fontWeight: 550, color: item.problem ? "text.secondary" : "text.primary" }}>{item.repo}</Typography>
        <Typography variant="body2" sx={{ color: "text.faint" }}>{item.problem ? words({ message: item.problem, said: item.said }).text : facts}</Typography>
      </Box>
      {item.key
        ? <ButtonLink size="small" color="inherit" to="/models/$key" params={{ key: item.key }} search={(old: object) => ({ ...old, add: undefined })} startIcon={<Check size={15} />} aria-label={t("models.hub.haveNamed", { name: item.repo })}>{t("models.hub.have")}</ButtonLink>
        : !item.problem && <Button size="small" variant="outlined" color="inherit" disabled={adopt.isPending} onClick={() => adopt.mutate()} aria-label={t("models.found.adoptNamed", { name: item.repo })}>{t("models.found.adopt")}</Button>}
    </Box>
  );
}
