import { Box, ButtonBase, Divider, Menu, MenuItem, Typography } from "@mui/material";
import { ChevronDown, Eye, Plus } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "@tanstack/react-router";

import type { ModelOut } from "@/api/types";
import { answers, usable } from "@/lib/answering";
import { lookOf } from "@/lib/models";
import { ModelState } from "@/ui/ModelState";

interface Props { label: string; models: readonly ModelOut[] | undefined; model: ModelOut | undefined; wanted: string | null | undefined; onPick: (key: string) => void; small?: boolean }

/** Which model answers, and how it stands; it is loaded by the first question. */
export function ModelPicker({ label, models, model, wanted, onPick, small }: Props) {
  const { t } = useTranslation();
  const go = useNavigate();
  const [anchor, setAnchor] = useState<HTMLElement | null>(null);
  const shown = models?.filter(answers) ?? [];
  const name = model?.name ?? wanted ?? t("chat.noModel");
  return (
    <>
      <ButtonBase
        aria-label={`${label}: ${name}`}
        aria-haspopup="menu"
        aria-expanded={!!anchor}
        onClick={(event) => setAnchor(event.currentTarget)}
        sx={{ display: "flex", gap: 2, minHeight: 36, minWidth: 0, maxWidth: 1, px: 3, borderRadius: "8px", fontFamily: "inherit", fontSize: 14, fontWeight: 600, "&:hover": { bgcolor: "action.hover" }, "&.Mui-focusVisible": { outline: "2px solid", outlineColor: "primary.main" } }}
      >
        <Box component="span" sx={{ overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap", minWidth: 0 }}>{name}</Box>
        {model && !small && <Box component="span" sx={{ fontWeight: 450, flexShrink: 0, display: { xs: "none", sm: "inline" } }}><ModelState look={lookOf(model)} /></Box>}
        <Box component={ChevronDown} size={15} aria-hidden sx={{ color: "text.faint", flexShrink: 0 }} />
      </ButtonBase>
      <Menu anchorEl={anchor} open={!!anchor} onClose={() => setAnchor(null)}>
        {shown.map((one) => (
          <MenuItem
            key={one.key}
            selected={one.key === model?.key}
            disabled={!usable(one)}
            onClick={() => {
              setAnchor(null);
              onPick(one.key);
            }}
            sx={{ minWidth: 260 }}
          >
            <Box sx={{ flex: 1, minWidth: 0, overflow: "hidden", textOverflow: "ellipsis" }}>
              {one.name}
              {one.answers_with && <Typography variant="caption" component="span" sx={{ display: "block", color: "text.faint", overflow: "hidden", textOverflow: "ellipsis" }}>{t("chat.loraOf", { model: models?.find((base) => base.key === one.answers_with)?.name ?? one.answers_with })}</Typography>}
            </Box>
            {one.sees && <Box component={Eye} size={15} aria-label={t("chat.sees")} sx={{ color: "text.faint" }} />}
            <ModelState look={lookOf(one)} />
          </MenuItem>
        ))}
        {shown.length === 0 && <Typography variant="body2" sx={{ px: 3, py: 2, color: "text.secondary" }}>{t("chat.noModels")}</Typography>}
        <Divider sx={{ my: 1 }} />
        <MenuItem onClick={() => void go({ to: "/models", search: { task: "chat" } })}><Plus size={16} />{t("chat.moreModels")}</MenuItem>
      </Menu>
    </>
  );
}
