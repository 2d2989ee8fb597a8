import { Box, ButtonBase, Collapse, Typography, useMediaQuery } from "@mui/material";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { ChevronDown, MessagesSquare, SlidersHorizontal } from "lucide-react";
import { useCallback, useEffect, useRef, useState, type KeyboardEvent } from "react";
import { useTranslation } from "react-i18next";

import { useComplain } from "@/api/actions";
import { asProblem } from "@/api/errors";
import { getImage, getJob } from "@/api/generated/sdk.gen";
import { plannedGrid } from "@/api/grids";
import { queries } from "@/api/queries";
import { useSaid } from "@/i18n/said";
import { familyName } from "@/lib/models";
import { useSignal } from "@/lib/signal";
import { toast } from "@/lib/toast";
import { ErrorNote } from "@/ui/ErrorNote";
import { useFold } from "@/ui/Fold";
import { TextLink } from "@/ui/links";
import { card } from "@/ui/Section";
import { visuallyHidden } from "@/ui/StatusMark";

import { again, againFrom } from "./again";
import { Composer } from "./Composer";
import { DropPlace } from "./DropPlace";
import { baseFor } from "./loras";
import { Runs } from "./Runs";
import { change, chooseModel, effective, settings, toRequest, type Field } from "./settings";
import { SettingsPanel } from "./SettingsPanel";
import { isEmpty, painting, sentImage, source, takeImage } from "./source";
import { SourcePart } from "./SourcePart";
import { changeTask, checkAll, makes, ownSize, resultSize, taskForm, TASKS } from "./tasks";
import { useGenerate } from "./useGenerate";

const route = getRouteApi("/");
const MISSING: string[] = ["validation.promptEmpty", "validation.maskEmpty", "validation.noGrowth"];
/** Shown with the prompt and the picture, not among the settings. */
const OUTSIDE: readonly string[] = ["prompt", "negative_prompt", "image", "mask", "left", "scale", "upscaler"];
const BESIDE = "@media (min-width: 1080px)";

