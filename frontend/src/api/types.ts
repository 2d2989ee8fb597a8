/** The server's own words, generated from openapi.json; this file only shortens the import and names the list pages. */
import type { ImageOut } from "./generated/types.gen";

export type {
  AcceptedOut, AxisIn, BulkEditIn, CatalogueItemOut, CollectionOut, ConsequencesOut, CreatureOut, CreatureSettingsOut, DependencyList, DependencyOut, DeviceOut, DownloadOut, EndpointList, EndpointOut, EnvironmentOut, ErrorOut, Event, FacetsOut, FoundModelOut, GridIn, HiresIn, HistoryOut, HostOut, HubModelOut, HubPlanOut, ImageEditIn, ImageOut, JobKind, JobOut,
  JobPage, JobStatus, LineageOut, LoadOptions, MarksOut, MeOut, ModelList, ModelOut, PlanIn, PlanOut, PreviewOut, Problem, PromptOut, RemedyOut, SamplerSettingsIn, SchedulerList, SchedulerOut, ServerFrame, SettingsOut, SnapshotFrame, StartIn, StorageOut, StyleOut, SystemOut, TextToImageIn, TokenOut, VerdictOut, WaitingOut, WorkerOut,
} from "./generated/types.gen";
export type { AnswerFrame, AnswerWaitOut, ChatParameters, ConversationDetailOut, ConversationOut, ConversationPage, SayIn, MessageOut, PresetIn, PresetOut, ToolCallOut } from "./generated/types.gen";
export type { ImageToImageIn, ImageToVideoIn, InpaintIn, InputOut, OutpaintIn, UpscaleIn } from "./generated/types.gen";
export type { GalleryPage as ImagePage, ImageDeletedOut as DeletedOut } from "./generated/types.gen";
/** A picture as far as it is known: what is not on screen yet is known by its id and what was said of it. */
export type Picked = Pick<ImageOut, "id" | "favourite" | "rating" | "tags" | "collections"> & Partial<ImageOut>;
export const isKnown = (picked: Picked): picked is ImageOut => picked.url !== undefined;
export type { UsageList, UsedOnOut } from "./generated/types.gen";
export type { BenchmarkIn, BenchmarkOut, StageOut } from "./generated/types.gen";
export type { BatchIn, BatchObject, FileObject } from "./generated/types.gen";
export type { Task } from "@/lib/models";
