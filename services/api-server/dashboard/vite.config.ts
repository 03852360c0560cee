import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

/** Address of the API in development: `SIGNALBOX_API=http://127.0.0.1:3002 npm run dev`. */
const api = process.env.SIGNALBOX_API ?? "http://127.0.0.1:3002";

const proxy = {
  "/api": { target: api, changeOrigin: true },
  "/openapi.json": { target: api, changeOrigin: true },
  "/docs": { target: api, changeOrigin: true },
  "/socket.io": { target: api, changeOrigin: true, ws: true },
};

export default defineConfig({
  plugins: [react()],
  build: {
    target: "es2022",
    // The policy of the page forbids scripts and styles in the document, and data URLs for scripts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
    chunkSizeWarningLimit: 400,
    emptyOutDir: true,
    outDir: process.env.OUT_DIR ?? "dist",
    rolldownOptions: {
      output: {
        // Libraries change rarely, so that browsers keep them over an update.
        codeSplitting: {
          groups: [
            {
              name: "libraries",
              test: /node_modules\/(react|react-dom|scheduler|@tanstack\/(react-router|router-core|history|store|react-store|react-query|query-core))\//,
            },
          ],
        },
      },
    },
  },
  experimental: {
    // Below the path of a reverse proxy, only the document knows the path: the server writes it there.
    renderBuiltUrl: (_, { hostType }) => (hostType === "html" ? undefined : { relative: true }),
  },
  worker: { format: "es" },
  server: {
    host: "127.0.0.1",
    port: 4310,
    strictPort: true,
    proxy,
  },
  preview: { host: "127.0.0.1", port: 4310, strictPort: true, proxy },
  test: {
    // Files that need a document say so.
    environment: "node",
    include: ["src/**/*.test.{ts,tsx}"],
    restoreMocks: true,
    // Machines that build at the same time are slow.
    testTimeout: 30_000,
  },
});
