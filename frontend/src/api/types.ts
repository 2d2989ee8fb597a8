/** The server's own words, generated from openapi.json; this file only shortens the import and names the list pages. */
export type {
  AcceptedOut, DependencyList, DependencyOut, DeviceOut, EndpointList, EndpointOut, EnvironmentOut, ErrorOut, Event, HistoryOut, HostOut, ImageOut, JobKind, JobOut, JobPage, JobStatus, MeOut, ModelList, ModelOut,
  PreviewOut, Problem, SchedulerList, SchedulerOut, ServerFrame, SnapshotFrame, SystemOut, TextToImageIn, WaitingOut, WorkerOut,
} from "./generated/types.gen";
export type { GalleryPage as ImagePage, ImageDeletedOut as DeletedOut } from "./generated/types.gen";
