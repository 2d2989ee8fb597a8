import { useTranslation } from "react-i18next";

import { useBuildEnvironment } from "@/api/actions";
import type { EnvironmentOut } from "@/api/types";
import { ErrorNote } from "@/ui/ErrorNote";

/** Why nothing can be made: the engine's software is not set up, and nobody does it. With the button that does. */
export function SetupNote({ environment }: { environment: EnvironmentOut }) {
  const { t } = useTranslation();
  const build = useBuildEnvironment();
  const error = environment.error;
  return (
    <ErrorNote
      title={t("generate.notSetUp")}
      error={error ?? { message: t(`system.environmentStates.${environment.state}`) }}
      details={error && [`${error.code}: ${error.message}`, error.log_tail].filter(Boolean).join("\n")}
      onRetry={() => build.mutate(environment.name)}
      retrying={build.isPending}
    />
  );
}
