/** What reads and sets formulas: larger than all the rest of Markdown, so it is fetched when the first one comes. */
import "katex/dist/katex.min.css";

import rehypeKatex from "rehype-katex";
import remarkMath from "remark-math";
import type { Options } from "react-markdown";

export const formulas: { remark: NonNullable<Options["remarkPlugins"]>; rehype: NonNullable<Options["rehypePlugins"]> } = {
  remark: [[remarkMath, { singleDollarTextMath: false }]],
  // A formula fetches nothing, names no address and grows without end no more than the text around it.
  rehype: [[rehypeKatex, { throwOnError: false, strict: false, trust: false, maxExpand: 200, maxSize: 20 }]],
};
