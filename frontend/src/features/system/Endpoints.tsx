import { Box, Collapse, InputAdornment, Link, OutlinedInput, Skeleton, Typography } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { ArrowUpRight, ChevronDown, Search } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { asProblem } from "@/api/errors";
import { queries } from "@/api/queries";
import type { EndpointOut } from "@/api/types";
import { grouped } from "@/lib/rows";
import { CopyButton } from "@/ui/CopyButton";
import { ErrorNote } from "@/ui/ErrorNote";
import { card, Section } from "@/ui/Section";

const OPEN = "images";
const HEIGHT = 320;
/** What programs want comes first; what only this dashboard needs comes last. */
const LAST = ["jobs", "live", "system", "admin", "access", "other"];
const rank = (name: string) => (name === OPEN ? -1 : LAST.indexOf(name) + 1);

/** Every address that programs can call, by what it is about; with the address that this browser used. */
export function Endpoints() {
  const { t } = useTranslation();
  const found = useQuery(queries.endpoints());
  const [words, setWords] = useState("");
  const problem = found.isError ? asProblem(found.error) : null;
  const matching = (found.data?.items ?? []).filter((item) => matches(item, words));
  const groups = [...grouped(matching, (item) => (item.dialect === "atelier" ? item.tag : item.dialect))].sort(([a], [b]) => rank(a) - rank(b));
  return (
    <Section title={t("system.endpoints")} text={t("system.endpointsText")} aside={<Link href="/docs" target="_blank" rel="noopener" sx={{ display: "inline-flex", gap: 1, alignItems: "center", fontSize: 13, color: "text.secondary", whiteSpace: "nowrap" }}>{t("system.docs")} <ArrowUpRight size={14} aria-hidden /></Link>}>
      {problem && !found.data && <ErrorNote title={t("machine.endpointsFailed")} error={problem} details={problem.details} onRetry={() => void found.refetch()} />}
      {found.isPending && <Skeleton variant="rectangular" height={HEIGHT} />}
      {found.data && (
        <Box sx={{ ...card, overflow: "hidden", minHeight: HEIGHT }}>
          <Box sx={{ display: "flex", flexWrap: "wrap", alignItems: "center", gap: 3, px: 4, py: 3 }}>
            <Box sx={{ display: "flex", alignItems: "center", gap: 1, minWidth: 0, flex: "1 1 220px" }}>
              <Typography variant="mono" noWrap>{location.origin}</Typography>
              <CopyButton text={location.origin} name={`${t("common.copy")}: ${location.origin}`} />
            </Box>
            <OutlinedInput size="small" value={words} onChange={(event) => setWords(event.target.value)} placeholder={t("machine.findEndpoint")} inputProps={{ "aria-label": t("machine.findEndpoint") }} startAdornment={<InputAdornment position="start"><Search size={15} aria-hidden /></InputAdornment>} sx={{ flex: "1 1 200px", maxWidth: { sm: 280 } }} />
          </Box>
          {groups.map(([name, items]) => <Group key={name} name={name} items={items} open={words !== ""} />)}
          {groups.length === 0 && <Typography variant="body2" sx={{ p: 4, borderTop: 1, borderColor: "divider", color: "text.secondary" }}>{t("machine.noEndpoint", { words })}</Typography>}
        </Box>
      )}
    </Section>
  );
}

function matches(item: EndpointOut, words: string): boolean {
  const text = `${item.method} ${item.path} ${item.summary} ${item.dialect}`.toLowerCase();
  return words.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

function Group({ name, items, open }: { name: string; items: EndpointOut[]; open: boolean }) {
  const { t } = useTranslation();
  const [asked, setAsked] = useState(name === OPEN);
  const shown = open || asked;
  return (
    <Box sx={{ borderTop: 1, borderColor: "divider" }}>
      <Box component="button" type="button" aria-expanded={shown} onClick={() => setAsked(!asked)} sx={{ all: "unset", boxSizing: "border-box", width: "100%", cursor: "pointer", display: "flex", alignItems: "center", gap: 3, px: 4, minHeight: 44, "&:hover": { bgcolor: "action.hover" }, "&:focus-visible": { outline: "2px solid", outlineColor: "primary.main", outlineOffset: -2 } }}>
        <Typography variant="h4" component="h3">{t(`machine.groups.${name}`, { defaultValue: name })}</Typography>
        <Typography variant="body2" sx={{ color: "text.faint" }}>{items.length}</Typography>
        <Box component={ChevronDown} size={16} aria-hidden sx={{ ml: "auto", color: "text.faint", rotate: shown ? "180deg" : 0, transition: "rotate 140ms ease-out" }} />
      </Box>
      <Collapse in={shown} unmountOnExit>
        <Box component="ul" sx={{ m: 0, p: 0, pb: 2, listStyle: "none" }}>
          {items.map((item) => <Row key={`${item.method} ${item.path}`} item={item} />)}
        </Box>
      </Collapse>
    </Box>
  );
}

function Row({ item }: { item: EndpointOut }) {
  const { t } = useTranslation();
  // The address that this browser used counts: behind a proxy the server may not know it is reached by HTTPS.
  const url = (item.method === "WS" ? location.origin.replace(/^http/, "ws") : location.origin) + item.path;
  return (
    <Box component="li" sx={{ display: "grid", gridTemplateColumns: { xs: "56px minmax(0, 1fr) auto", md: "56px minmax(0, 1fr) minmax(0, 1fr) auto" }, columnGap: 3, alignItems: "center", px: 4, minHeight: 40 }}>
      <Typography variant="mono" sx={{ color: METHOD[item.method] ?? "text.secondary", fontWeight: 600 }}>{item.method}</Typography>
      <Typography variant="mono" noWrap title={url}>{item.path}</Typography>
      <Typography variant="body2" noWrap lang="en" title={item.summary} sx={{ color: "text.secondary", gridColumn: { xs: "2", md: "auto" }, gridRow: { xs: "2", md: "auto" } }}>{item.summary}</Typography>
      <Box sx={{ gridColumn: { xs: "3", md: "auto" }, gridRow: { xs: "1", md: "auto" } }}><CopyButton text={url} name={`${t("common.copy")}: ${url}`} /></Box>
    </Box>
  );
}

const METHOD: Record<string, string> = { GET: "info.main", POST: "success.main", DELETE: "error.main", PATCH: "warning.main", PUT: "warning.main", WS: "text.faint" };
