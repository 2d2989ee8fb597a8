/** Highlighted code in the product's own colours; light and dark follow the theme. */
const series = (name: string) => ({ color: `var(--a-palette-series-${name})` });

export const codeColours = {
  "& .hljs-comment, & .hljs-quote": { color: "text.faint", fontStyle: "italic" },
  "& .hljs-keyword, & .hljs-selector-tag, & .hljs-literal, & .hljs-meta, & .hljs-doctag": series("d"),
  "& .hljs-string, & .hljs-regexp, & .hljs-addition, & .hljs-char": series("c"),
  "& .hljs-number, & .hljs-symbol, & .hljs-bullet, & .hljs-link": series("e"),
  "& .hljs-title, & .hljs-section, & .hljs-name, & .hljs-selector-id": series("b"),
  "& .hljs-type, & .hljs-built_in, & .hljs-attr, & .hljs-attribute, & .hljs-variable, & .hljs-template-variable": series("f"),
  "& .hljs-deletion": series("a"),
  "& .hljs-emphasis": { fontStyle: "italic" },
  "& .hljs-strong": { fontWeight: 700 },
} as const;
