/** What the page does to models. State changes show at once; the server's answer and its events have the last word. */
import { useMutation, useQuery, useQueryClient, type QueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";

import { useComplain } from "@/api/actions";
import * as api from "@/api/generated/sdk.gen";
import { keys } from "@/api/keys";
import { queries } from "@/api/queries";
import type { CatalogueItemOut, LoadOptions, ModelOut } from "@/api/types";
import { familiesOf, type Step, type Who } from "@/lib/models";
import { copyText } from "@/lib/browser";
import { toast } from "@/lib/toast";

import { ask } from "./dialogs";

function patchModel(client: QueryClient, key: string, change: Partial<ModelOut>): void {
  client.setQueryData<ModelOut[]>(keys.models, (list) => list?.map((model) => (model.key === key ? { ...model, ...change } : model)));
}

/** The address of a repository's page on the hub that the server asks: Hugging Face, or its mirror. */
export function useHubPage(): (repo: string) => string {
  const offers = useQuery(queries.catalogue()).data;
  const one = offers?.[0];
  const hub = one?.page_url.endsWith(one.repo) ? one.page_url.slice(0, -one.repo.length) : "https://huggingface.co/";
  return (repo) => hub + repo;
}

interface Order { key: string; call: () => Promise<unknown>; meanwhile?: Partial<ModelOut>; done?: () => void }

/** Runs an order about one model; while it is under way the card shows what it will be. */
export function useOrder() {
  const client = useQueryClient();
  const complain = useComplain();
  return useMutation({
    mutationFn: async ({ key, call, meanwhile }: Order) => {
      await client.cancelQueries({ queryKey: keys.models });
      if (meanwhile) patchModel(client, key, meanwhile);
      return call();
    },
    onSuccess: (_, { done }) => done?.(),
    onError: complain,
    onSettled: () => client.invalidateQueries({ queryKey: keys.allModels }),
  });
}

/** Who looks at the page, and whether the hub knows them. */
export function useWho(): Who {
  const me = useQuery(queries.me());
  const admin = me.data?.role === "admin";
  const token = useQuery({ ...queries.hubToken(), enabled: admin });
  const models = useQuery(queries.models());
  const families = useMemo(() => familiesOf(models.data ?? []), [models.data]);
  return { admin, hasToken: token.data?.is_set ?? false, families };
}

export function useModelActions() {
  const go = useNavigate();
  const order = useOrder();
  const { t } = useTranslation();
  const load = (model: ModelOut, options?: LoadOptions) =>
    order.mutate({ key: model.key, meanwhile: { state: "loading", state_reason: null }, call: () => api.loadModel({ path: { key: model.key }, body: options ? { options } : {} }) });
  const acts = {
    load,
    use: (model: ModelOut) => void (model.task === "chat" ? go({ to: "/chat", search: { model: model.key } }) : go({ to: "/", search: model.type === "lora" ? { lora: model.key } : model.type === "upscaler" ? { upscaler: model.key } : { model: model.key } })),
    unload: (model: ModelOut) => order.mutate({ key: model.key, meanwhile: { state: "idle", state_reason: null, loaded_bytes: 0 }, call: () => api.unloadModel({ path: { key: model.key }, body: {} }) }),
    park: (model: ModelOut) => order.mutate({ key: model.key, meanwhile: { state: "parked" }, call: () => api.parkModel({ path: { key: model.key } }) }),
    pause: (model: ModelOut) => order.mutate({ key: model.key, meanwhile: model.download ? { download: { ...model.download, state: "paused", paused: true } } : {}, call: () => api.pauseDownload({ path: { key: model.key } }) }),
    resume: (model: ModelOut) => order.mutate({ key: model.key, meanwhile: model.download ? { download: { ...model.download, state: "waiting", paused: false, error: null } } : {}, call: () => api.resumeDownload({ path: { key: model.key } }) }),
    cancel: (model: ModelOut) => model.download?.job_id && order.mutate({ key: model.key, call: () => api.deleteJob({ path: { job_id: model.download?.job_id ?? "" } }) }),
    pin: (model: ModelOut) => order.mutate({ key: model.key, meanwhile: { pinned: !model.pinned }, call: () => api.changeModel({ path: { key: model.key }, body: { pinned: !model.pinned } }) }),
    open: (key: string) => void go({ to: "/models/$key", params: { key }, search: (old) => old, resetScroll: false }),
    get: (repo: string, key?: string) => void go({ to: "/models", search: (old: object) => ({ ...old, add: undefined, get: repo, as: key }), resetScroll: false }),
    copyKey: async (key: string) => void ((await copyText(key)) && toast(t("models.keyCopied", { key }))),
  };
  /** The next step of a model that is here. */
  const take = (step: Step, model: ModelOut) => {
    switch (step) {
      case "use": return acts.use(model);
      case "load": case "loadAgain": return acts.load(model);
      case "unload": case "stop": return acts.unload(model);
      case "pause": return acts.pause(model);
      case "resume": return acts.resume(model);
      case "downloadAgain": case "download": return model.download ? acts.resume(model) : model.repo ? acts.get(model.repo) : acts.open(model.key);
      case "token": return ask("token", model.key);
      case "open": return acts.open(model.key);
    }
  };
  const takeOffer = (step: Step, offer: CatalogueItemOut) => (step === "token" ? ask("token", offer.key) : step === "download" ? acts.get(offer.repo, offer.key) : acts.open(offer.key));
  return { ...acts, take, takeOffer, busy: order.isPending };
}
