import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const server = process.env.QWELL_URL ?? "http://127.0.0.1:8000";

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: "../src/qwell/server/static",
    emptyOutDir: true,
    // a data: URL would need a wider content security policy
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
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
