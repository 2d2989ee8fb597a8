/** Draws a picture with its mask over it, at any zoom. Not React: it draws when something changed, once a frame. */
import type { Area, Mask, Point } from "@/lib/mask";
import { whole } from "@/lib/mask";

const MOST_ZOOM = 32;

/** A shape that is being drawn, in pixels of the mask. */
export interface Outline { kind: "rectangle" | "lasso"; points: readonly Point[] }

export class Easel {
  #canvas: HTMLCanvasElement;
  #mask: Mask;
  #image: CanvasImageSource;
  /** The mask as opacity; what is drawn through it is the tint. */
  #alpha: HTMLCanvasElement;
  #tint = document.createElement("canvas");
  #tile: HTMLCanvasElement;
  #view = { scale: 1, x: 0, y: 0 };
  #size = { width: 0, height: 0 };
  #fitted = true;
  #outline: Outline | null = null;
  #frame = 0;
  #margin: number;

  /** `margin`: CSS pixels that stay free around the fitted picture. */
  constructor(canvas: HTMLCanvasElement, mask: Mask, image: CanvasImageSource, margin = 24) {
    const colour = getComputedStyle(canvas).getPropertyValue("--a-palette-primary-main") || "#ff7557";
    this.#margin = margin;
    this.#canvas = canvas;
    this.#mask = mask;
    this.#image = image;
    this.#alpha = document.createElement("canvas");
    [this.#alpha.width, this.#alpha.height] = [mask.width, mask.height];
    this.#tile = hatch(colour);
    this.refresh(whole(mask));
  }

  get scale(): number {
    return this.#view.scale;
  }

  /** The room there is, in CSS pixels. */
  resize(width: number, height: number): void {
    const ratio = window.devicePixelRatio || 1;
    this.#size = { width, height };
    for (const canvas of [this.#canvas, this.#tint]) [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.#fitted) this.fit();
    this.draw();
  }

  fit(): void {
    const { width, height } = this.#size;
    const scale = Math.max(0.02, Math.min((width - 2 * this.#margin) / this.#mask.width, (height - 2 * this.#margin) / this.#mask.height));
    this.#view = { scale, x: (width - this.#mask.width * scale) / 2, y: (height - this.#mask.height * scale) / 2 };
    this.#fitted = true;
    this.draw();
  }

  /** Larger or smaller, while what is under `at` (the middle when left out) stays there. */
  zoom(factor: number, at: Point = { x: this.#size.width / 2, y: this.#size.height / 2 }): void {
    const { scale, x, y } = this.#view;
    const to = Math.min(MOST_ZOOM, Math.max(0.05, scale * factor));
    this.#view = { scale: to, x: at.x - ((at.x - x) * to) / scale, y: at.y - ((at.y - y) * to) / scale };
    this.#fitted = false;
    this.draw();
  }

  move(dx: number, dy: number): void {
    this.#view = { ...this.#view, x: this.#view.x + dx, y: this.#view.y + dy };
    this.#fitted = false;
    this.draw();
  }

  /** From CSS pixels of the canvas to pixels of the mask, and back. */
  toMask = ({ x, y }: Point): Point => ({ x: (x - this.#view.x) / this.#view.scale, y: (y - this.#view.y) / this.#view.scale });
  toScreen = ({ x, y }: Point): Point => ({ x: x * this.#view.scale + this.#view.x, y: y * this.#view.scale + this.#view.y });

  outline(outline: Outline | null): void {
    this.#outline = outline;
    this.draw();
  }

  /** The mask changed there. */
  refresh(area: Area | null): void {
    if (!area || area.width === 0 || area.height === 0) return;
    const pixels = new ImageData(area.width, area.height);
    for (let y = 0; y < area.height; y++) {
      for (let x = 0; x < area.width; x++) pixels.data[(y * area.width + x) * 4 + 3] = this.#mask.data[(area.y + y) * this.#mask.width + area.x + x] ?? 0;
    }
    this.#alpha.getContext("2d")?.putImageData(pixels, area.x, area.y);
    this.draw();
  }

  draw(): void {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#paint();
    });
  }

  stop(): void {
    cancelAnimationFrame(this.#frame);
  }

  #paint(): void {
    const [context, tint] = [this.#canvas.getContext("2d"), this.#tint.getContext("2d")];
    if (!context || !tint || this.#canvas.width === 0) return;
    const ratio = this.#canvas.width / Math.max(1, this.#size.width);
    const { scale, x, y } = this.#view;
    const { width, height } = this.#mask;
    for (const each of [context, tint]) {
      each.setTransform(1, 0, 0, 1, 0, 0);
      each.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
      each.setTransform(ratio * scale, 0, 0, ratio * scale, ratio * x, ratio * y);
    }
    context.imageSmoothingEnabled = scale < 4;
    context.drawImage(this.#image, 0, 0, width, height);
    tint.drawImage(this.#alpha, 0, 0);
    tint.setTransform(ratio, 0, 0, ratio, 0, 0);
    tint.globalCompositeOperation = "source-in";
    tint.fillStyle = tint.createPattern(this.#tile, "repeat") ?? "#000";
    tint.fillRect(0, 0, this.#size.width, this.#size.height);
    tint.globalCompositeOperation = "source-over";
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(this.#tint, 0, 0);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.#trace(context);
  }

  /** The shape under way: white on black, so that it is seen on any picture. */
  #trace(context: CanvasRenderingContext2D): void {
    const [first, ...rest] = (this.#outline?.points ?? []).map(this.toScreen);
    if (!first) return;
    context.beginPath();
    if (this.#outline?.kind === "rectangle") {
      const end = rest.at(-1) ?? first;
      context.rect(first.x, first.y, end.x - first.x, end.y - first.y);
    } else {
      context.moveTo(first.x, first.y);
      for (const point of rest) context.lineTo(point.x, point.y);
      context.closePath();
    }
    context.lineWidth = 1.5;
    context.strokeStyle = "#000";
    context.setLineDash([]);
    context.stroke();
    context.strokeStyle = "#fff";
    context.setLineDash([6, 5]);
    context.stroke();
  }
}

/** Tinted and striped: told apart from any picture without its colour. */
function hatch(colour: string): HTMLCanvasElement {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 12;
  const context = tile.getContext("2d");
  if (!context) return tile;
  context.globalAlpha = 0.5;
  context.fillStyle = colour;
  context.fillRect(0, 0, 12, 12);
  context.globalAlpha = 0.6;
  context.lineWidth = 2.2;
  context.strokeStyle = "#fff";
  for (const start of [-12, 0, 12]) {
    context.beginPath();
    context.moveTo(start - 2, 14);
    context.lineTo(start + 14, -2);
    context.stroke();
  }
  return tile;
}
