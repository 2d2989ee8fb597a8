/** The map of the product: every address and what it may carry. */
import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";

import { CrashPage, LoadingPage, NotFoundPage } from "./Fallbacks";
import { Shell } from "./Shell";

const text = (value: unknown) => (typeof value === "string" && value !== "" ? value : typeof value === "number" ? String(value) : undefined);
const STATUSES = ["active", "completed", "failed", "cancelled"] as const;

const root = createRootRoute({ component: Shell, notFoundComponent: NotFoundPage });

const generate = createRoute({
  getParentRoute: () => root,
  path: "/",
  /** `reuse`: the picture whose settings are taken over; `prompt`: words to start with. */
  validateSearch: (search: Record<string, unknown>): { reuse?: string; prompt?: string } => ({ reuse: text(search.reuse), prompt: text(search.prompt) }),
  component: lazyRouteComponent(() => import("@/features/generate/GeneratePage"), "GeneratePage"),
});

const gallery = createRoute({
  getParentRoute: () => root,
  path: "/gallery",
  validateSearch: (search: Record<string, unknown>): { q?: string } => ({ q: text(search.q) }),
  component: lazyRouteComponent(() => import("@/features/gallery/GalleryPage"), "GalleryPage"),
});

const picture = createRoute({
  getParentRoute: () => gallery,
  path: "$id",
  component: lazyRouteComponent(() => import("@/features/gallery/PictureView"), "PictureView"),
});

const jobs = createRoute({
  getParentRoute: () => root,
  path: "/jobs",
  validateSearch: (search: Record<string, unknown>): { status?: (typeof STATUSES)[number] } => ({
    status: STATUSES.find((status) => status === search.status),
  }),
  component: lazyRouteComponent(() => import("@/features/jobs/JobsPage"), "JobsPage"),
});

const job = createRoute({
  getParentRoute: () => jobs,
  path: "$id",
  component: lazyRouteComponent(() => import("@/features/jobs/JobDrawer"), "JobDrawer"),
});

const system = createRoute({
  getParentRoute: () => root,
  path: "/system",
  component: lazyRouteComponent(() => import("@/features/system/SystemPage"), "SystemPage"),
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
