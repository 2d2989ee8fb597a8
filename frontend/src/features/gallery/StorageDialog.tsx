import { Box, Button, Skeleton, Typography } from "@mui/material";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { asProblem } from "@/api/errors";
import * as api from "@/api/generated/sdk.gen";
import { keys } from "@/api/keys";
import { queries } from "@/api/queries";
import { daysAgo } from "@/lib/days";
import { bytes } from "@/lib/numbers";
import { toast } from "@/lib/toast";
import { ErrorNote } from "@/ui/ErrorNote";
import { Frame } from "@/ui/Frame";

const route = getRouteApi("/gallery");
const SHOWN = 6;

interface Amount { name: string; count: number; bytes: number }

/** What pictures take on the disk, and what could be freed. */
export function StorageDialog({ onClose }: { onClose: () => void }) {
  const { t, i18n } = useTranslation();
  const client = useQueryClient();
  const go = route.useNavigate();
  const storage = useQuery(queries.storage());
  const [sure, setSure] = useState(false);
  const empty = useMutation({
    mutationFn: () => api.emptyTrash(),
    onSuccess: (freed) => {
      setSure(false);
      void client.invalidateQueries({ queryKey: keys.storage });
      toast(t("gallery.freed", { size: bytes(freed.bytes, i18n.language) }));
    },
  });
  const problem = storage.isError ? asProblem(storage.error) : empty.isError ? asProblem(empty.error) : null;
  const data = storage.data;
  const size = (amount: { bytes: number }) => bytes(amount.bytes, i18n.language);
  const month = (name: string) => new Intl.DateTimeFormat(i18n.language, { month: "long", year: "numeric", timeZone: "UTC" }).format(new Date(`${name}-15T00:00:00Z`));
  const showOld = () => {
    onClose();
    void go({ to: "/gallery", search: { unrated: true, until: daysAgo(data?.old_days ?? 90), order: "oldest" } });
  };
  return (
    <Frame title={t("gallery.storage")} note={data && t("gallery.storageNote", { size: size(data.total), count: data.total.count, free: bytes(data.free_bytes, i18n.language) })} width="md" onClose={onClose}>
      {problem && <ErrorNote title={t("gallery.storageFailed")} error={problem} details={problem.details} onRetry={() => void storage.refetch()} />}
      {storage.isPending && <Box aria-busy sx={{ display: "grid", gap: 3 }}>{[0, 1, 2, 3].map((each) => <Skeleton key={each} variant="rectangular" height={44} />)}</Box>}
      {data && (
        <Box sx={{ display: "grid", gap: 5 }}>
          <Box component="section" sx={{ display: "grid", gap: 2 }}>
            <Typography variant="overline" component="h3" sx={{ color: "text.secondary" }}>{t("gallery.canBeFreed")}</Typography>
            <Free title={t("gallery.trash", { count: data.trash.count })} size={size(data.trash)} text={t("gallery.trashText")}>
              {sure
                ? <><Button size="small" color="inherit" onClick={() => setSure(false)}>{t("common.cancel")}</Button><Button size="small" color="error" variant="contained" autoFocus disabled={empty.isPending} onClick={() => empty.mutate()}>{t("gallery.emptyForGood")}</Button></>
                : <Button size="small" variant="outlined" color="inherit" disabled={data.trash.count === 0} onClick={() => setSure(true)}>{t("gallery.emptyTrash")}</Button>}
            </Free>
            <Free title={t("gallery.oldOnes", { count: data.unrated_old.count })} size={size(data.unrated_old)} text={t("gallery.oldOnesText", { days: data.old_days })}>
              <Button size="small" variant="outlined" color="inherit" disabled={data.unrated_old.count === 0} onClick={showOld}>{t("gallery.look")}</Button>
            </Free>
            <Free title={t("gallery.uploads", { count: data.inputs.count })} size={size(data.inputs)} text={t("gallery.uploadsText")} />
          </Box>
          <Box sx={{ display: "grid", gridTemplateColumns: { sm: "1fr 1fr" }, gap: 5 }}>
            <Parts title={t("gallery.byModel")} parts={data.by_model} />
            <Parts title={t("gallery.byMonth")} parts={data.by_month} name={month} />
          </Box>
          {data.by_kind.length > 1 && <Parts title={t("gallery.kind")} parts={data.by_kind} name={(kind) => t(`gallery.kinds.${kind as "image" | "video"}`)} />}
        </Box>
      )}
    </Frame>
  );
}

function Free({ title, size, text, children }: { title: string; size: string; text: string; children?: ReactNode }) {
  return (
    <Box sx={{ display: "flex", flexWrap: "wrap", alignItems: "center", gap: 2, p: 3, border: 1, borderColor: "divider", borderRadius: "8px" }}>
      <Box sx={{ flex: "1 1 220px", minWidth: 0 }}>
        <Typography sx={{ fontWeight: 550 }}>{title} <Box component="span" sx={{ color: "text.secondary", fontWeight: 450, fontVariantNumeric: "tabular-nums", whiteSpace: "nowrap" }}>{size}</Box></Typography>
        <Typography variant="body2" sx={{ color: "text.secondary" }}>{text}</Typography>
      </Box>
      <Box sx={{ display: "flex", gap: 1, ml: "auto" }}>{children}</Box>
    </Box>
  );
}

/** Bars, each as long as its part of the largest. */
function Parts({ title, parts, name = (key) => key }: { title: string; parts: Amount[]; name?: (key: string) => string }) {
  const { t, i18n } = useTranslation();
  const [all, setAll] = useState(false);
  const most = Math.max(1, ...parts.map((part) => part.bytes));
  return (
    <Box component="section" sx={{ minWidth: 0 }}>
      <Typography variant="overline" component="h3" sx={{ color: "text.secondary", display: "block", mb: 1 }}>{title}</Typography>
      {(all ? parts : parts.slice(0, SHOWN)).map((part) => (
        <Box key={part.name} sx={{ py: "5px", fontSize: 13 }}>
          <Box sx={{ display: "flex", justifyContent: "space-between", gap: 2 }}>
            <Box component="span" sx={{ overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap" }}>{name(part.name)}</Box>
            <Box component="span" sx={{ color: "text.secondary", whiteSpace: "nowrap", fontVariantNumeric: "tabular-nums" }}>{bytes(part.bytes, i18n.language)} · {new Intl.NumberFormat(i18n.language).format(part.count)}</Box>
          </Box>
          <Box aria-hidden sx={{ mt: "3px", height: 4, borderRadius: "2px", bgcolor: "background.sunken", overflow: "hidden" }}><Box sx={{ height: 1, bgcolor: "primary.main" }} style={{ width: `${(part.bytes / most) * 100}%` }} /></Box>
        </Box>
      ))}
      {parts.length > SHOWN && !all && <Button size="small" color="inherit" onClick={() => setAll(true)}>{t("common.loadMore")}</Button>}
    </Box>
  );
}
