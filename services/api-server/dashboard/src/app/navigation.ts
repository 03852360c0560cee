/** All pages that can be reached from the navigation, in its order. */

import {
  Activity,
  Boxes,
  Cable,
  ChartColumn,
  ChartLine,
  CircleDollarSign,
  FileCog,
  FlaskConical,
  Gauge,
  History,
  Key,
  KeyRound,
  type LucideIcon,
  MessagesSquare,
  Plug,
  ScrollText,
  Settings2,
  Split,
  Stethoscope,
} from "../parts/icons";

export interface NavigationEntry {
  path: string;
  label: string;
  icon: LucideIcon;
  group: string;
  /** Second key of its shortcut, after `g`. */
  key: string;
  /** Whether it is in the bar at the bottom of a phone. */
  bar?: boolean;
}

export const NAVIGATION = [
  { path: "/", label: "Overview", icon: Gauge, group: "", key: "o", bar: true },
  { path: "/live", label: "Live", icon: ChartLine, group: "Traffic", key: "l", bar: true },
  { path: "/requests", label: "Requests", icon: Activity, group: "Traffic", key: "r", bar: true },
  { path: "/sessions", label: "Sessions", icon: MessagesSquare, group: "Traffic", key: "s" },
  { path: "/usage", label: "Usage", icon: ChartColumn, group: "Traffic", key: "u" },
  { path: "/playground", label: "Playground", icon: FlaskConical, group: "Try", key: "p", bar: true },
  { path: "/providers", label: "Providers", icon: Plug, group: "Catalogue", key: "v" },
  { path: "/models", label: "Models", icon: Boxes, group: "Catalogue", key: "m" },
  { path: "/routes", label: "Routes", icon: Split, group: "Catalogue", key: "w" },
  { path: "/keys", label: "Client keys", icon: Key, group: "Catalogue", key: "k" },
  { path: "/prices", label: "Prices", icon: CircleDollarSign, group: "Catalogue", key: "x" },
  { path: "/qwen", label: "Qwen logins", icon: KeyRound, group: "Accounts", key: "q" },
  { path: "/logs", label: "Logs", icon: ScrollText, group: "Operations", key: "e" },
  { path: "/audit", label: "Audit", icon: History, group: "Operations", key: "a" },
  { path: "/config", label: "Configuration", icon: FileCog, group: "Operations", key: "c" },
  { path: "/settings", label: "Settings", icon: Settings2, group: "Operations", key: "t" },
  { path: "/doctor", label: "Doctor", icon: Stethoscope, group: "Operations", key: "d" },
  { path: "/connect", label: "Connect a client", icon: Cable, group: "Help", key: "n" },
] as const satisfies readonly NavigationEntry[];
