import { useEffect, useState } from "react";

/** The picture at `url`, once it can be drawn on a canvas. */
export function usePicture(url: string): HTMLImageElement | null {
  const [ready, setReady] = useState<HTMLImageElement | null>(null);
  useEffect(() => {
    const image = new Image();
    image.onload = () => setReady(image);
    image.src = url;
    return () => {
      image.onload = null;
    };
  }, [url]);
  return ready;
}
