import { useQuery } from "@tanstack/react-query";
import type { KeyView } from "../../api/access-queries";
import { usageQuery } from "../../api/usage";
import { dollars } from "../../format/numbers";
import { classes } from "../../parts/button";
import { budgetOf, periodStart } from "./form";
import css from "./keys.module.css";

/** Shows a budget, and how much of it has been spent in its current period. */
export function Budget({ of: key }: { of: KeyView }) {
  const { budget } = key;
  const from = budget ? periodStart(budget.period, Date.now()) : undefined;
  const usage = useQuery({ ...usageQuery("key", { from }), enabled: budget != null });
  if (!budget) return <span className="muted">none</span>;
  const rows = usage.isPlaceholderData ? undefined : usage.data?.usage;
  const spent = rows && (rows.find(({ key_id }) => key_id === key.id)?.cost_usd ?? 0);
  const words = budgetOf(budget);
  if (spent === undefined) return <span>{words}</span>;
  const part = Math.min(1, spent / budget.amount_usd);
  return (
    <span className={css.budget}>
      <span>
        {dollars(spent)} of {words}
      </span>
      <progress
        className={classes(css.bar, part >= 1 && css.full)}
        value={part}
        max={1}
        aria-label={`${dollars(spent)} of ${words} spent`}
      />
    </span>
  );
}
