import { Box, Skeleton } from "@mui/material";
import { useNavigate } from "@tanstack/react-router";
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useLayoutEffect, useMemo, useRef, useState, type KeyboardEvent, type MouseEvent } from "react";
import { useTranslation } from "react-i18next";

import { useDeleteImages } from "@/api/actions";
import { useMark } from "@/api/marking";
import type { ImageOut, Picked } from "@/api/types";
import { justify } from "@/lib/rows";

import { Cell } from "./Cell";
import { step } from "./moves";

const GAP = 4;

interface Props {
  images: ImageOut[];
  selected: ReadonlySet<string>;
  /** Those of them that are there, also where they are not on screen yet. */
  chosen: Picked[];
  onSelect: (ids: ReadonlySet<string>) => void;
  onSelectAll: () => void;
  onTag: (images: Picked[]) => void;
  hasMore: boolean;
  loadingMore: boolean;
  loadMore: () => void;
  /** Page after page while it is `wanted`; whether all are here. */
  loadRest: (wanted: () => boolean) => Promise<true | null>;
}

/** Justified rows of which only those near the window exist. Arrows move, Space selects, Enter opens, End goes to the very last, Ctrl A selects all there are, Delete deletes, F marks as favourite, 0 to 5 rate, T tags, Esc clears. */
export function Grid({ images, selected, chosen, onSelect, onSelectAll, onTag, hasMore, loadingMore, loadMore, loadRest }: Props) {
  const { t } = useTranslation();
  const go = useNavigate();
  const remove = useDeleteImages();
  const mark = useMark();
  const root = useRef<HTMLDivElement>(null);
  const { width, top } = useMeasure(root);
  const target = width < 600 ? 150 : 216;
  const rows = useMemo(() => justify(images, width, target, GAP), [images, width, target]);
  const [focused, setFocused] = useState(0);
  const moved = useRef(false);
  const anchor = useRef(0);
  const at = Math.min(focused, images.length - 1);

  const virtual = useWindowVirtualizer({
    count: rows.length,
    estimateSize: (index) => (rows[index]?.height ?? target) + GAP,
    overscan: 4,
    scrollMargin: top,
    getItemKey: (index) => rows[index]?.items[0]?.id ?? index,
  });
  useLayoutEffect(() => virtual.measure(), [rows, virtual]);
  const shown = virtual.getVirtualItems();
  const last = shown.at(-1)?.index ?? 0;
  useEffect(() => {
    if (hasMore && !loadingMore && last >= rows.length - 6) loadMore();
  }, [hasMore, loadingMore, last, rows.length, loadMore]);

  // After a move by keyboard the picture is brought into view, then focused once its row exists.
  useEffect(() => {
    if (!moved.current) return;
    const row = rows.findIndex((item) => at >= item.start && at < item.start + item.items.length);
    if (row >= 0) virtual.scrollToIndex(row, { align: "auto" });
    const frame = requestAnimationFrame(() => {
      const cell = root.current?.querySelector<HTMLElement>(`[data-index="${at}"]`);
      cell?.focus({ preventScroll: true });
      if (cell) moved.current = false;
    });
    return () => cancelAnimationFrame(frame);
  }, [at, rows, virtual, shown]);

  useKeptFocus(root, at, setFocused);

  const toggle = (index: number, range = false) => {
    const next = new Set(selected);
    const [from, to] = range ? [Math.min(anchor.current, index), Math.max(anchor.current, index)] : [index, index];
    const on = range || !selected.has(images[index]?.id ?? "");
    for (let each = from; each <= to; each++) {
      const id = images[each]?.id;
      if (id) next[on ? "add" : "delete"](id);
    }
    anchor.current = index;
    onSelect(next);
  };
  const open = (image: ImageOut | undefined) => image && void go({ to: "/gallery/$id", params: { id: image.id }, search: (old) => old, resetScroll: false });

  /** The selected ones, or else the one with the focus. */
  const meant = (): Picked[] => (chosen.length ? chosen : images.slice(at, at + 1));
  const onKey = (event: KeyboardEvent) => {
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    const next = step(event.key, at, rows, images.length);
    if (ending && event.key !== "Shift") setEnding(null);
    if (event.key === "End" && hasMore) {
      event.preventDefault();
      setEnding({ range: event.shiftKey });
    } else if (next !== null) {
      event.preventDefault();
      moved.current = true;
      if (event.shiftKey) toggle(next, true);
      setFocused(next);
    } else if (event.key === " ") {
      event.preventDefault();
      toggle(at);
    } else if (event.key === "Enter") {
      event.preventDefault();
      open(images[at]);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      const doomed = meant();
      moved.current = true;
      onSelect(new Set());
      remove.mutate(doomed);
    } else if (event.key === "Escape") {
      onSelect(new Set());
    } else if (event.key.toLowerCase() === "a" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      onSelectAll();
    } else if (plain && /^[0-5]$/.test(event.key)) {
      event.preventDefault();
      mark.mutate({ images: meant(), change: { rating: Number(event.key) } });
    } else if (plain && event.key.toLowerCase() === "f") {
      const all = meant();
      mark.mutate({ images: all, change: { favourite: !all.every((image) => image.favourite) } });
    } else if (plain && event.key.toLowerCase() === "t") {
      event.preventDefault();
      onTag(meant());
    }
  };
  const onClick = (event: MouseEvent, index: number) => {
    setFocused(index);
    if (event.shiftKey) toggle(index, true);
    else if (event.ctrlKey || event.metaKey || selected.size > 0) toggle(index);
    else open(images[index]);
  };
  const same = useSame({ onClick, toggle });

  // To the very last: page by page until all are here. Any other key lets it be.
  const [ending, setEnding] = useState<{ range: boolean; there?: true } | null>(null);
  useEffect(() => {
    if (!ending || ending.there) return;
    let wanted = true;
    void loadRest(() => wanted).then((there) => wanted && setEnding(there ? { ...ending, there } : null));
    return () => {
      wanted = false;
    };
  }, [ending, loadRest]);
  useEffect(() => {
    if (!ending?.there || hasMore) return;
    const frame = requestAnimationFrame(() => {
      moved.current = true;
      if (ending.range) same.toggle(images.length - 1, true);
      setFocused(images.length - 1);
      setEnding(null);
    });
    return () => cancelAnimationFrame(frame);
  }, [ending, hasMore, images.length, same]);

  return (
    <Box ref={root} role="listbox" aria-multiselectable aria-label={t("gallery.grid")} aria-description={t("gallery.keys")} onKeyDown={onKey} sx={{ position: "relative", mx: { xs: -4, md: 0 } }} style={{ height: virtual.getTotalSize() }}>
      {shown.map((item) => {
        const row = rows[item.index];
        if (!row) return null;
        return (
          <Box key={item.key} role="presentation" sx={{ position: "absolute", insetInline: 0, top: 0, display: "flex", gap: `${GAP}px` }} style={{ transform: `translateY(${item.start - top}px)`, height: row.height }}>
            {row.items.map((image, offset) => {
              const index = row.start + offset;
              return <Cell key={image.id} image={image} index={index} width={row.widths[offset] ?? 0} reachable={index === at} selected={selected.has(image.id)} selecting={selected.size > 0} onClick={same.onClick} onToggle={same.toggle} />;
            })}
          </Box>
        );
      })}
      <Box role="status" sx={{ position: "fixed", zIndex: 1200, bottom: { xs: 72, md: 24 }, insetInline: 0, mx: "auto", width: "max-content", px: 4, py: 2, borderRadius: "8px", bgcolor: "background.raised", border: 1, borderColor: "divider", fontSize: 14, fontVariantNumeric: "tabular-nums", "&:empty": { display: "none" } }}>{ending && t("gallery.toEnd", { count: images.length })}</Box>
      {loadingMore && <Skeleton variant="rectangular" height={4} sx={{ position: "absolute", insetInline: 0, bottom: -12 }} />}
    </Box>
  );
}

