import { useSignal } from "@/lib/signal";

import type { Card } from "./cards";
import { DeleteDialog } from "./DeleteDialog";
import { answered, question } from "./dialogs";
import { EditDialog } from "./EditDialog";
import { LoadDialog } from "./LoadDialog";
import { TokenDialog } from "./TokenDialog";

/** The question about a model that is open, if any. */
export function Questions({ cards }: { cards: Card[] }) {
  const open = useSignal(question);
  const card = open && cards.find((each) => each.key === open.key);
  if (!open || !card) return null;
  switch (open.kind) {
    case "edit":
      return card.model && <EditDialog model={card.model} onClose={answered} />;
    case "load":
      return card.model && <LoadDialog model={card.model} onClose={answered} />;
    case "delete":
      return card.model && <DeleteDialog model={card.model} onClose={answered} />;
    case "token":
      return <TokenDialog repo={card.offer?.repo ?? card.model?.repo ?? null} wanted={card.key} onClose={answered} />;
  }
}
