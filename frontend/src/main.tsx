import "@fontsource-variable/inter/index.css";
import "@fontsource-variable/jetbrains-mono/index.css";

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { App } from "@/app/App";
import { startI18n } from "@/i18n";

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");

void startI18n().then(() =>
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  ),
);
