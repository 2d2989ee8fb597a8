/** The map of the product: every address and what it may carry. */
import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";

import { CrashPage, LoadingPage, NotFoundPage } from "./Fallbacks";
import { Shell } from "./Shell";

const text = (value: unknown) => (typeof value === "string" && value !== "" ? value : typeof value === "number" ? String(value) : undefined);
const STATUSES = ["waiting", "running", "completed", "failed", "cancelled"] as const;

const pages = {
  GeneratePage: () => import("@/features/generate/GeneratePage"),
  GalleryPage: () => import("@/features/gallery/GalleryPage"),
  PictureView: () => import("@/features/gallery/PictureView"),
  JobsPage: () => import("@/features/jobs/JobsPage"),
  JobDrawer: () => import("@/features/jobs/JobDrawer"),
  SystemPage: () => import("@/features/system/SystemPage"),
};

/** Fetch every page while nothing else is to do: then all of them open while the server is away. */
export const loadPages = () => Promise.allSettled(Object.values(pages).map((load) => load()));

const root = createRootRoute({ component: Shell, notFoundComponent: NotFoundPage });

const generate = createRoute({
  getParentRoute: () => root,
  path: "/",
  /** `reuse`: the picture whose settings are taken over; `prompt`: words to start with. */
  validateSearch: (search: Record<string, unknown>): { reuse?: string; prompt?: string } => ({ reuse: text(search.reuse), prompt: text(search.prompt) }),
  component: lazyRouteComponent(pages.GeneratePage, "GeneratePage"),
});

const gallery = createRoute({
  getParentRoute: () => root,
  path: "/gallery",
  validateSearch: (search: Record<string, unknown>): { q?: string } => ({ q: text(search.q) }),
  component: lazyRouteComponent(pages.GalleryPage, "GalleryPage"),
});

const picture = createRoute({
  getParentRoute: () => gallery,
  path: "$id",
  component: lazyRouteComponent(pages.PictureView, "PictureView"),
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

const system = createRoute({
  getParentRoute: () => root,
  path: "/system",
  component: lazyRouteComponent(pages.SystemPage, "SystemPage"),
});

const routeTree = root.addChildren([generate, gallery.addChildren([picture]), jobs.addChildren([job]), system]);

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
