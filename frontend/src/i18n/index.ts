/** Three languages, complete; English is in the first load, the others come when asked for. What the server says comes after. */
import i18next, { type Resource } from "i18next";
import { initReactI18next } from "react-i18next";

import { store, stored } from "@/lib/browser";

import en from "./en.json";
import { addFormats } from "./said";

export const languages = { en: "English", fr: "Français", es: "Español" } as const;
export type Language = keyof typeof languages;

declare module "i18next" {
  interface CustomTypeOptions {
    defaultNS: "translation";
    resources: { translation: typeof en; said: { [code: string]: string } };
  }
}

const loaders: Record<Exclude<Language, "en">, () => Promise<{ default: typeof en }>> = {
  fr: () => import("./fr.json"),
  es: () => import("./es.json"),
};

/** Words for the server's sentences (`said.ts`). English ones may come late: until then they are shown as the server sent them. */
const sentences: Record<Language, () => Promise<{ default: object }>> = {
  en: () => import("./said/en.json"),
  fr: () => import("./said/fr.json"),
  es: () => import("./said/es.json"),
};

async function addSentences(language: Language): Promise<void> {
  if (!i18next.hasResourceBundle(language, "said")) i18next.addResourceBundle(language, "said", (await sentences[language]()).default);
}

function preferred(): Language {
  const wish = stored<string | null>("language", null) ?? navigator.language.slice(0, 2);
  return wish in languages ? (wish as Language) : "en";
}

export async function setLanguage(language: Language): Promise<void> {
  if (language !== "en" && !i18next.hasResourceBundle(language, "translation")) {
    const [texts] = await Promise.all([loaders[language](), addSentences(language)]);
    i18next.addResourceBundle(language, "translation", texts.default);
  }
  await i18next.changeLanguage(language);
  document.documentElement.lang = language;
  store("language", language);
}

export async function startI18n(): Promise<void> {
  const resources: Resource = { en: { translation: en } };
  await i18next.use(initReactI18next).init({ lng: "en", fallbackLng: "en", resources, interpolation: { escapeValue: false }, react: { bindI18nStore: "added" } });
  addFormats();
  void addSentences("en").catch(() => undefined);
  const wish = preferred();
  document.documentElement.lang = wish;
  if (wish !== "en") await setLanguage(wish).catch(() => undefined);
}
