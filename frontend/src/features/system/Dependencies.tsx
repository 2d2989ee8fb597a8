import { Box, Skeleton, Typography } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { CircleCheck, CircleX, Cpu, LoaderCircle } from "lucide-react";
import { useTranslation } from "react-i18next";

import { asProblem } from "@/api/errors";
import { queries } from "@/api/queries";
import type { DependencyOut } from "@/api/types";
import { useSaid } from "@/i18n/said";
import { grouped } from "@/lib/rows";
import { ErrorNote } from "@/ui/ErrorNote";
import { card, Section } from "@/ui/Section";

const FIRST = ["torch", "torchvision", "torchaudio", "vllm", "nemo", "pyannote.audio", "diffusers", "transformers"];

/** Per environment: which libraries it holds, which CUDA they bring, and whether that fits this machine's driver. */
export function Dependencies() {
  const { t } = useTranslation();
  const found = useQuery(queries.dependencies());
  const problem = found.isError ? asProblem(found.error) : null;
  const groups = grouped(found.data ?? [], (item) => item.environment);
  const names = [...groups.keys()].sort((a, b) => Number(a === "server") - Number(b === "server") || a.localeCompare(b));
  return (
    <Section title={t("machine.dependencies")} text={t("machine.dependenciesText")}>
      {problem && !found.data && <ErrorNote title={t("machine.dependenciesFailed")} error={problem} details={problem.details} onRetry={() => void found.refetch()} />}
      <Box aria-busy={found.isPending} sx={{ columnCount: { md: 2 }, columnGap: 3, "& > *": { breakInside: "avoid", mb: 3 } }}>
        {found.isPending && [0, 1].map((index) => <Skeleton key={index} variant="rectangular" height={232} />)}
        {names.map((name) => <Environment key={name} name={name} items={groups.get(name) ?? []} />)}
      </Box>
    </Section>
  );
}

function Environment({ name, items }: { name: string; items: DependencyOut[] }) {
  const { t } = useTranslation();
  const details = items[0]?.details;
  if (!details) return null;
  const rank = (item: DependencyOut) => (FIRST.includes(item.name) ? FIRST.indexOf(item.name) : FIRST.length);
  const sorted = [...items].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
  const runtime = [details.cuda_runtime && `CUDA ${details.cuda_runtime}`, details.cudnn && `cuDNN ${details.cudnn}`].filter(Boolean).join(" · ");
  return (
    <Box data-dependencies={name} sx={{ ...card, p: 4, minWidth: 0 }}>
      <Box sx={{ display: "flex", alignItems: "baseline", gap: 3, flexWrap: "wrap" }}>
        <Typography variant="h4" component="h3">{name === "server" ? t("machine.serverEnvironment") : name}</Typography>
        <Typography variant="body2" sx={{ color: "text.faint", ml: { sm: "auto" } }}>{runtime}</Typography>
      </Box>
      {details.code !== "not_needed" && <Verdict details={details} />}
      <Box component="ul" sx={{ m: 0, mt: 3, p: 0, listStyle: "none", display: "grid", gridTemplateColumns: { xs: "minmax(0, 1fr)", sm: "repeat(2, minmax(0, 1fr))" }, columnGap: 6 }}>
        {sorted.map((item) => (
          <Box component="li" key={item.name} sx={{ display: "flex", gap: 2, minWidth: 0, minHeight: 28, alignItems: "center", borderTop: 1, borderColor: "divider" }}>
            <Typography variant="mono" noWrap>{item.name}</Typography>
            <Typography variant="mono" noWrap sx={{ color: "text.faint", ml: "auto" }}>{item.version}</Typography>
          </Box>
        ))}
      </Box>
    </Box>
  );
}

function Verdict({ details }: { details: DependencyOut["details"] }) {
  const { t } = useTranslation();
  const said = useSaid();
  const asking = details.cuda_available === null;
  const [Icon, colour] = asking ? [LoaderCircle, "text.secondary"] as const : details.fits === null ? [Cpu, "text.secondary"] as const : details.fits ? [CircleCheck, "success.main"] as const : [CircleX, "error.main"] as const;
  const words = asking ? t("machine.asking") : said(details).text;
  return (
    <Box sx={{ display: "flex", gap: 2, mt: 2, color: colour, fontSize: 13, lineHeight: "20px" }}>
      <Box component={Icon} size={15} aria-hidden sx={{ flexShrink: 0, mt: "2px" }} />
      <span title={details.message}>{words}</span>
    </Box>
  );
}
