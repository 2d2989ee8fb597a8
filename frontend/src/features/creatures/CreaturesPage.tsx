import { Box, Button, Skeleton, TextField, Typography } from "@mui/material";
import { useMutation, useQuery } from "@tanstack/react-query";
import { Dices, Download } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { drawCreature } from "@/api/creatures";
import { asProblem } from "@/api/errors";
import { queries } from "@/api/queries";
import type { CreatureOut, CreatureSettingsOut } from "@/api/types";
import { CopyButton } from "@/ui/CopyButton";
import { EmptyState, FramesArt } from "@/ui/EmptyState";
import { ErrorNote } from "@/ui/ErrorNote";
import { card, Facts, PageHead, Section } from "@/ui/Section";

const KEPT = 12;

/** The creature service, to try it: draw one, see what came, and how they are made here. */
export function CreaturesPage() {
  const { t } = useTranslation();
  const settings = useQuery(queries.creatureSettings());
  const [prompt, setPrompt] = useState("");
  const [key, setKey] = useState("");
  const [drawn, setDrawn] = useState<CreatureOut[]>([]);
  const draw = useMutation({ mutationFn: () => drawCreature(settings.data?.backend === "sdxl" ? prompt : "", key), onSuccess: (one) => setDrawn((old) => [one, ...old].slice(0, KEPT)) });
  const problem = draw.isError ? asProblem(draw.error) : null;
  const wantsKey = problem?.status === 401 || key !== "";
  const [latest, ...earlier] = drawn;
  const submit = (event: React.FormEvent) => {
    event.preventDefault();
    if (!draw.isPending) draw.mutate();
  };
  return (
    <Box sx={{ maxWidth: 1080 }}>
      <PageHead title={t("creatures.title")} note={t("creatures.note")} />
      <Box component="form" onSubmit={submit} sx={{ display: "flex", flexWrap: "wrap", gap: 3, mt: 4, alignItems: "flex-end" }}>
        {settings.data?.backend === "sdxl" && <TextField size="small" label={t("creatures.prompt")} value={prompt} onChange={(event) => setPrompt(event.target.value.slice(0, 500))} placeholder={t("creatures.promptHint")} sx={{ flex: "1 1 260px" }} />}
        {wantsKey && <TextField size="small" type="password" autoComplete="off" label={t("creatures.key")} value={key} onChange={(event) => setKey(event.target.value)} sx={{ flex: "1 1 220px" }} />}
        <Button type="submit" variant="contained" startIcon={<Dices size={17} />} disabled={draw.isPending} sx={{ minHeight: 40 }}>{draw.isPending ? t("creatures.drawing") : t("creatures.draw")}</Button>
      </Box>
      {problem && <Box sx={{ mt: 4 }}><ErrorNote title={t("creatures.failed")} error={problem} hint={problem.status === 401 ? t("creatures.keyHint") : undefined} details={problem.details} onRetry={() => draw.mutate()} retrying={draw.isPending} /></Box>}
      <Box sx={{ mt: 6, minHeight: 300 }} aria-live="polite">
        {draw.isPending && !latest && <Skeleton variant="rectangular" sx={{ width: "min(100%, 320px)", height: 320, borderRadius: "10px" }} />}
        {!latest && !draw.isPending && !problem && <EmptyState art={<FramesArt />} title={t("creatures.emptyTitle")} text={t("creatures.emptyText")} />}
        {latest && <Latest one={latest} />}
      </Box>
      {earlier.length > 0 && (
        <Section title={t("creatures.earlier")}>
          <Box component="ul" sx={{ m: 0, p: 0, listStyle: "none", display: "grid", gap: 3, gridTemplateColumns: "repeat(auto-fill, minmax(132px, 1fr))" }}>
            {earlier.map((one) => <Small key={one.metadata.id} one={one} />)}
          </Box>
        </Section>
      )}
      <Section title={t("creatures.settings")} text={t("creatures.settingsText")}>
        {settings.isPending && <Skeleton variant="rectangular" height={180} />}
        {settings.isError && <ErrorNote title={t("creatures.settingsFailed")} error={asProblem(settings.error)} details={asProblem(settings.error).details} onRetry={() => void settings.refetch()} />}
        {settings.data && <SettingsCard settings={settings.data} />}
      </Section>
    </Box>
  );
}

