import { Box, Button, IconButton, Link, Typography } from "@mui/material";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { CircleCheck, Eye, EyeOff } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { asProblem } from "@/api/errors";
import { keys } from "@/api/keys";
import * as api from "@/api/generated/sdk.gen";
import { queries } from "@/api/queries";
import { useSaid } from "@/i18n/said";
import { ErrorNote } from "@/ui/ErrorNote";

import { Field } from "@/ui/Field";
import { Frame } from "@/ui/Frame";

const TOKENS = "https://huggingface.co/settings/tokens";

/** Asks for the token, then goes on to the download that wanted it. */
export function TokenDialog({ repo, wanted, onClose }: { repo: string | null; wanted: string; onClose: () => void }) {
  const { t } = useTranslation();
  const go = useNavigate();
  const stored = () => {
    onClose();
    if (repo) void go({ to: "/models", search: (old) => ({ ...old, get: repo, as: wanted }), resetScroll: false });
  };
  return (
    <Frame title={t("models.token.title")} note={repo} onClose={onClose}>
      <Typography variant="body2" sx={{ color: "text.secondary", mb: 4 }}>{t("models.token.why")}</Typography>
      <TokenForm onStored={stored} />
    </Frame>
  );
}

/** The hub's token: goes in, is checked, and is never shown again. */
export function TokenForm({ onStored }: { onStored?: () => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const words = useSaid();
  const known = useQuery(queries.hubToken());
  const [token, setToken] = useState("");
  const [shown, setShown] = useState(false);
  const store = useMutation({
    mutationFn: () => api.setToken({ body: { token: token.trim() } }),
    onSuccess: (answer) => {
      setToken("");
      client.setQueryData(keys.hubToken, answer);
      void client.invalidateQueries({ queryKey: ["hub"] });
      onStored?.();
    },
  });
  const drop = useMutation({ mutationFn: () => api.forgetToken(), onSuccess: () => client.invalidateQueries({ queryKey: keys.hubToken }) });
  const problem = store.isError ? asProblem(store.error) : drop.isError ? asProblem(drop.error) : null;
  const eye = t(shown ? "models.token.hide" : "models.token.show");
  return (
    <Box component="form" sx={{ display: "grid", gap: 3 }} onSubmit={(event) => { event.preventDefault(); event.stopPropagation(); if (token.trim()) store.mutate(); }}>
      {known.data?.is_set && (
        <Box sx={{ display: "flex", alignItems: "center", gap: 2, fontSize: 13, color: "text.secondary", flexWrap: "wrap" }}>
          <Box component="span" sx={{ display: "inline-flex", gap: "6px", alignItems: "center", color: "success.main", fontWeight: 550 }}><CircleCheck size={15} aria-hidden />{known.data.name ? t("models.token.setFor", { name: known.data.name }) : t("models.token.set")}</Box>
          {known.data.source === "stored" && <Button size="small" color="inherit" disabled={drop.isPending} onClick={() => drop.mutate()}>{t("models.token.forget")}</Button>}
        </Box>
      )}
      {known.data?.remark && <Typography variant="body2" sx={{ color: "warning.main" }}>{words(known.data.remark).text}</Typography>}
      <Field
        label={t(known.data?.is_set ? "models.token.replace" : "models.token.label")} type={shown ? "text" : "password"} mono value={token} onChange={setToken} placeholder="hf_…" error={problem?.fields[0] && words(problem.fields[0]).text} hint={t("models.token.hint")}
        end={<IconButton size="small" aria-label={eye} aria-pressed={shown} onClick={() => setShown(!shown)} edge="end">{shown ? <EyeOff size={16} /> : <Eye size={16} />}</IconButton>}
      />
      {problem && !problem.fields.length && <ErrorNote title={t("models.token.failed")} error={problem} details={problem.details} />}
      <Box sx={{ display: "flex", gap: 3, alignItems: "center", flexWrap: "wrap" }}>
        <Button type="submit" size="small" variant="contained" disabled={!token.trim() || store.isPending}>{t(store.isPending ? "models.token.checking" : "models.token.save")}</Button>
        <Link href={TOKENS} target="_blank" rel="noopener" sx={{ fontSize: 13 }}>{t("models.token.make")}</Link>
      </Box>
    </Box>
  );
}
