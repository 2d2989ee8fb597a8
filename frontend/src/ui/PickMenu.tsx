import { IconButton, Menu, MenuItem, Tooltip } from "@mui/material";
import { useState, type ReactNode } from "react";

interface Option { key: string; text: string; icon?: ReactNode; chosen?: boolean; lang?: string; danger?: boolean }

/** An icon that opens a short menu. */
export function PickMenu({ label, icon, options, onPick, size = 36, tabIndex }: { label: string; icon: ReactNode; options: Option[]; onPick: (key: string) => void; size?: number; tabIndex?: number }) {
  const [anchor, setAnchor] = useState<HTMLElement | null>(null);
  return (
    <>
      <Tooltip title={label}>
        <IconButton size="small" aria-label={label} tabIndex={tabIndex} aria-haspopup="menu" aria-expanded={!!anchor} onClick={(event) => setAnchor(event.currentTarget)} sx={{ width: size, height: size }}>
          {icon}
        </IconButton>
      </Tooltip>
      <Menu anchorEl={anchor} open={!!anchor} onClose={() => setAnchor(null)} anchorOrigin={{ vertical: "bottom", horizontal: "right" }} transformOrigin={{ vertical: "top", horizontal: "right" }}>
        {options.map((option) => (
          <MenuItem
            key={option.key}
            selected={option.chosen}
            lang={option.lang}
            onClick={() => {
              setAnchor(null);
              onPick(option.key);
            }}
            sx={option.danger ? { color: "error.main" } : undefined}
          >
            {option.icon}
            {option.text}
          </MenuItem>
        ))}
      </Menu>
    </>
  );
}
