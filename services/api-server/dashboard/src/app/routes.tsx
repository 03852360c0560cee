/** All routes. A page is loaded when it is first shown. */

import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";
import { auditSearch } from "../pages/audit/search";
import { connectSearch } from "../pages/connect/search";
import { liveSearch } from "../pages/live/search";
import { logsSearch } from "../pages/logs/search";
import { modelsSearch } from "../pages/models/search";
import { playgroundSearch } from "../pages/playground/search";
import { pricesSearch } from "../pages/prices/search";
import { newProviderSearch } from "../pages/providers/search";
import { replaySearch } from "../pages/requests/replay/search";
import { requestSearch, requestsSearch } from "../pages/requests/search";
import { newRouteSearch, routesSearch } from "../pages/routes/search";
import { sessionsSearch } from "../pages/sessions/search";
import { usageSearch } from "../pages/usage/search";
import { BASE } from "./base";
import { NotFound, PageError, PagePending } from "./fallbacks";
import { Shell } from "./shell";

const root = createRootRoute({ component: Shell, notFoundComponent: NotFound });

const overview = createRoute({
  getParentRoute: () => root,
  path: "/",
  component: lazyRouteComponent(() => import("../pages/overview/page")),
});
const requests = createRoute({
  getParentRoute: () => root,
  path: "/requests",
  validateSearch: requestsSearch,
  component: lazyRouteComponent(() => import("../pages/requests/page")),
});
const request = createRoute({
  getParentRoute: () => root,
  path: "/requests/$id",
  validateSearch: requestSearch,
  component: lazyRouteComponent(() => import("../pages/requests/detail")),
});
const replay = createRoute({
  getParentRoute: () => root,
  path: "/requests/$id/replay",
  validateSearch: replaySearch,
  component: lazyRouteComponent(() => import("../pages/requests/replay/page")),
});
const sessions = createRoute({
  getParentRoute: () => root,
  path: "/sessions",
  validateSearch: sessionsSearch,
  component: lazyRouteComponent(() => import("../pages/sessions/page")),
});
const session = createRoute({
  getParentRoute: () => root,
  path: "/sessions/$id",
  component: lazyRouteComponent(() => import("../pages/sessions/detail")),
});
const providers = createRoute({
  getParentRoute: () => root,
  path: "/providers",
  component: lazyRouteComponent(() => import("../pages/providers/page")),
});
const newProvider = createRoute({
  getParentRoute: () => root,
  path: "/providers/new",
  validateSearch: newProviderSearch,
  component: lazyRouteComponent(() => import("../pages/providers/new")),
});
const provider = createRoute({
  getParentRoute: () => root,
  path: "/providers/$id",
  component: lazyRouteComponent(() => import("../pages/providers/detail")),
});
const models = createRoute({
  getParentRoute: () => root,
  path: "/models",
  validateSearch: modelsSearch,
  component: lazyRouteComponent(() => import("../pages/models/page")),
});
const model = createRoute({
  getParentRoute: () => root,
  path: "/models/$id",
  component: lazyRouteComponent(() => import("../pages/models/detail")),
});
const routes = createRoute({
  getParentRoute: () => root,
  path: "/routes",
  validateSearch: routesSearch,
  component: lazyRouteComponent(() => import("../pages/routes/page")),
});
const newRoute = createRoute({
  getParentRoute: () => root,
  path: "/routes/new",
  validateSearch: newRouteSearch,
  component: lazyRouteComponent(() => import("../pages/routes/new")),
});
const storedRoute = createRoute({
  getParentRoute: () => root,
  path: "/routes/$id",
  component: lazyRouteComponent(() => import("../pages/routes/detail")),
});
const keys = createRoute({
  getParentRoute: () => root,
  path: "/keys",
  component: lazyRouteComponent(() => import("../pages/keys/page")),
});
const newKey = createRoute({
  getParentRoute: () => root,
  path: "/keys/new",
  component: lazyRouteComponent(() => import("../pages/keys/new")),
});
const key = createRoute({
  getParentRoute: () => root,
  path: "/keys/$id",
  component: lazyRouteComponent(() => import("../pages/keys/detail")),
});
const usage = createRoute({
  getParentRoute: () => root,
  path: "/usage",
  validateSearch: usageSearch,
  component: lazyRouteComponent(() => import("../pages/usage/page")),
});
const playground = createRoute({
  getParentRoute: () => root,
  path: "/playground",
  validateSearch: playgroundSearch,
  component: lazyRouteComponent(() => import("../pages/playground/page")),
});
const live = createRoute({
  getParentRoute: () => root,
  path: "/live",
  validateSearch: liveSearch,
  component: lazyRouteComponent(() => import("../pages/live/page")),
});
const prices = createRoute({
  getParentRoute: () => root,
  path: "/prices",
  validateSearch: pricesSearch,
  component: lazyRouteComponent(() => import("../pages/prices/page")),
});
const qwen = createRoute({
  getParentRoute: () => root,
  path: "/qwen",
  component: lazyRouteComponent(() => import("../pages/qwen/page")),
});
const logs = createRoute({
  getParentRoute: () => root,
  path: "/logs",
  validateSearch: logsSearch,
  component: lazyRouteComponent(() => import("../pages/logs/page")),
});
const audit = createRoute({
  getParentRoute: () => root,
  path: "/audit",
  validateSearch: auditSearch,
  component: lazyRouteComponent(() => import("../pages/audit/page")),
});
const config = createRoute({
  getParentRoute: () => root,
  path: "/config",
  component: lazyRouteComponent(() => import("../pages/config/page")),
});
const settings = createRoute({
  getParentRoute: () => root,
  path: "/settings",
  component: lazyRouteComponent(() => import("../pages/settings/page")),
});
const doctor = createRoute({
  getParentRoute: () => root,
  path: "/doctor",
  component: lazyRouteComponent(() => import("../pages/doctor/page")),
});
const connect = createRoute({
  getParentRoute: () => root,
  path: "/connect",
  validateSearch: connectSearch,
  component: lazyRouteComponent(() => import("../pages/connect/page")),
});

const pages = [
  overview,
  requests,
  request,
  replay,
  sessions,
  session,
  providers,
  newProvider,
  provider,
  models,
  model,
  routes,
  newRoute,
  storedRoute,
  keys,
  newKey,
  key,
  usage,
  playground,
  live,
  prices,
  qwen,
  logs,
  audit,
  config,
  settings,
  doctor,
  connect,
];

export const router = createRouter({
  basepath: BASE,
  routeTree: root.addChildren(pages),
  defaultPreload: "intent",
  scrollRestoration: true,
  scrollToTopSelectors: ["#main"],
  defaultPendingComponent: PagePending,
  defaultErrorComponent: PageError,
  defaultNotFoundComponent: NotFound,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
