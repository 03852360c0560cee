/** Choice of the columns of the list, and of what is above it. */

import { COLUMN_NAMES, COLUMNS } from "./columns";
import { keep, useKept } from "./kept";
import { Popover } from "./popover";

export function ColumnChoice() {
  const { columns, figures } = useKept();
  return (
    <Popover name="Columns" button="Columns" small>
      {COLUMNS.map(({ name, title, about }) => (
        <label key={name}>
          <input
            type="checkbox"
            checked={columns.includes(name)}
            onChange={({ target }) =>
              keep({ columns: COLUMN_NAMES.filter((one) => (one === name ? target.checked : columns.includes(one))) })
            }
          />
          <span>
            {title} <span className="muted">– {about}</span>
          </span>
        </label>
      ))}
      <label>
        <input type="checkbox" checked={figures} onChange={({ target }) => keep({ figures: target.checked })} />
        <span>Figures above the list</span>
      </label>
    </Popover>
  );
}
