import { Box, Fab } from "@mui/material";
import { useNavigate } from "@tanstack/react-router";
import { ArrowDown } from "lucide-react";
import type { RefObject } from "react";
import { useTranslation } from "react-i18next";

import { asProblem } from "@/api/errors";
import type { ConversationDetailOut, ModelOut } from "@/api/types";
import { usable } from "@/lib/answering";
import { useSignal, type Signal } from "@/lib/signal";
import { ErrorNote } from "@/ui/ErrorNote";

import type { useSay } from "./actions";
import { Composer } from "./Composer";
import { fuller, isFull, picturesOver, roomOf } from "./context";
import { ContextUse, Obstacle } from "./ContextUse";
import { detach, draftOf, setup, type Draft } from "./drafts";
import { branchOf } from "./tree";

interface Props {
  conversation: ConversationDetailOut | null;
  /** The conversation of the address is on its way. */
  opening: boolean;
  beside: ConversationDetailOut | null;
  /** Who answers, and who answers beside it. */
  asked: readonly ModelOut[];
  models: readonly ModelOut[];
  draft: Signal<Draft>;
  inputRef: RefObject<HTMLTextAreaElement | null>;
  say: ReturnType<typeof useSay>;
  growing: boolean;
  blocked: string | null;
  away: boolean;
  onDropOldest: () => void;
  onToEnd: () => void;
  onSend: () => void;
  onStop: () => void;
  onEditLast: () => void;
  onModel: (key: string) => void;
}

/** Below the thread: what stands in the way, where one writes, and how full the context is. */
export function AskPart({ conversation, opening, beside, asked, models, draft, inputRef, say, growing, blocked, away, onDropOldest, onToEnd, onSend, onStop, onEditLast, onModel }: Props) {
  const { t, i18n } = useTranslation();
  const go = useNavigate();
  const written = useSignal(draft);
  const fresh = useSignal(setup);
  const own = conversation ?? fresh;
  const branch = (of: ConversationDetailOut | null) => (of ? branchOf(of.messages, of.head_id) : []);
  const room = fuller(roomOf(branch(conversation), written, asked[0], own), asked[1] ? roomOf(branch(beside), written, asked[1], beside ?? own) : null);
  const blind = written.pictures.length > 0 ? asked.find((model) => !model.sees) : undefined;
  const full = !blocked && isFull(room);
  const over = asked.map((model, at) => picturesOver(branch(at === 0 ? conversation : beside), written, model));
  const limited = asked[over.indexOf(Math.max(1, ...over))];
  const problem = say.error ? asProblem(say.error) : null;
  const number = (value: number) => new Intl.NumberFormat(i18n.language).format(value);

  const elsewhere = () => {
    const other = draftOf(null);
    other.set(written);
    draft.set({ text: "", pictures: [] });
    void go({ to: "/chat" });
  };
  return (
    <>
      {away && <Box sx={{ position: "absolute", top: -52, left: 0, right: 0, display: "grid", justifyItems: "center", pointerEvents: "none" }}><Fab size="small" aria-label={t("chat.toEnd")} onClick={onToEnd} sx={{ pointerEvents: "auto", color: "text.primary", bgcolor: "background.raised", border: 1, borderColor: "divider", boxShadow: "none", "&:hover": { bgcolor: "background.sunken" } }}><ArrowDown size={17} /></Fab></Box>}
      {problem && problem.status !== 401 && <Box sx={{ mb: 3 }}><ErrorNote title={t("chat.sendFailed")} error={problem} details={problem.details} onRetry={onSend} retrying={say.isPending} /></Box>}
      {blind && <Blind model={blind} models={models} onModel={onModel} onRemove={() => written.pictures.forEach((one) => detach(draft, one.key))} />}
      {full && !blind && (
        <Obstacle actions={room.alone ? [] : [{ text: t("chat.dropOldestNow"), run: onDropOldest }, { text: t("chat.askElsewhere"), run: elsewhere }]}>
          {t(room.alone ? "chat.questionTooLong" : "chat.contextFull", { next: number(room.next), most: number(room.most ?? 0) })}
        </Obstacle>
      )}
      <Composer draft={draft} inputRef={inputRef} sending={say.isPending} early={(models.length === 0 || opening) && blocked === null} growing={growing} blocked={blocked ?? (blind ? t("chat.modelBlind", { model: blind.name }) : full ? t("chat.contextFullShort") : null)} told={blocked === null && (blind !== undefined || full)} note={limited && !blind ? t("chat.picturesNewest", { count: Math.max(...over), model: limited.name, most: limited.chat?.pictures }) : null} onSend={onSend} onStop={onStop} onEditLast={onEditLast}>
        <ContextUse room={room} />
      </Composer>
    </>
  );
}

/** Pictures for a model that does not see: said before they are sent, with who does. */
function Blind({ model, models, onModel, onRemove }: { model: ModelOut; models: readonly ModelOut[]; onModel: (key: string) => void; onRemove: () => void }) {
  const { t } = useTranslation();
  const go = useNavigate();
  const seer = models.find((one) => one.sees && usable(one));
  const ask = seer ? { text: t("chat.askSeer", { model: seer.name }), run: () => onModel(seer.key) } : { text: t("chat.getSeer"), run: () => void go({ to: "/models", search: { add: "hub", task: "chat" } }) };
  return <Obstacle actions={[ask, { text: t("chat.withoutPictures"), run: onRemove }]}>{t("chat.modelBlind", { model: model.name })}</Obstacle>;
}
