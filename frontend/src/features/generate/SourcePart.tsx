import { Box, Button, IconButton, Tooltip, Typography } from "@mui/material";
import { Brush, Clapperboard, Expand, Scaling, SlidersHorizontal, X, type LucideIcon } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";

import type { ModelOut } from "@/api/types";
import { useSaid } from "@/i18n/said";
import { whole } from "@/lib/mask";
import { useSignal } from "@/lib/signal";
import { Bar } from "@/ui/Bar";
import { Segmented } from "@/ui/Segmented";

import { Easel } from "./easel";
import { MaskEditor } from "./MaskEditor";
import { OutpaintFrame } from "./OutpaintFrame";
import type { Field } from "./settings";
import { sideLimits } from "./settings";
import { clearSource, painting, paintingOf, sendAgain, type Painting, type Source } from "./source";
import { TaskOptions } from "./TaskOptions";
import { changeTask, TASKS, type Task, type TaskForm } from "./tasks";
import { told } from "./told";
import { ToldPart } from "./ToldPart";
import { usePicture } from "./usePicture";

const ICONS: Record<Task, LucideIcon> = { change: SlidersHorizontal, inpaint: Brush, outpaint: Expand, upscale: Scaling, animate: Clapperboard };

interface Props {
  picture: Source;
  job: TaskForm;
  model: ModelOut | undefined;
  canAnimate: boolean;
  errors: Partial<Record<Field, string>>;
}

/** The picture that is worked from, and what to do with it. */
export function SourcePart({ picture, job, model, canAnimate, errors }: Props) {
  const { t } = useTranslation();
  const [editing, setEditing] = useState(false);
  const mask = useSignal(painting);
  const found = useSignal(told);
  const tasks = TASKS.filter((task) => task !== "animate" || canAnimate);
  const paint = () => {
    paintingOf(picture);
    setEditing(true);
  };
  return (
    <Box component="section" aria-label={t("task.title")} data-task={job.task} sx={{ mx: { xs: 4, sm: 6 }, py: 4, borderTop: 1, borderColor: "divider", display: "grid", gap: 4, gridTemplateColumns: { xs: "minmax(0, 1fr)", sm: "minmax(180px, 260px) minmax(0, 1fr)" }, alignItems: "start" }}>
      <Box sx={{ minWidth: 0 }}>
        <Box sx={{ position: "relative", height: 232, borderRadius: "8px", overflow: "hidden", bgcolor: "background.sunken", boxShadow: (theme) => `inset 0 0 0 1px ${theme.vars.palette.divider}` }}>
          {job.task === "outpaint" ? <OutpaintFrame picture={picture} growth={job.growth} limits={sideLimits(model)} /> : job.task === "inpaint" && mask ? <Masked picture={picture} painting={mask} /> : <Plain picture={picture} />}
          <Tooltip title={t("task.remove")}>
            <IconButton size="small" aria-label={t("task.remove")} onClick={clearSource} sx={{ position: "absolute", top: 6, right: 6, color: "#f2f5f9", bgcolor: "rgb(13 16 21 / 0.72)", "&:hover": { color: "#fff", bgcolor: "rgb(13 16 21 / 0.9)" } }}><X size={16} /></IconButton>
          </Tooltip>
        </Box>
        <Sent picture={picture} error={errors.image} />
      </Box>
      <Box sx={{ display: "grid", gap: 4, minWidth: 0, gridTemplateColumns: "minmax(0, 1fr)" }}>
        <Segmented<Task>
          label={t("task.title")}
          value={job.task}
          options={tasks.map((task) => {
            const Icon = ICONS[task];
            return { value: task, name: t(`task.names.${task}`), label: <Box component="span" sx={{ display: "inline-flex", alignItems: "center", justifyContent: "center", gap: "6px", flexDirection: { xs: "column", sm: "row" }, py: { xs: 1, sm: 0 }, mx: { xs: -1, sm: 0 }, whiteSpace: "nowrap", fontSize: { xs: 11, sm: 13 } }}><Icon size={15} aria-hidden />{t(`task.names.${task}`)}</Box> };
          })}
          onChange={(task) => changeTask({ task })}
        />
        {found && <ToldPart found={found} />}
        <TaskOptions picture={picture} job={job} model={model} mask={mask} onPaint={paint} errors={errors} />
      </Box>
      {editing && mask && <MaskEditor picture={picture} painting={mask} onClose={() => setEditing(false)} />}
    </Box>
  );
}

function Plain({ picture }: { picture: Source }) {
  const { t } = useTranslation();
  // The server lets go of uploads that nobody used for a day.
  return <Box component="img" src={picture.url} onError={clearSource} alt={t("task.pictureAlt", { name: picture.name })} sx={{ display: "block", width: 1, height: 1, objectFit: "contain" }} />;
}

/** The picture as the mask has it: small, not to paint on. */
function Masked({ picture, painting: { mask, version } }: { picture: Source; painting: Painting }) {
  const { t } = useTranslation();
  const canvas = useRef<HTMLCanvasElement>(null);
  const image = usePicture(picture.url);
  const easel = useRef<Easel | null>(null);
  useEffect(() => {
    const element = canvas.current;
    if (!element || !image) return;
    const made = new Easel(element, mask, image, 0);
    easel.current = made;
    const observer = new ResizeObserver(() => made.resize(element.clientWidth, element.clientHeight));
    observer.observe(element);
    made.resize(element.clientWidth, element.clientHeight);
    return () => {
      observer.disconnect();
      made.stop();
      easel.current = null;
    };
  }, [mask, image]);
  useEffect(() => easel.current?.refresh(whole(mask)), [mask, version]);
  return <Box component="canvas" ref={canvas} role="img" aria-label={t("task.maskedAlt", { name: picture.name })} sx={{ display: "block", width: 1, height: 1 }} />;
}

/** The picture's size, how far it is on its way to the server, or why it did not arrive. */
function Sent({ picture, error }: { picture: Source; error?: string }) {
  const { t } = useTranslation();
  const told = useSaid();
  if (picture.progress !== null) {
    return (
      <Box sx={{ mt: 2, minHeight: 22 }}>
        <Bar value={picture.progress} label={t("task.sending")} />
        <Typography variant="caption" sx={{ display: "block", mt: 1, color: "text.faint" }}>{t("task.sending")}</Typography>
      </Box>
    );
  }
  const problem = picture.problem && told(picture.problem);
  if (problem ?? error) {
    return (
      <Box role="alert" sx={{ mt: 2, fontSize: 12, lineHeight: 1.45, color: "error.main" }}>
        {problem ? `${problem.text} ${problem.hint}` : error}
        {problem && <Button size="small" variant="outlined" color="inherit" onClick={() => sendAgain()} sx={{ mt: 2, display: "flex" }}>{t("common.retry")}</Button>}
      </Box>
    );
  }
  return (
    <Typography variant="caption" component="p" sx={{ mt: 2, color: "text.faint", display: "flex", gap: 2, minWidth: 0 }}>
      <Box component="span" sx={{ minWidth: 0, overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap" }} title={picture.name}>{picture.name}</Box>
      <Box component="span" sx={{ ml: "auto", whiteSpace: "nowrap" }}>{`${picture.width} × ${picture.height}`}</Box>
    </Typography>
  );
}
