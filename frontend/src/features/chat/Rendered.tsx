import { Box, Typography } from "@mui/material";
import { lazy, memo, Suspense, useMemo, type ReactNode } from "react";
import ReactMarkdown, { type Components, type Options } from "react-markdown";
import rehypeHighlight from "rehype-highlight";
import remarkGfm from "remark-gfm";

import { blocksOf, refersElsewhere, withMath } from "@/lib/markdown";
import { CopyButton } from "@/ui/CopyButton";

import { usePaced } from "./usePaced";
import { useSteps } from "./useSteps";

/** HTML in an answer is text; addresses are http(s) or mail. No picture is fetched from elsewhere: its address could tell somebody what was said. */
const components: Components = {
  // An address of another kind is none: then its words are left.
  a: ({ href, children }) => (href ? <a href={href} target="_blank" rel="noopener noreferrer nofollow">{children}</a> : <span>{children}</span>),
  img: ({ src, alt }) => (typeof src === "string" && src.startsWith("/api/") ? <Box component="img" src={src} alt={alt ?? ""} sx={{ maxWidth: 1, borderRadius: "8px" }} /> : <a href={typeof src === "string" ? src : undefined} target="_blank" rel="noopener noreferrer nofollow">{alt || src}</a>),
  pre: ({ node, children }) => <CodeBlock language={languageOf(node)} text={textOf(node)}>{children}</CodeBlock>,
  table: ({ children }) => <Box tabIndex={0} sx={{ overflowX: "auto", my: 3, "& > table": { my: 0 } }}><table>{children}</table></Box>,
};

type Plugins = Pick<Options, "remarkPlugins" | "rehypePlugins">;
// One for all texts: to make it takes as long as to colour a block, since it learns every language anew.
const colour = rehypeHighlight({ detect: false });
const highlight = () => colour;
const plain: Plugins = { remarkPlugins: [remarkGfm], rehypePlugins: [highlight] };

// Only what has formulas waits for what sets them.
const Formulas = lazy(() => import("./formulas").then(({ formulas }) => ({ default: ({ text }: { text: string }) => <Text text={text} plugins={{ remarkPlugins: [remarkGfm, ...formulas.remark], rehypePlugins: [...formulas.rehype, highlight] }} /> })));

function Text({ text, plugins }: { text: string; plugins: Plugins }) {
  return <ReactMarkdown {...plugins} components={components}>{text}</ReactMarkdown>;
}

const Block = memo(function Block({ text }: { text: string }) {
  const words = withMath(text);
  const set = <Text text={words} plugins={plain} />;
  return words.includes("$$") ? <Suspense fallback={set}><Formulas text={words} /></Suspense> : set;
});

/**
 * In parts, of which only the last is drawn again while it grows. One that names its links or notes elsewhere is read as
 * a whole once it has ended. A long one is there as plain words first and drawn in steps.
 */
export default function Rendered({ text, growing }: { text: string; growing: boolean }) {
  const words = usePaced(text, growing);
  const blocks = useMemo(() => (growing || !refersElsewhere(words) ? blocksOf(words) : [words]), [growing, words]);
  const drawn = useSteps(blocks);
  return (
    <div>
      {blocks.slice(0, drawn).map((block, index) => <Block key={index} text={block} />)}
      {drawn < blocks.length && <div style={{ whiteSpace: "pre-wrap" }}>{blocks.slice(drawn).join("\n")}</div>}
    </div>
  );
}

interface Element { type?: string; tagName?: string; value?: string; properties?: { className?: unknown }; children?: Element[] }

const textOf = (node: unknown): string => {
  const { value, children = [] } = (node ?? {}) as Element;
  return value ?? children.map(textOf).join("");
};

function languageOf(node: unknown): string {
  const classes = ((node ?? {}) as Element).children?.[0]?.properties?.className;
  const found = Array.isArray(classes) ? classes.map(String).find((name) => name.startsWith("language-")) : undefined;
  return found?.slice("language-".length) ?? "";
}

function CodeBlock({ language, text, children }: { language: string; text: string; children: ReactNode }) {
  return (
    <Box sx={{ my: 3, border: 1, borderColor: "divider", borderRadius: "10px", bgcolor: "background.sunken", overflow: "hidden" }}>
      <Box sx={{ display: "flex", alignItems: "center", pl: 4, pr: 1, minHeight: 34, borderBottom: 1, borderColor: "divider" }}>
        <Typography variant="mono" sx={{ color: "text.faint", flex: 1 }}>{language}</Typography>
        <CopyButton text={text.replace(/\n$/, "")} />
      </Box>
      <Box component="pre" tabIndex={0} sx={{ m: "0 !important", px: 4, py: 3, overflowX: "auto", fontSize: 15, lineHeight: 1.6 }}>{children}</Box>
    </Box>
  );
}
