/** What the page does to conversations: at once on the screen, then on the server. */
import { useMutation, useQueryClient, type InfiniteData, type QueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";

import { useComplain } from "@/api/actions";
import * as api from "@/api/generated/sdk.gen";
import { keys } from "@/api/keys";
import type { ChatParameters, ConversationDetailOut, ConversationOut, ConversationPage, MessageOut } from "@/api/types";
import type { Signal } from "@/lib/signal";
import { toast } from "@/lib/toast";

import { attached, clearSaid, draftOf, setup, type Draft } from "./drafts";
import { putMessage } from "./growing";
import { settle } from "./settling";

const UNDO_SECONDS = 10;

export interface Change { title?: string; model?: string | null; system_prompt?: string; parameters?: ChatParameters; pinned?: boolean; archived?: boolean; head_id?: string; apart?: true }

function patch(client: QueryClient, id: string, change: Partial<ConversationOut>): void {
  client.setQueryData<ConversationDetailOut>(keys.chat(id), (known) => known && { ...known, ...change });
  client.setQueriesData<InfiniteData<ConversationPage>>({ queryKey: keys.chatLists }, (data) =>
    data && { ...data, pages: data.pages.map((page) => ({ ...page, items: page.items.map((item) => (item.id === id ? { ...item, ...change } : item)) })) },
  );
}

export function useChange() {
  const client = useQueryClient();
  const complain = useComplain();
  return useMutation({
    mutationFn: ({ id, change }: { id: string; change: Change }) => api.changeConversation({ path: { conversation_id: id }, body: change }),
    onMutate: ({ id, change: { apart: _, ...seen } }) => patch(client, id, seen as Partial<ConversationOut>),
    onSuccess: (_, { id }) => {
      void client.invalidateQueries({ queryKey: keys.chatLists });
      void client.invalidateQueries({ queryKey: keys.chat(id) });
    },
    onError: (error, { id }) => {
      void client.invalidateQueries({ queryKey: keys.chat(id) });
      void client.invalidateQueries({ queryKey: keys.chatLists });
      complain(error);
    },
  });
}

/** Deletes at once; for ten seconds it can be undone. */
export function useDelete() {
  const client = useQueryClient();
  const complain = useComplain();
  const { t } = useTranslation();
  return useMutation({
    mutationFn: ({ id }: { id: string; title: string }) => api.deleteConversation({ path: { conversation_id: id } }),
    onMutate: ({ id }) =>
      client.setQueriesData<InfiniteData<ConversationPage>>({ queryKey: keys.chatLists }, (data) => data && { ...data, pages: data.pages.map((page) => ({ ...page, items: page.items.filter((item) => item.id !== id) })) }),
    onSuccess: (_, { id, title }) => {
      const undo = async () => {
        await api.restoreConversation({ path: { conversation_id: id } }).catch(complain);
        void client.invalidateQueries({ queryKey: keys.chats });
      };
      toast(t("chat.deleted", { title: title || t("chat.untitled") }), { seconds: UNDO_SECONDS, action: { label: t("common.undo"), run: () => void undo() } });
    },
    onError: (error) => {
      void client.invalidateQueries({ queryKey: keys.chatLists });
      complain(error);
    },
  });
}

export interface Said { content: string; pictures?: string[]; parent_id?: string; at_start?: boolean; role?: "user" | "tool"; tool_call_id?: string; /** Whose pictures go along, once they have been sent. */ draft?: Signal<Draft>; /** The same is said there as well: what was asked of both is changed in both. */ pair?: { id: string } & Pick<Said, "parent_id" | "at_start"> }

/** Says something in a conversation; begins one where there is none yet, with a second one beside it if that is wished. */
export function useSay(conversation: ConversationDetailOut | null, beside: ConversationDetailOut | null, model: string | undefined) {
  const client = useQueryClient();
  const go = useNavigate();
  const complain = useComplain();
  // What has been said is not said again when only the conversation beside it did not hear.
  const there = async (id: string, body: Parameters<typeof api.addMessage>[0]["body"]) => api.addMessage({ path: { conversation_id: id }, body }).then((sent) => take(client, id, sent), complain);
  return useMutation({
    onMutate: ({ draft }) => draft?.get(),
    mutationFn: async ({ draft, pair, ...given }: Said) => {
      const said = draft ? { ...given, pictures: await attached(draft) } : given;
      if (!conversation) return begin(client, said, model, complain);
      await Promise.all([settle(conversation.id), beside && settle(beside.id)]);
      const sent = await api.addMessage({ path: { conversation_id: conversation.id }, body: said });
      take(client, conversation.id, sent);
      if (pair) {
        const { id, ...place } = pair;
        await there(id, { content: said.content, pictures: said.pictures, ...place });
      } else if (beside && said.parent_id === undefined && !said.at_start) await there(beside.id, said);
      return null;
    },
    onSuccess: (made, { draft }, before) => {
      if (draft && before) clearSaid(draft, before, made ? draftOf(made) : draft);
      void client.invalidateQueries({ queryKey: keys.chatLists });
      if (made) void go({ to: "/chat/$id", params: { id: made }, replace: true });
    },
  });
}

async function begin(client: QueryClient, message: Omit<Said, "draft" | "pair">, model: string | undefined, complain: (error: unknown) => void): Promise<string> {
  const { beside, system_prompt, parameters } = setup.get();
  const made = await api.addConversation({ body: { model, system_prompt, parameters, message } });
  client.setQueryData(keys.chat(made.id), made);
  if (beside) {
    await api.addConversation({ body: { model: beside, system_prompt, parameters, beside_of: made.id } }).then((other) => {
      client.setQueryData(keys.chat(other.id), other);
      client.setQueryData<ConversationDetailOut>(keys.chat(made.id), (known) => known && { ...known, beside: other.id });
    }, complain);
  }
  return made.id;
}

function take(client: QueryClient, conversation: string, { message, answer }: { message: MessageOut; answer: MessageOut }): void {
  putMessage(client, conversation, message);
  putMessage(client, conversation, answer);
  patch(client, conversation, { head_id: answer.id, updated_at: answer.created_at });
}

/** Another answer beside those that there are; with another model if that is given. */
export function useAgain(conversation: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ message, model }: { message: string; model?: string }) => api.answerAgain({ path: { conversation_id: conversation, message_id: message }, body: { model } }),
    onSuccess: (sent) => take(client, conversation, sent),
    onError: useComplain(),
  });
}

