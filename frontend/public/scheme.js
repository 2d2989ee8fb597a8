// Runs before the first paint so that a dark page never flashes white. Keep in step with src/app/theme.ts.
(function () {
  var mode = "system";
  try {
    mode = localStorage.getItem("atelier.scheme") || "system";
  } catch (error) {
    // Storage may be switched off; the system's choice is a good one.
  }
  var dark = mode === "dark" || (mode === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
  var root = document.documentElement;
  root.setAttribute("data-scheme", dark ? "dark" : "light");
  root.style.colorScheme = dark ? "dark" : "light";
  root.style.backgroundColor = dark ? "#0d1015" : "#f6f7f9";
})();
