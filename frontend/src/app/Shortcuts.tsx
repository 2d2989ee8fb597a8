import { Box, Dialog, IconButton, Typography } from "@mui/material";
import { X } from "lucide-react";
import { useId } from "react";
import { useTranslation } from "react-i18next";

import { isMac } from "@/lib/browser";

/** Every key that does something, by the page where it does. Opened with "?" and from the command palette. */
export function Shortcuts({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const title = useId();
  const key = t("keys.names", { returnObjects: true });
  const command = isMac ? "⌘" : "Ctrl";
  const groups: [string, [string, string[][]][]][] = [
    [t("keys.everywhere"), [
      [t("keys.palette"), [[command, "K"]]],
      [t("keys.help"), [["?"]]],
      [t("keys.close"), [["Esc"]]],
    ]],
    [t("nav.generate"), [
      [t("keys.send"), [[command, key.enter]]],
      [t("keys.weigh"), [[command, "↑"], [command, "↓"]]],
      [t("keys.alongEarlier"), [["←"], ["→"], [key.home], [key.end]]],
    ]],
    [t("nav.gallery"), [
      [t("keys.move"), [["←"], ["→"], ["↑"], ["↓"]]],
      [t("keys.open"), [[key.enter]]],
      [t("keys.select"), [[key.space]]],
      [t("keys.selectRange"), [[key.shift, "→"]]],
      [t("keys.selectAll"), [[command, "A"]]],
      [t("keys.favourite"), [["F"]]],
      [t("keys.rate"), [["0"], ["5"]]],
      [t("keys.tag"), [["T"]]],
      [t("keys.remove"), [[key.delete]]],
    ]],
    [t("keys.picture"), [
      [t("keys.neighbours"), [["←"], ["→"]]],
      [t("keys.recipe"), [["I"]]],
      [t("keys.favourite"), [["F"]]],
      [t("keys.rate"), [["0"], ["5"]]],
      [t("keys.tag"), [["T"]]],
      [t("keys.remove"), [[key.delete]]],
    ]],
    [t("nav.chat"), [
      [t("chat.send"), [[key.enter]]],
      [t("chat.newLine"), [[key.shift, key.enter]]],
      [t("chat.stop"), [["Esc"]]],
      [t("chat.moveList"), [["↑"], ["↓"]]],
      [t("chat.rename"), [["F2"]]],
      [t("keys.remove"), [[key.delete]]],
    ]],
    [t("nav.models"), [
      [t("keys.move"), [["←"], ["→"], ["↑"], ["↓"]]],
      [t("keys.openModel"), [[key.enter]]],
    ]],
    [t("nav.jobs"), [
      [t("keys.move"), [["↑"], ["↓"]]],
      [t("keys.openJob"), [[key.enter]]],
    ]],
  ];
  return (
    <Dialog open onClose={onClose} maxWidth="md" fullWidth aria-labelledby={title}>
      <Box sx={{ display: "flex", alignItems: "center", px: 6, pt: 4, pb: 2 }}>
        <Typography variant="h3" component="h2" id={title} sx={{ flex: 1 }}>{t("keys.title")}</Typography>
        <IconButton aria-label={t("common.close")} onClick={onClose} edge="end"><X size={19} /></IconButton>
      </Box>
      <Box sx={{ overflow: "auto", px: 6, pb: 6, columns: { sm: 2 }, columnGap: "32px" }}>
        {groups.map(([name, rows]) => (
          <Box component="section" key={name} sx={{ breakInside: "avoid", pb: 4 }}>
            <Typography variant="h4" component="h3" sx={{ mb: 1 }}>{name}</Typography>
            <Box component="dl" sx={{ m: 0 }}>
              {rows.map(([what, keys]) => (
                <Box key={what} sx={{ display: "flex", alignItems: "center", justifyContent: "space-between", gap: 3, minHeight: 32, borderTop: 1, borderColor: "divider", fontSize: 13 }}>
                  <Box component="dt" sx={{ color: "text.secondary" }}>{what}</Box>
                  <Box component="dd" sx={{ m: 0, display: "flex", gap: 1, flexShrink: 0 }}>
                    {keys.map((together, index) => (
                      <Box component="span" key={index} sx={{ display: "inline-flex", gap: "2px" }}>
                        {together.map((name) => <Key key={name} name={name} />)}
                      </Box>
                    ))}
                  </Box>
                </Box>
              ))}
            </Box>
          </Box>
        ))}
      </Box>
    </Dialog>
  );
}

function Key({ name }: { name: string }) {
  return <Box component="kbd" sx={{ font: "inherit", fontSize: 12, px: "6px", minWidth: 22, textAlign: "center", borderRadius: "6px", border: 1, borderColor: "divider", bgcolor: "background.sunken", color: "text.primary" }}>{name}</Box>;
}
