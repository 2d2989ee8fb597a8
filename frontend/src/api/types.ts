/** The server's own words, generated from openapi.json; this file only shortens the import and names the list pages. */
export type {
  AcceptedOut, CatalogueItemOut, ConsequencesOut, DependencyList, DependencyOut, DeviceOut, DownloadOut, EndpointList, EndpointOut, EnvironmentOut, ErrorOut, Event, FoundModelOut, HistoryOut, HostOut, HubModelOut, HubPlanOut, ImageOut, ImageToImageIn, ImageToVideoIn, InpaintIn, InputOut, JobKind, JobOut,
  JobPage, JobStatus, LoadOptions, MeOut, ModelList, ModelOut, OutpaintIn, PlanIn, PlanOut, PreviewOut, Problem, RemedyOut, SchedulerList, SchedulerOut, ServerFrame, SnapshotFrame, SystemOut, TextToImageIn, TokenOut, UpscaleIn, WaitingOut, WorkerOut,
} from "./generated/types.gen";
export type { GalleryPage as ImagePage, ImageDeletedOut as DeletedOut } from "./generated/types.gen";
export type { Task } from "@/lib/models";