export function GeneratePage() {
  const { t } = useTranslation();
  const said = useSaid();
  const form = useSignal(settings);
  const models = useQuery(queries.models());
  const picture = useSignal(source);
  const wish = useSignal(taskForm);
  const mask = useSignal(painting);
  const videos = models.data?.filter(makes("video")) ?? [];
  // What was chosen before may not be to be had now.
  const job = wish.task === "animate" && models.data && videos.length === 0 ? { ...wish, task: "change" as const } : wish;
  const animate = picture !== null && job.task === "animate";
  // The words are of a whole picture, not of a part of one.
  const whole = !picture || job.task === "change";
  const usable = animate ? videos : models.data?.filter(makes("image"));
  const wanted = animate ? job.videoModel : form.model;
  const model = usable?.find((item) => item.key === wanted) ?? usable?.find((item) => item.available) ?? usable?.[0];
  const own = ownSize(job.task, picture, model);
  const generate = useGenerate(model);
  const [tried, setTried] = useState(false);
  const [tries, setTries] = useState(0);
  const page = useRef<HTMLDivElement>(null);
  const prompt = useRef<HTMLTextAreaElement>(null);
  useStartFromAddress(prompt);
  const { chat: from } = route.useSearch();

  const example = useCallback((words: string) => {
    change({ prompt: words });
    prompt.current?.focus();
  }, []);

  const complaints = checkAll(form, model, job, picture, isEmpty(mask));
  const errors: Partial<Record<Field, string>> = {};
  for (const [field, complaint] of Object.entries(complaints) as [Field, NonNullable<(typeof complaints)[Field]>][]) {
    // What is still missing is no mistake until somebody tries to send it.
    if (!MISSING.includes(complaint.key) || tried) errors[field] = t(complaint.key, { ...complaint });
  }
  for (const problem of generate.problem?.fields ?? []) errors[fieldOf(problem.field)] ??= said(problem).text;

  // Whoever sends what cannot be is led to the first field that is wrong, wherever it is folded away.
  const fields = generate.problem?.fields;
  useEffect(() => {
    if (tries > 0 || fields?.length) firstWrong(page.current)?.focus();
  }, [tries, fields]);

  /** Whether it can be sent; what is wrong with it is shown. */
  const isFine = () => {
    const fine = Object.keys(complaints).length === 0;
    setTried(!fine);
    if (!fine) setTries(tries + 1);
    return fine;
  };

  const submit = () => {
    if (isFine() && !generate.sending) generate.send();
  };

  const planGrid = () => {
    if (!isFine()) return;
    const request = toRequest(form, model, own);
    if (!picture) return plannedGrid.set({ request, start: null, starts: false });
    void sentImage().then((image) => image && plannedGrid.set({ request, start: { image, strength: job.strength, fit: job.fit, url: picture.url }, starts: true }));
  };

  const onKey = (event: KeyboardEvent) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      submit();
    }
  };

  return (
    <Box ref={page} onKeyDown={onKey} sx={{ display: "grid", rowGap: 4, columnGap: 8, gridTemplateColumns: "minmax(0, 1fr)", [BESIDE]: { gridTemplateColumns: "minmax(0, 1fr) 320px", gridTemplateRows: "auto 1fr" }, alignItems: "start" }}>
      <Box component="h1" sx={visuallyHidden}>{t("generate.title")}</Box>
      <Box sx={{ display: "grid", gap: 4, minWidth: 0, gridTemplateColumns: "minmax(0, 1fr)" }}>
        {from && <TextLink to="/chat/$id" params={{ id: from }} variant="body2" sx={{ display: "inline-flex", alignItems: "center", gap: 2, justifySelf: "start" }}><MessagesSquare size={15} aria-hidden />{t("generate.backToChat")}</TextLink>}
        <Composer promptRef={prompt} form={form} model={model} errors={errors} sending={generate.sending} words={!picture ? "needed" : job.task === "animate" ? "none" : job.task === "upscale" ? "optional" : "needed"} onSubmit={submit} onGrid={whole ? planGrid : undefined} onEdit={generate.forgive}>
          {picture && <SourcePart picture={picture} job={job} model={model} canAnimate={videos.length > 0} errors={errors} />}
        </Composer>
        <DropPlace />
        {generate.problem && generate.problem.status !== 401 && (
          <ErrorNote title={t("generate.sendFailed")} error={generate.problem} hint={generate.problem.code === "offline" ? t("generate.sendOffline") : undefined} details={generate.problem.details} onRetry={submit} retrying={generate.sending} />
        )}
        {models.isError && <ErrorNote title={t("generate.modelsFailed")} error={asProblem(models.error)} details={asProblem(models.error).details} onRetry={() => void models.refetch()} />}
        {/* Stands there before it says anything: then it is read out. Beside the settings it would be folded away on a phone. */}
        <Typography role="status" variant="body2" sx={{ color: "warning.main", "&:empty": { position: "absolute" } }}>{model && !animate && form.model && form.model !== model.key && t("generate.modelGone", { wanted: form.model, model: model.name })}</Typography>
        <FoldedSettings summary={summary()} wrong={Object.keys(errors).every((field) => OUTSIDE.includes(field)) ? 0 : tries + 1}>
          <SettingsPanel form={form} models={usable} model={model} loading={models.isPending} task={picture && job.task} picture={own} errors={errors} tries={tries} />
        </FoldedSettings>
      </Box>
      {/* Before the results, however many they are: for the keyboard the settings follow the prompt. */}
      <Box component="aside" aria-label={t("generate.settings")} sx={{ display: "none", [BESIDE]: { display: "block", gridColumn: 2, gridRow: "1 / span 2" }, ...card, p: 4, position: "sticky", top: 80, maxHeight: "calc(100dvh - 104px)", overflowY: "auto" }}>
        <SettingsPanel form={form} models={usable} model={model} loading={models.isPending} task={picture && job.task} picture={own} errors={errors} tries={tries} />
      </Box>
      <Box sx={{ display: "grid", gap: 4, minWidth: 0, gridTemplateColumns: "minmax(0, 1fr)" }}>
        <Runs onExample={whole ? example : undefined} />
      </Box>
    </Box>
  );

  function summary(): string {
    const { width, height } = (picture && resultSize(job, picture, model)) ?? effective(form, model, own);
    if (!models.data) return "";
    return [model?.name, t("generate.summary", { count: form.outputs }), !animate && `${width} × ${height}`].filter(Boolean).join(" · ");
  }
}

/** The first field that says so of itself and can be seen. */
function firstWrong(page: HTMLElement | null): HTMLElement | undefined {
  const marked = page?.querySelectorAll<HTMLElement>('[aria-invalid="true"]') ?? [];
  return [...marked].find((field) => field.checkVisibility?.() ?? true);
}

