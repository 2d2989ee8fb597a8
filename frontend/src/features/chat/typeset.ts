/** How text of a conversation is set: 16 pixels, roomy, code on sunken ground. */
import type { SystemStyleObject } from "@mui/system";
import type { Theme } from "@mui/material";

import { codeColours } from "./codeColours";

export const typeset: SystemStyleObject<Theme> = {
  fontSize: 16, lineHeight: 1.65, letterSpacing: "-0.003em", minWidth: 0, overflowWrap: "anywhere",
  "& > div > :first-of-type": { mt: 0 }, "& > div > :last-child": { mb: 0 },
  "& p, & ul, & ol, & blockquote, & table, & pre": { my: 3 },
  "& h1, & h2, & h3, & h4, & h5, & h6": { mt: 6, mb: 2, lineHeight: 1.35, fontWeight: 640, letterSpacing: "-0.012em" },
  "& h1": { fontSize: 20 }, "& h2": { fontSize: 18 }, "& h3, & h4, & h5, & h6": { fontSize: 16 },
  "& ul, & ol": { pl: 6 }, "& li": { my: 1 }, "& li > p": { my: 1 }, "& li::marker": { color: "text.faint" },
  "& ul.contains-task-list": { listStyle: "none", pl: 1 },
  "& blockquote": { mx: 0, pl: 4, borderLeft: "3px solid", borderColor: "divider", color: "text.secondary" },
  "& hr": { border: 0, borderTop: 1, borderColor: "divider", my: 6 },
  "& a": { color: "primary.main", textUnderlineOffset: "3px" },
  "& code": { fontFamily: '"JetBrains Mono Variable", ui-monospace, monospace', fontSize: "0.86em", fontVariantLigatures: "none" },
  "& :not(pre) > code": { px: "5px", py: "2px", borderRadius: "5px", bgcolor: "background.sunken", border: 1, borderColor: "divider" },
  "& table": { borderCollapse: "collapse", fontSize: 14, lineHeight: 1.5 },
  // A cell is at least as wide as its longest word: what is wider than the page is moved sideways, never broken into letters.
  "& th, & td": { overflowWrap: "break-word", textAlign: "left", verticalAlign: "top", px: 3, py: 2, borderBottom: 1, borderColor: "divider" },
  "& th": { fontWeight: 600, color: "text.secondary" },
  "& .katex-display": { overflowX: "auto", overflowY: "hidden", py: 1, my: 3 },
  "& .katex-error": { color: "error.main" },
  ...codeColours,
};
