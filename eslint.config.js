// The rules for the scripts of the explainer's page, in fastconv/explain/page.

import js from "@eslint/js";

const GLOBALS = ["addEventListener", "document", "getSelection", "matchMedia", "ResizeObserver"];
/** What of the browser the scripts use; whatever else has no declaration is a mistake. */
const globals = Object.fromEntries(GLOBALS.map((name) => [name, "readonly"]));

export default [
  js.configs.recommended,
  {
    files: ["fastconv/**/*.js"],
    languageOptions: { ecmaVersion: 2024, sourceType: "module", globals },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "max-len": ["error", { code: 128 }],
      "max-lines-per-function": ["error", { max: 40 }],
      "max-params": ["error", { max: 8 }],
      complexity: ["error", { max: 12 }],
      "no-shadow": ["error", { builtinGlobals: false }],
      "no-var": "error",
      "prefer-const": "error",
      eqeqeq: "error",
      "no-implicit-coercion": "error",
      "no-param-reassign": "error",
      "prefer-template": "error",
      "prefer-arrow-callback": "error",
      "object-shorthand": "error",
    },
  },
];
