import { Box, Button, Collapse, Typography } from "@mui/material";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { ChevronDown, Square } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { asProblem } from "@/api/errors";
import { stopWorker } from "@/api/generated/sdk.gen";
import { keys } from "@/api/keys";
import type { WorkerOut } from "@/api/types";
import { useSaid } from "@/i18n/said";
import { bytes, duration } from "@/lib/numbers";
import { toast } from "@/lib/toast";
import { LogBlock } from "@/ui/ErrorNote";
import { useNow } from "@/ui/useNow";

const COLOURS = { starting: "warning.main", loading: "warning.main", ready: "success.main", busy: "primary.main", parked: "text.faint", stopping: "text.faint", stopped: "text.faint", failed: "error.main" } as const;

export function WorkerRow({ worker }: { worker: WorkerOut }) {
  const { t, i18n } = useTranslation();
  const said = useSaid();
  const client = useQueryClient();
  const [open, setOpen] = useState(false);
  const now = useNow(1000);
  const stop = useMutation({
    mutationFn: () => stopWorker({ path: { worker_id: worker.id } }),
    onSuccess: () => client.invalidateQueries({ queryKey: keys.system }),
    onError: (error) => toast(said(asProblem(error)).text, { tone: "bad", seconds: 8 }),
  });
  const ending = worker.state === "stopping" || stop.isPending;
  const facts = [
    worker.engine, worker.device, worker.bytes_leased > 0 && t("system.leased", { size: bytes(worker.bytes_leased, i18n.language) }),
    worker.rss_bytes !== null && t("system.resident", { size: bytes(worker.rss_bytes, i18n.language) }), worker.pid !== null && t("system.pid", { pid: worker.pid }),
    worker.idle_since && worker.state === "ready" && t("system.idle", { time: duration((now - Date.parse(worker.idle_since)) / 1000) }),
  ].filter(Boolean);
  return (
    <Box data-worker={worker.id} sx={{ px: 4, py: 3, borderTop: 1, borderColor: "divider", "&:first-of-type": { borderTop: 0 } }}>
      <Box sx={{ display: "flex", alignItems: "center", gap: 3, flexWrap: "wrap" }}>
        <Box sx={{ flex: 1, minWidth: { xs: 1, sm: 200 } }}>
          <Box sx={{ display: "flex", alignItems: "center", gap: 3 }}>
            <Typography sx={{ fontWeight: 550 }}>{worker.model}</Typography>
            <Box component="span" sx={{ display: "inline-flex", alignItems: "center", gap: "6px", fontSize: 13, fontWeight: 550, color: COLOURS[worker.state] }}>
              <Box component="span" sx={{ width: 7, height: 7, borderRadius: worker.state === "failed" ? 0 : "50%", bgcolor: "currentColor" }} />
              {t(`system.workerStates.${worker.state}`)}
            </Box>
          </Box>
          <Typography variant="body2" sx={{ color: "text.faint", mt: "2px" }}>{facts.join(" · ")}</Typography>
          {worker.message && <Typography variant="body2" sx={{ color: worker.state === "failed" ? "error.main" : "text.secondary", mt: "2px" }}>{said(worker).text}</Typography>}
        </Box>
        <Button size="small" color="inherit" aria-expanded={open} onClick={() => setOpen(!open)} endIcon={<Box component={ChevronDown} size={15} sx={{ rotate: open ? "180deg" : 0, transition: "rotate 140ms ease-out" }} />}>{t("system.log")}</Button>
        <Button size="small" variant="outlined" color="inherit" startIcon={<Square size={12} />} disabled={ending} onClick={() => stop.mutate()}>{ending ? t("system.stopping") : t("system.stop")}</Button>
      </Box>
      <Collapse in={open} unmountOnExit><LogBlock text={worker.log_tail.length ? worker.log_tail.join("\n") : t("system.noLog")} /></Collapse>
    </Box>
  );
}
