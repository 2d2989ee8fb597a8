// @vitest-environment node
import { describe, expect, it } from "vitest";

import en from "./en.json";
import es from "./es.json";
import fr from "./fr.json";

type Tree = { [key: string]: string | Tree };

function flat(tree: Tree, path = ""): [string, string][] {
  return Object.entries(tree).flatMap(([key, value]) => (typeof value === "string" ? [[path + key, value] as [string, string]] : flat(value, `${path}${key}.`)));
}

const english = new Map(flat(en));
const slots = (text: string) => [...text.matchAll(/{{(\w+)}}/g)].map((match) => match[1]).sort();

describe.each([["en", en], ["fr", fr], ["es", es]] as const)("%s", (_, tree) => {
  const texts = new Map(flat(tree));

  it("has exactly the keys of English", () => expect([...texts.keys()].sort()).toEqual([...english.keys()].sort()));

  it("has no empty text", () => expect([...texts].filter(([, text]) => text.trim() === "").map(([key]) => key)).toEqual([]));

  it("fills the same slots", () => {
    for (const [key, text] of texts) expect(slots(text), key).toEqual(slots(english.get(key) ?? ""));
  });
});

it("French and Spanish are translated, not copied", () => {
  const same = (tree: Tree) => flat(tree).filter(([key, text]) => /[a-z]{4}/i.test(text) && text === english.get(key) && !/examples|placeholder|copy(Curl|Python|Javascript)|status|service/.test(key));
  expect(same(fr).length).toBeLessThan(16);
  expect(same(es).length).toBeLessThan(16);
});