/** A picture with the focus may go, or move to another row, which draws it anew: the focus stays at that place instead of leaving the page. */
function useKeptFocus(root: React.RefObject<HTMLElement | null>, at: number, setFocused: (index: number) => void) {
  const held = useRef<HTMLElement | null>(null);
  useLayoutEffect(() => {
    const cell = held.current;
    if (!cell || cell.isConnected) return;
    held.current = null;
    if (document.activeElement !== document.body) return;
    const find = (what: string) => root.current?.querySelector<HTMLElement>(what);
    (find(`[data-image="${cell.dataset.image}"]`) ?? find(`[data-index="${at}"]`))?.focus({ preventScroll: true });
  });
  // Not React's events: those are off while it changes the page, and then the focus comes back from a toast that goes.
  useEffect(() => {
    const grid = root.current;
    const come = ({ target }: FocusEvent) => {
      if (!(target instanceof HTMLElement) || !target.dataset.index) return;
      held.current = target;
      setFocused(Number(target.dataset.index));
    };
    // When the element itself goes the focus goes to nobody.
    const leave = ({ relatedTarget }: FocusEvent) => {
      if (relatedTarget) held.current = null;
    };
    grid?.addEventListener("focusin", come);
    grid?.addEventListener("focusout", leave);
    return () => {
      grid?.removeEventListener("focusin", come);
      grid?.removeEventListener("focusout", leave);
    };
  }, [root, setFocused]);
}

/** Functions that stay the same while what they do changes: cells that did not change are not drawn again at every turn of the wheel. */
function useSame(now: { onClick: (event: MouseEvent, index: number) => void; toggle: (index: number, range?: boolean) => void }) {
  const latest = useRef(now);
  useLayoutEffect(() => {
    latest.current = now;
  });
  return useMemo(
    () => ({
      onClick: (event: MouseEvent, index: number) => latest.current.onClick(event, index),
      toggle: (index: number, range?: boolean) => latest.current.toggle(index, range),
    }),
    [],
  );
}

/** Width of the grid and where it begins on the page. */
function useMeasure(ref: React.RefObject<HTMLElement | null>) {
  const [box, setBox] = useState({ width: 0, top: 0 });
  useLayoutEffect(() => {
    const element = ref.current;
    if (!element) return;
    const measure = () => {
      const width = element.clientWidth;
      const top = Math.round(element.getBoundingClientRect().top + window.scrollY);
      setBox((old) => (old.width === width && old.top === top ? old : { width, top }));
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, [ref]);
  return box;
}
