/** Three languages, complete; English is in the first load, the others come when asked for. */
import i18next, { type Resource } from "i18next";
import { initReactI18next } from "react-i18next";

import { store, stored } from "@/lib/browser";

import en from "./en.json";

export const languages = { en: "English", fr: "Français", es: "Español" } as const;
export type Language = keyof typeof languages;

declare module "i18next" {
  interface CustomTypeOptions {
    defaultNS: "translation";
    resources: { translation: typeof en };
  }
}

const loaders: Record<Exclude<Language, "en">, () => Promise<{ default: typeof en }>> = {
  fr: () => import("./fr.json"),
  es: () => import("./es.json"),
};

function preferred(): Language {
  const wish = stored<string | null>("language", null) ?? navigator.language.slice(0, 2);
  return wish in languages ? (wish as Language) : "en";
}

export async function setLanguage(language: Language): Promise<void> {
  if (language !== "en" && !i18next.hasResourceBundle(language, "translation")) {
    i18next.addResourceBundle(language, "translation", (await loaders[language]()).default);
  }
  await i18next.changeLanguage(language);
  document.documentElement.lang = language;
  store("language", language);
}

export async function startI18n(): Promise<void> {
  const resources: Resource = { en: { translation: en } };
  await i18next.use(initReactI18next).init({ lng: "en", fallbackLng: "en", resources, interpolation: { escapeValue: false } });
  const wish = preferred();
  document.documentElement.lang = wish;
  if (wish !== "en") await setLanguage(wish).catch(() => undefined);
}
