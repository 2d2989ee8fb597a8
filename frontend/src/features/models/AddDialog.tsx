import { Box } from "@mui/material";
import { getRouteApi } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";

import { Segmented } from "@/ui/Segmented";

import { FoundHere } from "./FoundHere";
import { Frame } from "@/ui/Frame";
import { FromDisk } from "./FromDisk";
import { HubSearch } from "./HubSearch";
import { WAYS, type Way } from "./ways";

const route = getRouteApi("/models");

/** Three ways to a new model: from the hub, from the server's disk, or one that another program has fetched already. */
export function AddDialog({ way }: { way: Way }) {
  const { t } = useTranslation();
  const go = route.useNavigate();
  const close = () => void go({ search: (old) => ({ ...old, add: undefined }), resetScroll: false });
  return (
    <Frame title={t("models.adding.title")} width="md" onClose={close}>
      <Box sx={{ height: { sm: "min(560px, calc(100dvh - 220px))" }, display: "flex", flexDirection: "column", gap: 4, minHeight: 0 }}>
        <Segmented<Way> label={t("models.adding.ways")} value={way} options={WAYS.map((value) => ({ value, label: t(`models.adding.${value}`) }))} onChange={(add) => void go({ search: (old) => ({ ...old, add }), replace: true, resetScroll: false })} />
        {way === "hub" && <HubSearch />}
        {way === "disk" && <FromDisk onDone={close} />}
        {way === "found" && <FoundHere />}
      </Box>
    </Frame>
  );
}
