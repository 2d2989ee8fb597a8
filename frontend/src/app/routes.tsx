/** The map of the product: every address and what it may carry. */
import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";

import { SORTS, STATES, type Sort, type StateFilter } from "@/features/models/cards";
import { WAYS, type Way } from "@/features/models/ways";
import { readLook } from "@/lib/look";
import { TASKS, type Task } from "@/lib/models";

import { CrashPage, LoadingPage, NotFoundPage } from "./Fallbacks";
import { Shell } from "./Shell";

const text = (value: unknown) => (typeof value === "string" && value !== "" ? value : typeof value === "number" ? String(value) : undefined);
const STATUSES = ["waiting", "running", "completed", "failed", "cancelled"] as const;

const pages = {
  GeneratePage: () => import("@/features/generate/GeneratePage"),
  GalleryPage: () => import("@/features/gallery/GalleryPage"),
  PictureView: () => import("@/features/gallery/PictureView"),
  CompareView: () => import("@/features/gallery/CompareView"),
  ModelsPage: () => import("@/features/models/ModelsPage"),
  ModelDrawer: () => import("@/features/models/ModelDrawer"),
  JobsPage: () => import("@/features/jobs/JobsPage"),
  BatchesPage: () => import("@/features/batches/BatchesPage"),
  BenchmarkPage: () => import("@/features/benchmark/BenchmarkPage"),
  JobDrawer: () => import("@/features/jobs/JobDrawer"),
  ChatPage: () => import("@/features/chat/ChatPage"),
  CreaturesPage: () => import("@/features/creatures/CreaturesPage"),
  SystemPage: () => import("@/features/system/SystemPage"),
};

/** Fetch every page while nothing else is to do: then all of them open while the server is away. */
export const loadPages = () => Promise.allSettled(Object.values(pages).map((load) => load()));

const root = createRootRoute({ component: Shell, notFoundComponent: NotFoundPage });

const generate = createRoute({
  getParentRoute: () => root,
  path: "/",
  /** `reuse`: the picture whose settings are taken over, `job` what was asked; `prompt`: words to start with; `model`: the model to use, `lora` what to add to one, `upscaler` what makes larger; `input`: the picture to work from, `do` what to do with it. */
  validateSearch: (search: Record<string, unknown>): { reuse?: string; job?: string; prompt?: string; model?: string; lora?: string; upscaler?: string; input?: string; do?: string; chat?: string } => ({ reuse: text(search.reuse), job: text(search.job), prompt: text(search.prompt), model: text(search.model), lora: text(search.lora), upscaler: text(search.upscaler), input: text(search.input), do: text(search.do), chat: text(search.chat) }),
  component: lazyRouteComponent(pages.GeneratePage, "GeneratePage"),
});

const gallery = createRoute({
  getParentRoute: () => root,
  path: "/gallery",
  validateSearch: readLook,
  component: lazyRouteComponent(pages.GalleryPage, "GalleryPage"),
});

const picture = createRoute({
  getParentRoute: () => gallery,
  path: "$id",
  component: lazyRouteComponent(pages.PictureView, "PictureView"),
});

const compare = createRoute({
  getParentRoute: () => gallery,
  path: "compare/$one/$other",
  component: lazyRouteComponent(pages.CompareView, "CompareView"),
});

const oneOf = <T extends string>(all: readonly T[], value: unknown) => all.find((each) => each === value);

const models = createRoute({
  getParentRoute: () => root,
  path: "/models",
  /** `add`: the way to a new model that is open; `get`: the repository whose download is planned, `as` its key to be. */
  validateSearch: (search: Record<string, unknown>): { q?: string; task?: Task; state?: StateFilter; sort?: Sort; add?: Way; get?: string; as?: string } => ({
    q: text(search.q), task: oneOf(TASKS, search.task), state: oneOf(STATES, search.state), sort: oneOf(SORTS, search.sort), add: oneOf(WAYS, search.add), get: text(search.get), as: text(search.as),
  }),
  component: lazyRouteComponent(pages.ModelsPage, "ModelsPage"),
});

const model = createRoute({
  getParentRoute: () => models,
  path: "$key",
  component: lazyRouteComponent(pages.ModelDrawer, "ModelDrawer"),
});

const jobs = createRoute({
  getParentRoute: () => root,
  path: "/jobs",
  validateSearch: (search: Record<string, unknown>): { status?: (typeof STATUSES)[number] } => ({
    status: STATUSES.find((status) => status === search.status),
  }),
  component: lazyRouteComponent(pages.JobsPage, "JobsPage"),
});

const job = createRoute({
  getParentRoute: () => jobs,
  path: "$id",
  component: lazyRouteComponent(pages.JobDrawer, "JobDrawer"),
});

const batches = createRoute({
  getParentRoute: () => root,
  path: "/jobs/batches",
  component: lazyRouteComponent(pages.BatchesPage, "BatchesPage"),
});

const benchmark = createRoute({
  getParentRoute: () => root,
  path: "/chat/benchmark",
  component: lazyRouteComponent(pages.BenchmarkPage, "BenchmarkPage"),
});

const creatures = createRoute({
  getParentRoute: () => root,
  path: "/creatures",
  component: lazyRouteComponent(pages.CreaturesPage, "CreaturesPage"),
});

const system = createRoute({
  getParentRoute: () => root,
  path: "/system",
  component: lazyRouteComponent(pages.SystemPage, "SystemPage"),
});

/** `picture`: of the gallery, to talk about; `prompt`: words to start with; `model`: the model to ask. */
const chats = createRoute({
  getParentRoute: () => root,
  path: "/chat",
  validateSearch: (search: Record<string, unknown>): { picture?: string; prompt?: string; model?: string } => ({ picture: text(search.picture), prompt: text(search.prompt), model: text(search.model) }),
  component: lazyRouteComponent(pages.ChatPage, "ChatPage"),
});

const chat = createRoute({
  getParentRoute: () => chats,
  path: "$id",
});

const routeTree = root.addChildren([generate, gallery.addChildren([picture, compare]), chats.addChildren([chat]), benchmark, models.addChildren([model]), jobs.addChildren([job]), batches, creatures, system]);

export const makeRouter = () =>
  createRouter({
    routeTree,
    defaultPreload: "intent",
    defaultPendingComponent: LoadingPage,
    defaultErrorComponent: CrashPage,
    defaultPendingMs: 150,
    scrollRestoration: true,
  });

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}