/** Where a field of a request is shown. */
function fieldOf(name: string): Field {
  if (["right", "top", "bottom"].includes(name)) return "left";
  if (name.startsWith("loras.")) return "loras";
  if (["hires.steps", "hires.scheduler", "hires.upscaler"].includes(name)) return name.replace(".", "_") as Field;
  if (name.startsWith("hires.")) return "hires";
  if (name.startsWith("sampler_settings.")) return "sampler_settings";
  return name as Field;
}

/** `?reuse=`, `?job=`, `?prompt=`, `?model=`, `?lora=`, `?upscaler=`, `?input=` and `?do=` fill the form once and leave the address. */
function useStartFromAddress(prompt: React.RefObject<HTMLTextAreaElement | null>) {
  const { t } = useTranslation();
  const search = route.useSearch();
  const go = route.useNavigate();
  const complain = useComplain();
  const withLora = useWithLora();
  useEffect(() => {
    if (!search.reuse && !search.job && !search.prompt && !search.model && !search.lora && !search.upscaler && !search.input) return;
    if (search.prompt) change({ prompt: search.prompt });
    if (search.model) chooseModel(search.model);
    if (search.reuse) void getImage({ path: { image_id: search.reuse } }).then(again).catch(complain);
    if (search.job) void getJob({ path: { job_id: search.job } }).then(againFrom).catch(complain);
    if (search.lora) void withLora(search.lora);
    if (search.input) void getImage({ path: { image_id: search.input } }).then(takeImage, complain);
    if (search.upscaler) {
      changeTask({ task: "upscale", upscaler: search.upscaler });
      if (!source.get()) toast(t("generate.upscalerChosen"));
    }
    const task = TASKS.find((each) => each === search.do);
    if (task) changeTask({ task });
    // The way back to a conversation stays.
    void go({ to: "/", search: { chat: search.chat }, replace: true });
    prompt.current?.focus();
  }, [search.reuse, search.job, search.prompt, search.model, search.lora, search.upscaler, search.input, search.do, search.chat, go, prompt, complain, withLora, t]);
}

/** Puts a LoRA on, and chooses a model that it fits. */
function useWithLora() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const complain = useComplain();
  return useCallback(async (key: string) => {
    const models = await client.ensureQueryData(queries.models()).catch(complain);
    if (!models) return;
    const lora = models.find((model) => model.key === key);
    const base = lora && baseFor(lora, models, settings.get().model);
    if (!lora || !base) return toast(lora ? t("generate.lorasNoBase", { name: lora.name, family: familyName(lora.family) }) : t("generate.lorasGone"), { tone: "bad" });
    if (base.key !== settings.get().model) chooseModel(base.key);
    change(({ loras }) => (loras.some((each) => each.key === key) ? {} : { loras: [...loras, { key, weight: 1, family: lora.family }] }));
  }, [t, client, complain]);
}

/** On a narrow window the panel folds away under one line that says what is set. */
function FoldedSettings({ summary, wrong, children }: { summary: string; wrong: number; children: React.ReactNode }) {
  const { t } = useTranslation();
  const [open, setOpen] = useFold(wrong);
  const beside = useMediaQuery(BESIDE.replace("@media ", ""));
  if (beside) return null;
  return (
    <Box sx={{ ...card }}>
      <ButtonBase aria-expanded={open} onClick={() => setOpen(!open)} sx={{ width: 1, px: 4, minHeight: 48, gap: 3, justifyContent: "flex-start", fontFamily: "inherit", fontSize: 14, borderRadius: "10px" }}>
        <SlidersHorizontal size={17} aria-hidden />
        <Box component="span" sx={{ fontWeight: 550 }}>{t("generate.settings")}</Box>
        <Box component="span" key={summary} sx={{ color: "text.faint", fontSize: 13, overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap", flex: 1, textAlign: "right" }}>{summary}</Box>
        <Box component={ChevronDown} size={17} aria-hidden sx={{ rotate: open ? "180deg" : 0, transition: "rotate 140ms ease-out", flexShrink: 0 }} />
      </ButtonBase>
      <Collapse in={open} unmountOnExit>
        <Box sx={{ p: 4, pt: 1 }}>{children}</Box>
      </Collapse>
    </Box>
  );
}
