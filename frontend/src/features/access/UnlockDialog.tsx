import { Box, Button, Dialog, TextField, Typography } from "@mui/material";
import { useMutation } from "@tanstack/react-query";
import { KeyRound } from "lucide-react";
import { useState, type FormEvent } from "react";
import { useTranslation } from "react-i18next";

import { locked } from "@/api/client";
import { asProblem } from "@/api/errors";
import * as api from "@/api/generated/sdk.gen";
import { useSaid } from "@/i18n/said";
import { useSignal } from "@/lib/signal";

/**
 * Opens by itself when the server answers 401. The token, or an account's name and password, goes to the server and
 * becomes a cookie that no script can read.
 */
export function UnlockDialog({ onUnlocked }: { onUnlocked: () => void }) {
  const { t } = useTranslation();
  const said = useSaid();
  const open = useSignal(locked);
  const [name, setName] = useState("");
  const [token, setToken] = useState("");
  const asAccount = name.trim() !== "";
  const unlock = useMutation({
    mutationFn: () => api.unlock({ body: { token, username: name.trim() } }),
    onSuccess: () => {
      setToken("");
      locked.set(false);
      onUnlocked();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (token.trim()) unlock.mutate();
  };
  return (
    <Dialog open={open} onClose={() => locked.set(false)} aria-labelledby="unlock-title" maxWidth="xs" fullWidth>
      <Box component="form" onSubmit={submit} sx={{ p: 6, display: "grid", gap: 4 }}>
        <Box sx={{ color: "primary.main" }}><KeyRound size={26} aria-hidden /></Box>
        <Box>
          <Typography variant="h2" id="unlock-title">{t("access.title")}</Typography>
          <Typography sx={{ color: "text.secondary", mt: 2 }}>{t("access.text")}</Typography>
        </Box>
        <TextField
          label={t("access.name")}
          autoComplete="username"
          fullWidth
          slotProps={{ htmlInput: { maxLength: 64 }, inputLabel: { shrink: true } }}
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <TextField
          label={asAccount ? t("access.password") : t("access.token")}
          type="password"
          slotProps={{ inputLabel: { shrink: true } }}
          autoComplete="current-password"
          autoFocus
          fullWidth
          value={token}
          onChange={(event) => setToken(event.target.value)}
          error={unlock.isError}
          helperText={unlock.isError ? said(asProblem(unlock.error)).text : asAccount ? t("access.passwordHint") : t("access.hint")}
        />
        <Box sx={{ display: "flex", justifyContent: "flex-end", gap: 2 }}>
          <Button color="inherit" onClick={() => locked.set(false)}>{t("common.cancel")}</Button>
          <Button type="submit" variant="contained" disabled={!token.trim() || unlock.isPending}>{t("access.submit")}</Button>
        </Box>
      </Box>
    </Dialog>
  );
}
