/** The frame around all pages. */

import { useQuery } from "@tanstack/react-query";
import { Link, Outlet, useRouterState } from "@tanstack/react-router";
import { Fragment, lazy, Suspense, useCallback, useEffect, useState } from "react";
import { useAway } from "../api/connection";
import { aboutQuery } from "../api/queries";
import { zoneName } from "../format/time";
import { Button, IconButton } from "../parts/button";
import { Dialog, Questions } from "../parts/dialog";
import { Menu as MenuIcon, Moon, Search, Sun, SunMoon } from "../parts/icons";
import { Toasts } from "../parts/toast";
import { address } from "./base";
import { ConnectionBanner } from "./connection-banner";
import { useShortcuts } from "./keys";
import { NAVIGATION } from "./navigation";
import { setPreferences, THEMES, usePreferences } from "./preferences";
import { useSession } from "./session";
import css from "./shell.module.css";
import { StatusBar } from "./status-bar";

const Palette = lazy(() => import("./palette"));
const Shortcuts = lazy(() => import("./shortcuts"));
const SignIn = lazy(() => import("./sign-in"));

type Overlay = "palette" | "help" | "navigation" | null;

export function Shell() {
  const [overlay, setOverlay] = useState<Overlay>(null);
  const close = useCallback(() => setOverlay(null), []);
  const palette = useCallback(() => setOverlay("palette"), []);
  const help = useCallback(() => setOverlay("help"), []);
  useShortcuts({ palette, help });
  const path = useRouterState({ select: (state) => state.location.pathname });
  // biome-ignore lint/correctness/useExhaustiveDependencies: closes whenever another page is shown
  useEffect(close, [path, close]);
  const needed = useSession((state) => state.needed);
  const { statusBar, utc } = usePreferences();
  const away = useAway();
  return (
    <div className={css.shell}>
      <a className={css.skip} href="#main">
        Skip to the page
      </a>
      <header className={css.top}>
        <IconButton
          className={css.menuButton}
          icon={MenuIcon}
          label="Navigation"
          onClick={() => setOverlay("navigation")}
        />
        <button type="button" className={css.search} onClick={palette} aria-keyshortcuts="Control+K">
          <Search size={16} aria-hidden="true" />
          <span>Search and commands</span>
          <kbd>Ctrl K</kbd>
        </button>
        <span className={css.push} />
        <ZoneButton />
        <ThemeButton />
      </header>
      <Navigation />
      <ConnectionBanner />
      <main id="main" tabIndex={-1} className={css.main} data-away={away}>
        {/* All times of the page are formatted anew. */}
        <Outlet key={`utc ${utc}`} />
      </main>
      {statusBar && <StatusBar />}
      <BottomBar more={() => setOverlay("navigation")} />
      <Toasts />
      <Questions />
      <Suspense>
        {overlay === "palette" && <Palette onClose={close} onHelp={help} />}
        {overlay === "help" && <Shortcuts onClose={close} />}
        {needed && <SignIn />}
      </Suspense>
      {overlay === "navigation" && (
        <Dialog title="Navigation" className={css.drawer} onClose={close}>
          <Navigation />
        </Dialog>
      )}
    </div>
  );
}

function Navigation() {
  const { data: about } = useQuery(aboutQuery);
  return (
    <nav className={css.side} aria-label="Pages">
      <Link to="/" className={css.brand} title={location.host}>
        <img src={address("/favicon.svg")} width="28" height="28" alt="" />
        <span>
          Signalbox
          <small>{about?.instance || location.host}</small>
        </span>
      </Link>
      {NAVIGATION.map(({ path, label, icon: Icon, group, key }, at) => (
        <Fragment key={path}>
          {group !== "" && group !== NAVIGATION[at - 1]?.group && <div className={css.group}>{group}</div>}
          <Link to={path} activeOptions={{ exact: path === "/" }} className={css.link} title={`${label} (g ${key})`}>
            <Icon size={17} aria-hidden="true" />
            {label}
          </Link>
        </Fragment>
      ))}
      <a className={css.link} href={address("/docs")} target="_blank" rel="noreferrer" title="The control API">
        <span className="mono" aria-hidden="true" style={{ width: 17, textAlign: "center" }}>
          {"{}"}
        </span>
        API
      </a>
    </nav>
  );
}

function BottomBar({ more }: { more: () => void }) {
  return (
    <nav className={css.bottom} aria-label="Main pages">
      {NAVIGATION.filter((entry) => "bar" in entry).map(({ path, label, icon: Icon }) => (
        <Link key={path} to={path} activeOptions={{ exact: path === "/" }}>
          <Icon size={18} aria-hidden="true" />
          {label}
        </Link>
      ))}
      <button type="button" onClick={more}>
        <MenuIcon size={18} aria-hidden="true" />
        More
      </button>
    </nav>
  );
}

function ZoneButton() {
  const utc = usePreferences((state) => state.utc);
  const zone = zoneName();
  return (
    <Button
      kind="quiet"
      small
      className={css.minor}
      aria-pressed={utc}
      title={`Times are those of ${zone}. Change to ${utc ? "the zone of this browser" : "UTC"}`}
      onClick={() => setPreferences({ utc: !utc })}
    >
      {zone}
    </Button>
  );
}

const THEME_ICONS = { system: SunMoon, light: Sun, dark: Moon };

function ThemeButton() {
  const theme = usePreferences((state) => state.theme);
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]!;
  return (
    <IconButton
      icon={THEME_ICONS[theme]}
      label={`Theme: ${theme}. Change to ${next}`}
      onClick={() => setPreferences({ theme: next })}
    />
  );
}
