import { Box } from "@mui/material";
import { lazy, memo, Suspense } from "react";

import { typeset } from "./typeset";

const load = () => import("./Rendered");
const Rendered = lazy(load);

/** Fetched while nothing else is to do: the first answer is not waited for. */
export const loadMarkdown = () => void load().catch(() => undefined);

/** Markdown with code, tables and formulas. `growing`: more of it comes. */
export const Markdown = memo(function Markdown({ text, growing }: { text: string; growing: boolean }) {
  return (
    <Box sx={typeset}>
      <Suspense fallback={<Box sx={{ whiteSpace: "pre-wrap" }}>{text}</Box>}>
        <Rendered text={text} growing={growing} />
      </Suspense>
    </Box>
  );
});