const source = (one: CreatureOut) => `data:image/png;base64,${one.imageBase64}`;

function Latest({ one }: { one: CreatureOut }) {
  const { t } = useTranslation();
  const { id, name, rarity } = one.metadata;
  return (
    <Box component="article" aria-label={name} sx={{ ...card, display: "grid", gridTemplateColumns: { xs: "minmax(0, 1fr)", sm: "320px minmax(0, 1fr)" }, overflow: "hidden" }}>
      <Box component="img" src={source(one)} alt={t("creatures.pictureOf", { name })} sx={{ display: "block", width: 1, aspectRatio: "1", objectFit: "contain", bgcolor: "background.sunken" }} />
      <Box sx={{ p: 6, display: "grid", gap: 4, alignContent: "center" }}>
        <Typography variant="h1" component="h2">{name}</Typography>
        <Facts facts={[[t("creatures.rarity"), <Rarity key="rarity" rarity={rarity} />], ["ID", <Box key="id" sx={{ display: "flex", alignItems: "center", my: "-5px" }}><Typography variant="mono" sx={{ fontSize: 13 }}>{id}</Typography><CopyButton text={id} /></Box>]]} />
        <Box><Button component="a" href={source(one)} download={`${name}.png`} variant="outlined" color="inherit" startIcon={<Download size={16} />}>{t("common.download")}</Button></Box>
      </Box>
    </Box>
  );
}

function Rarity({ rarity }: { rarity: string }) {
  const { t } = useTranslation();
  return <Box component="span">{t("creatures.rarityOf", { rarity })}</Box>;
}

function Small({ one }: { one: CreatureOut }) {
  const { t } = useTranslation();
  const { name, rarity } = one.metadata;
  return (
    <Box component="li" sx={{ ...card, overflow: "hidden" }}>
      <Box component="img" src={source(one)} alt={t("creatures.pictureOf", { name })} sx={{ display: "block", width: 1, aspectRatio: "1", objectFit: "contain", bgcolor: "background.sunken" }} />
      <Box sx={{ px: 3, py: 2, fontSize: 13, display: "flex", gap: 2 }}><Box component="span" sx={{ flex: 1, minWidth: 0, fontWeight: 550 }}>{name}</Box><Box component="span" sx={{ color: "text.faint" }}>{rarity}</Box></Box>
    </Box>
  );
}

function SettingsCard({ settings }: { settings: CreatureSettingsOut }) {
  const { t } = useTranslation();
  const drawn = settings.backend === "sdxl";
  const own = t("creatures.ownSize");
  return (
    <Box sx={{ ...card, p: 4 }}>
      <Facts
        facts={[
          [t("creatures.pictures"), drawn ? t("creatures.byModel", { model: settings.model }) : t("creatures.fromFolder", { count: settings.pictures })],
          ...(drawn ? [[t("generate.steps"), settings.steps], [t("gallery.size"), `${settings.width ?? own} × ${settings.height ?? own}`]] as [string, string | number][] : []),
          [t("creatures.names"), t(settings.names === "remote" ? "creatures.namesByChat" : "creatures.namesByUs")],
          [t("creatures.limit"), settings.rate_per_minute ? t("creatures.perMinute", { count: settings.rate_per_minute }) : t("creatures.noLimit")],
          [t("creatures.ofThousand"), Object.entries(settings.weights).map(([rarity, count]) => `${rarity} ${count}`).join(" · ")],
        ]}
      />
    </Box>
  );
}
