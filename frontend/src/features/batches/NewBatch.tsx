import { Box, Button, MenuItem, Select, Typography } from "@mui/material";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { FileUp } from "lucide-react";
import { useId, useRef, useState, type DragEvent } from "react";
import { useTranslation } from "react-i18next";

import { asProblem } from "@/api/errors";
import * as api from "@/api/generated/sdk.gen";
import { keys } from "@/api/keys";
import { uploadBatch } from "@/api/uploads";
import { Attempts } from "@/lib/attempts";
import { ENDPOINTS, endpointOf, type Endpoint } from "@/lib/batches";
import { bytes } from "@/lib/numbers";
import { toast } from "@/lib/toast";
import { Bar } from "@/ui/Bar";
import { ErrorNote } from "@/ui/ErrorNote";
import { card } from "@/ui/Section";

const WINDOWS = ["24h", "7d", "30d"] as const;
/** So much of a file is read to see what it asks. */
const BEGINNING = 64 * 1024;

/** Takes a file, reads from its first line what it asks, and sends it off. */
export function NewBatch() {
  const { t, i18n } = useTranslation();
  const client = useQueryClient();
  const [file, setFile] = useState<File | null>(null);
  const [endpoint, setEndpoint] = useState<Endpoint>(ENDPOINTS[0]);
  const [known, setKnown] = useState(true);
  const [span, setSpan] = useState<(typeof WINDOWS)[number]>("24h");
  const [share, setShare] = useState<number | null>(null);
  const [over, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const stop = useRef<AbortController | null>(null);
  /** A file that has arrived: when only what follows failed, it is not sent a second time. */
  const arrived = useRef<{ file: File; id: string } | null>(null);
  const [attempts] = useState(() => new Attempts());
  const start = useMutation({
    mutationFn: async (given: File) => {
      if (arrived.current?.file !== given) {
        stop.current = new AbortController();
        const { id } = await uploadBatch(given, given.name, { onProgress: setShare, signal: stop.current.signal });
        arrived.current = { file: given, id };
      }
      const body = { input_file_id: arrived.current.id, endpoint, completion_window: span };
      await api.openaiCreateBatch({ body, headers: { "idempotency-key": attempts.keyFor(body) } });
    },
    onError: (error) => {
      const { status } = asProblem(error);
      if (status) attempts.answered();
      if (status === 404) arrived.current = null; // deleted meanwhile
    },
    onSuccess: () => {
      toast(t("batches.begun", { name: file?.name ?? "" }));
      setFile(null);
      attempts.answered();
      arrived.current = null;
      void client.invalidateQueries({ queryKey: keys.batches });
    },
    onSettled: () => setShare(null),
  });
  const take = (given: File | undefined) => {
    if (!given || start.isPending) return;
    start.reset();
    setFile(given);
    void given.slice(0, BEGINNING).text().then((text) => {
      const found = endpointOf(text);
      setKnown(found !== null);
      if (found) setEndpoint(found);
    });
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    take(event.dataTransfer.files[0]);
  };
  const problem = start.isError && (start.error as Error).name !== "AbortError" ? asProblem(start.error) : null;
  return (
    <Box component="section" aria-label={t("batches.new")} onDragOver={(event) => { event.preventDefault(); setOver(true); }} onDragLeave={() => setOver(false)} onDrop={drop} sx={{ ...card, p: 4, display: "grid", gap: 4, gridTemplateColumns: "minmax(0, 1fr)", ...(over && { borderColor: "primary.main", borderStyle: "dashed" }) }}>
      <Box sx={{ display: "flex", gap: 3, flexWrap: "wrap", alignItems: "end" }}>
        <Box sx={{ flex: "1 1 260px", minWidth: 0 }}>
          <Typography variant="overline" component="div" sx={{ color: "text.secondary", mb: 1 }}>{t("batches.file")}</Typography>
          <input ref={input} type="file" accept=".jsonl,.json,.ndjson,application/jsonl" hidden data-testid="batch-file" onChange={(event) => { take(event.target.files?.[0]); event.target.value = ""; }} />
          <Button fullWidth variant="outlined" color="inherit" startIcon={<FileUp size={16} />} disabled={start.isPending} onClick={() => input.current?.click()} sx={{ justifyContent: "flex-start", minWidth: 0, "& > span:last-of-type": { minWidth: 0 } }}>
            <Box component="span" sx={{ overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap" }}>{file ? `${file.name} · ${bytes(file.size, i18n.language)}` : t("batches.choose")}</Box>
          </Button>
        </Box>
        <Choice label={t("batches.endpoint")} value={endpoint} options={ENDPOINTS} write={(each) => each.replace("/v1/", "")} onChange={setEndpoint} />
        <Choice label={t("batches.within")} value={span} options={WINDOWS} write={(each) => t(`batches.windows.${each}`)} onChange={setSpan} />
        <Button variant="contained" disabled={!file || start.isPending} onClick={() => file && start.mutate(file)}>{t("batches.start")}</Button>
      </Box>
      {file && !known && <Typography variant="body2" sx={{ color: "warning.main" }}>{t("batches.unknown")}</Typography>}
      {start.isPending && (
        <Box sx={{ display: "flex", gap: 3, alignItems: "center" }}>
          <Box sx={{ flex: 1 }}><Bar value={share} label={t("batches.sending")} /></Box>
          <Button size="small" color="inherit" onClick={() => stop.current?.abort()}>{t("common.cancel")}</Button>
        </Box>
      )}
      {problem && <ErrorNote title={t("batches.refused")} error={problem} details={problem.details} />}
    </Box>
  );
}

function Choice<T extends string>({ label, value, options, write, onChange }: { label: string; value: T; options: readonly T[]; write: (value: T) => string; onChange: (value: T) => void }) {
  const id = useId();
  return (
    <Box sx={{ flex: { xs: "1 1 140px", md: "0 0 auto" } }}>
      <Typography id={id} variant="overline" component="div" sx={{ color: "text.secondary", mb: 1 }}>{label}</Typography>
      <Select size="small" fullWidth value={value} onChange={(event) => onChange(event.target.value as T)} labelId={id} sx={{ minWidth: 120 }}>
        {options.map((each) => <MenuItem key={each} value={each}>{write(each)}</MenuItem>)}
      </Select>
    </Box>
  );
}
