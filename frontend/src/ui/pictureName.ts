import { useTranslation } from "react-i18next";

/** What a picture is called: by its words, or by what it is where it was made without any (videos are). */
export function usePictureName() {
  const { t } = useTranslation();
  return ({ prompt, kind = "image" }: { prompt: string; kind?: "image" | "video" }) => prompt || t(`gallery.unnamed.${kind}`);
}
