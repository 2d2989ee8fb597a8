import reactHooks from "eslint-plugin-react-hooks";
import globals from "globals";
import tseslint from "typescript-eslint";

// Imports go down only: app → features → api → ui, lib, i18n. Features never import each other.
const only = (files, forbidden, message) => ({
  files: [files],
  ignores: ["**/*.test.*"],
  rules: { "no-restricted-imports": ["error", { patterns: [{ regex: `^@/(${forbidden})(/|$)|^\\.\\./`, message }] }] },
});
const features = ["generate", "gallery", "grids", "chat", "batches", "creatures", "models", "jobs", "system", "access"];

export default tseslint.config(
  { ignores: ["dist", "node_modules", "test-results", "playwright-report", "src/api/generated", "public"] },
  ...tseslint.configs.recommended,
  { files: ["src/**/*.{ts,tsx}"], languageOptions: { globals: globals.browser }, ...reactHooks.configs.flat.recommended },
  {
    rules: {
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
      eqeqeq: "error",
      "no-console": ["error", { allow: ["warn", "error"] }],
    },
  },
  { files: ["scripts/**", "e2e/**"], rules: { "no-console": "off" } },
  only("src/lib/**", "app|features|api|ui|i18n|mocks", "lib holds pure functions: it imports nothing of ours."),
  only("src/i18n/**", "app|features|api|ui|mocks", "i18n may import lib only."),
  only("src/ui/**", "app|features|api|mocks", "ui knows neither the server nor the product."),
  only("src/api/**", "app|features|ui|mocks", "api may import lib and i18n only."),
  ...features.map((name) =>
    only(`src/features/${name}/**`, `app|mocks|features/(?!${name}(/|$))[^/]+`, "A feature may import api, ui, lib, i18n, never another feature."),
  ),
);
