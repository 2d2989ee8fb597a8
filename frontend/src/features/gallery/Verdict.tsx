import { Box, Button, Divider, Typography } from "@mui/material";
import { useMutation, useQuery } from "@tanstack/react-query";
import { BadgeCheck, CircleAlert, ShieldCheck } from "lucide-react";
import { useTranslation } from "react-i18next";

import { asProblem } from "@/api/errors";
import * as api from "@/api/generated/sdk.gen";
import { queries } from "@/api/queries";
import type { ImageOut, VerdictOut } from "@/api/types";
import { percent } from "@/lib/numbers";
import { Ago } from "@/ui/Ago";
import { ErrorNote } from "@/ui/ErrorNote";
import { JobLine } from "@/ui/JobLine";

/** Is it what its recipe says? Makes it again on this machine and says how far the two are apart. */
export function Verdict({ image }: { image: ImageOut }) {
  const { t } = useTranslation();
  const ask = useMutation({ mutationFn: () => api.verifyImage({ path: { image_id: image.id } }) });
  const id = ask.data?.job_id;
  const { data: job, isError: isGone } = useQuery({ ...queries.job(id ?? ""), enabled: id !== undefined });
  const working = ask.isPending || (id !== undefined && !isGone && (!job || job.status === "queued" || job.status === "running"));
  const problem = ask.isError ? asProblem(ask.error) : job?.status === "failed" ? job.error : null;
  if (image.kind === "video") return null;
  return (
    <>
      <Divider sx={{ my: 4 }} />
      <Box sx={{ display: "flex", alignItems: "center", flexWrap: "wrap", gap: 3, minHeight: 34 }}>
        {image.verified ? <Outcome verdict={image.verified} /> : <Typography variant="body2" sx={{ flex: "1 1 150px", color: "text.secondary" }}>{t("verify.about")}</Typography>}
        <Button size="small" color="inherit" variant="outlined" startIcon={<ShieldCheck size={15} />} disabled={working} onClick={() => ask.mutate()} sx={{ flexShrink: 0 }}>
          {t(image.verified ? "verify.again" : "verify.now")}
        </Button>
      </Box>
      {working && job && <Box sx={{ mt: 3 }}><JobLine job={job} /></Box>}
      {problem && !working && <Box sx={{ mt: 3 }}><ErrorNote title={t("verify.failed")} error={problem} onRetry={() => ask.mutate()} /></Box>}
    </>
  );
}

function Outcome({ verdict }: { verdict: VerdictOut }) {
  const { t, i18n } = useTranslation();
  const same = verdict.result !== "different";
  const values = { most: verdict.most, share: percent(verdict.share, i18n.language) };
  return (
    <Box sx={{ flex: "1 1 180px", minWidth: 0, display: "flex", gap: 2, alignItems: "flex-start" }}>
      <Box component={same ? BadgeCheck : CircleAlert} size={18} aria-hidden sx={{ flexShrink: 0, mt: "1px", color: same ? "success.main" : "warning.main" }} />
      <Box sx={{ minWidth: 0 }}>
        <Typography variant="body2">{t(`verify.results.${verdict.result}`, values)}</Typography>
        {verdict.changed.length > 0 && <Typography variant="caption" component="p" sx={{ color: "text.secondary" }}>{t("verify.changed", { what: verdict.changed.map((one) => (one === "model" ? t("verify.weights") : one)).join(", ") })}</Typography>}
        <Typography variant="caption" component="p" sx={{ color: "text.faint" }}><Ago time={verdict.at} /></Typography>
      </Box>
    </Box>
  );
}
