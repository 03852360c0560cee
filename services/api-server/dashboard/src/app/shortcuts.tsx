/** The list of all shortcuts. */

import { Fragment } from "react";
import { Button } from "../parts/button";
import { Dialog, DialogBody } from "../parts/dialog";
import { NAVIGATION } from "./navigation";
import css from "./shell.module.css";

const SHORTCUTS: [keys: string[], meaning: string][] = [
  [["Ctrl", "K"], "Search and commands"],
  [["/"], "Go to the search field"],
  [["j"], "Next row"],
  [["k"], "Previous row"],
  [["Home"], "First row"],
  [["End"], "Last row"],
  [["Enter"], "Open the row"],
  [["."], "Actions of the row or page"],
  [["["], "Earlier request"],
  [["]"], "Later request"],
  [["f"], "Follow or pause the log"],
  [["Esc"], "Close, or back to the list"],
  [["?"], "Shortcuts"],
  ...NAVIGATION.map(({ key, label }): [string[], string] => [["g", key], label]),
];

export default function Shortcuts({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Shortcuts" onClose={onClose}>
      <DialogBody title="Shortcuts" actions={<Button onClick={onClose}>Close</Button>}>
        <div className={css.keys}>
          {SHORTCUTS.map(([keys, meaning]) => (
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