/** Ends answers; what there is of them stays. */
export function useStopAll() {
  const client = useQueryClient();
  const complain = useComplain();
  return (growing: readonly { in: string; message: string }[]) => {
    for (const one of growing) api.stopAnswer({ path: { conversation_id: one.in, message_id: one.message } }).then((message) => putMessage(client, one.in, message), complain);
  };
}

/** Shows a second conversation beside this one: the same questions to another model. */
export function useBeside(conversation: ConversationDetailOut) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (model: string) => api.addConversation({ body: { model, system_prompt: conversation.system_prompt, parameters: conversation.parameters, beside_of: conversation.id } }),
    onSuccess: (other) => {
      client.setQueryData(keys.chat(other.id), other);
      patch(client, conversation.id, { beside: other.id });
    },
    onError: useComplain(),
  });
}

export function useImport() {
  const client = useQueryClient();
  const go = useNavigate();
  const complain = useComplain();
  const { t } = useTranslation();
  return useMutation({
    mutationFn: async (file: File) => {
      const filed = JSON.parse(await file.text()) as Parameters<typeof api.importConversation>[0]["body"];
      return api.importConversation({ body: filed });
    },
    onSuccess: (made) => {
      client.setQueryData(keys.chat(made.id), made);
      void client.invalidateQueries({ queryKey: keys.chatLists });
      void go({ to: "/chat/$id", params: { id: made.id } });
    },
    onError: (error) => (error instanceof SyntaxError ? toast(t("chat.importUnreadable"), { tone: "bad", seconds: 8 }) : complain(error)),
  });
}
