import { Box, Dialog, DialogActions, DialogContent, IconButton, Typography, useMediaQuery } from "@mui/material";
import { X } from "lucide-react";
import { useId, type FormEvent, type ReactNode } from "react";
import { useTranslation } from "react-i18next";

interface Props { title: string; note?: ReactNode; width?: "sm" | "md" | "lg"; onClose: () => void; onSubmit?: () => void; actions?: ReactNode; children: ReactNode }

/** A question in front of the page: title, content that scrolls, buttons that stay. The whole window on a phone. */
export function Frame({ title, note, width = "sm", onClose, onSubmit, actions, children }: Props) {
  const { t } = useTranslation();
  const id = useId();
  const phone = useMediaQuery("(max-width: 599.9px)");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onSubmit?.();
  };
  return (
    <Dialog open onClose={onClose} maxWidth={width} fullWidth fullScreen={phone} aria-labelledby={id} slotProps={{ paper: { ...(onSubmit ? { component: "form", onSubmit: submit, noValidate: true } : {}), sx: phone ? { borderRadius: 0, border: 0 } : {} } as object }}>
      <Box sx={{ display: "flex", alignItems: "flex-start", gap: 3, pl: { xs: 4, sm: 6 }, pr: 3, pt: 4, pb: 3 }}>
        <Box sx={{ flex: 1, minWidth: 0, pt: "5px" }}>
          <Typography variant="h3" component="h2" id={id}>{title}</Typography>
          {note && <Typography variant="body2" component="div" sx={{ color: "text.faint", mt: "2px" }}>{note}</Typography>}
        </Box>
        <IconButton aria-label={t("common.close")} onClick={onClose}><X size={19} /></IconButton>
      </Box>
      <DialogContent sx={{ px: { xs: 4, sm: 6 }, pt: "4px !important", pb: 6 }}>{children}</DialogContent>
      {actions && <DialogActions sx={{ px: { xs: 4, sm: 6 }, py: 4, gap: 2, borderTop: 1, borderColor: "divider", flexWrap: "wrap" }}>{actions}</DialogActions>}
    </Dialog>
  );
}
