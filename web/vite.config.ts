import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const server = process.env.QWELL_URL ?? "http://127.0.0.1:8000";

/** Every browser that runs this page reads woff2; the other forms of KaTeX's fonts are 0.9 MB. */
const woff2Only: Plugin = {
  name: "woff2-only",
  enforce: "pre",
  transform: (code, id) =>
    id.includes("katex.min.css") ? code.replaceAll(/,url\([^)]*\.(?:woff|ttf)\) format\("[^"]*"\)/g, "") : null,
};

/** Tells the service worker which files this build has. */
const assetList: Plugin = {
  name: "asset-list",
  generateBundle: (_, bundle) => {
    const names = Object.keys(bundle).filter((name) => /^assets\/.+\.(?:js|css)$/.test(name));
    const worker = bundle["sw.js"];
    if (worker?.type !== "chunk") throw new Error("no service worker in the build");
    worker.code = worker.code.replaceAll("__ASSETS__", JSON.stringify(names.toSorted()));
  },
};

export default defineConfig({
  plugins: [react(), woff2Only, assetList],
  build: {
    outDir: "../src/qwell/server/static",
    emptyOutDir: true,
    // a data: URL would need a wider content security policy
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: { index: "index.html", sw: "src/service_worker.ts" },
      // a service worker's address is its identity
      output: { entryFileNames: ({ name }) => (name === "sw" ? "sw.js" : "assets/[name]-[hash].js") },
    },
  },
  server: {
    proxy: {
      "/api": server,
      "/ready": server,
      "/version": server,
      "/ws": { target: server, ws: true },
    },
  },
  test: {
    environment: "happy-dom",
    include: ["tests/**/*.test.{ts,tsx}"],
    testTimeout: 30_000, // properties draw much; a busy machine is no failure
  },
});
