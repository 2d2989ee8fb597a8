// @vitest-environment node
import { describe, expect, it } from "vitest";

import en from "./en.json";
import es from "./es.json";
import fr from "./fr.json";
import saidEn from "./said/en.json";
import saidEs from "./said/es.json";
import saidFr from "./said/fr.json";

type Tree = { [key: string]: string | Tree };

function flat(tree: Tree, path = ""): [string, string][] {
  return Object.entries(tree).flatMap(([key, value]) => (typeof value === "string" ? [[path + key, value] as [string, string]] : flat(value, `${path}${key}.`)));
}

const slots = (text: string) => [...text.matchAll(/{{([\w, ]+)}}/g)].map((match) => match[1]).sort();

const all = { en: { ...en, said: saidEn }, fr: { ...fr, said: saidFr }, es: { ...es, said: saidEs } };
const english = new Map(flat(all.en));

describe.each(Object.entries(all))("%s", (_, tree) => {
  const texts = new Map(flat(tree));

  it("has exactly the keys of English", () => expect([...texts.keys()].sort()).toEqual([...english.keys()].sort()));

  it("has no empty text", () => expect([...texts].filter(([, text]) => text.trim() === "").map(([key]) => key)).toEqual([]));

  it("fills the same slots", () => {
    for (const [key, text] of texts) expect(slots(text), key).toEqual(slots(english.get(key) ?? ""));
  });
});

it("French and Spanish are translated, not copied", () => {
  const same = (tree: Tree) => flat(tree).filter(([key, text]) => /[a-z]{4}/i.test(text.replace(/{{.*?}}/g, "")) && text === english.get(key) && !/examples|placeholder|copy(Curl|Python|Javascript)|status|service/.test(key));
  expect(same(all.fr).length).toBeLessThan(18);
  expect(same(all.es).length).toBeLessThan(18);
});
