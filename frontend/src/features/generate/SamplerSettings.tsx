import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";

import { queries } from "@/api/queries";
import type { ModelOut } from "@/api/types";
import { FieldNote, NumberField } from "@/ui/NumberField";

import { change, type Settings } from "./settings";

/** The levels between which noise is put back, `s_tmin` and `s_tmax`, are for programs. */
type Name = "eta" | "s_churn" | "s_noise";

/** What a slider begins with, and how far it goes; beyond that the field takes what the API takes. */
const RANGES: Record<Name, { own: number; max: number; sliderMax?: number; step: number }> = {
  eta: { own: 0, max: 1, step: 0.05 },
  s_churn: { own: 0, max: 1000, sliderMax: 100, step: 1 },
  s_noise: { own: 1, max: 10, sliderMax: 1.1, step: 0.005 },
};

/** Noise that is put back while a picture is drawn: as much of it as the chosen scheduler takes. */
export function SamplerSettings({ form, model, error }: { form: Settings; model: ModelOut | undefined; error?: string }) {
  const { t } = useTranslation();
  const all = useQuery(queries.schedulers()).data ?? [];
  const takes = all.find((one) => one.id === (form.scheduler ?? model?.defaults?.scheduler))?.settings ?? [];
  const names = (Object.keys(RANGES) as Name[]).filter((name) => takes.includes(name));
  const set = (name: Name, value: number) => {
    const others = Object.entries(form.sampling).filter(([other]) => other !== name);
    change({ sampling: Object.fromEntries(value === RANGES[name].own ? others : [...others, [name, value]]) });
  };
  return (
    <>
      {names.map((name) => {
        const { own, ...range } = RANGES[name];
        return <NumberField key={name} label={t(`generate.sampling.${name}`)} value={form.sampling[name] ?? own} min={0} {...range} hint={t(`generate.samplingHint.${name}`)} onChange={(value) => set(name, value)} />;
      })}
      {error && <FieldNote error={error} />}
    </>
  );
}
