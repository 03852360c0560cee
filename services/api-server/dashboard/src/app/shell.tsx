/** The frame around all pages. */

import { Link, Outlet, useRouterState } from "@tanstack/react-router";
import { Fragment, lazy, Suspense, useCallback, useEffect, useState } from "react";
import { Button, IconButton } from "../parts/button";
import { Dialog, DialogBody, Questions } from "../parts/dialog";
import { Menu as MenuIcon, Moon, Search, Sun, SunMoon } from "../parts/icons";
import { Toasts } from "../parts/toast";
import { address } from "./base";
import { ConnectionBanner } from "./connection-banner";
import { SHORTCUTS, useShortcuts } from "./keys";
import { NAVIGATION } from "./navigation";
import { setPreferences, THEMES, usePreferences } from "./preferences";
import { useSession } from "./session";
import css from "./shell.module.css";
import { StatusBar } from "./status-bar";

const Palette = lazy(() => import("./palette"));
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
  const statusBar = usePreferences((state) => state.statusBar);
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
        <ThemeButton />
      </header>
      <Navigation />
      <ConnectionBanner />
      <main id="main" tabIndex={-1} className={css.main}>
        <Outlet />
      </main>
      {statusBar && <StatusBar />}
      <BottomBar more={() => setOverlay("navigation")} />
      <Toasts />
      <Questions />
      <Suspense>
        {overlay === "palette" && <Palette onClose={close} onHelp={help} />}
        {needed && <SignIn />}
      </Suspense>
      {overlay === "help" && <Shortcuts onClose={close} />}
      {overlay === "navigation" && (
        <Dialog title="Navigation" className={css.drawer} onClose={close}>
          <Navigation />
        </Dialog>
      )}
    </div>
  );
}

function Navigation() {
  return (
    <nav className={css.side} aria-label="Pages">
      <Link to="/" className={css.brand}>
        <img src={address("/favicon.svg")} width="28" height="28" alt="" />
        <span>
          Signalbox
          <small>{location.host}</small>
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

function Shortcuts({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Shortcuts" onClose={onClose}>
      <DialogBody title="Shortcuts" actions={<Button onClick={onClose}>Close</Button>}>
        <div className={css.keys}>
          {SHORTCUTS.map(({ keys, meaning }) => (
            <div key={keys.join()}>
              <span>{meaning}</span>
              <span>
                {keys.map((key) => (
                  <Fragment key={key}>
                    <kbd>{key}</kbd>{" "}
                  </Fragment>
                ))}
              </span>
            </div>
          ))}
        </div>
        <p className="muted">Shortcuts of a single key can be switched off in the settings.</p>
      </DialogBody>
    </Dialog>
  );
}
