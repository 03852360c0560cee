/** A filter with several values: a button, and a list of boxes to check below it. */

import { useState } from "react";
import { type Choice, choices } from "../../api/request-list";
import { count } from "../../format/numbers";
import { Button } from "../../parts/button";
import { ChevronDown } from "../../parts/icons";
import css from "./list.module.css";
import { Popover } from "./popover";

export interface Option {
  value: string;
  label?: string;
  /** Requests of the time that have it. */
  requests?: number | undefined;
}

interface ChoiceProps {
  /** Name of what is chosen, such as `Model`. */
  name: string;
  /** Words for no choice, such as `Any model`. */
  any: string;
  value: Choice | undefined;
  options: Option[];
  onChange: (value: Choice | undefined) => void;
  /** Called when the list is opened, so that its values can be loaded. */
  onOpen?: () => void;
}

/** Options from which on a list has a field to search them. */
const MANY = 8;

/** Returns the words for what is chosen. */
export function chosenWords(any: string, chosen: string[], labelOf: (value: string) => string): string {
  if (chosen.length === 0) return any;
  return chosen.length === 1 ? labelOf(chosen[0]!) : `${labelOf(chosen[0]!)} + ${chosen.length - 1}`;
}

/** Returns the options with the chosen values that are not among them. */
export function withChosen(options: Option[], chosen: string[]): Option[] {
  const missing = chosen.filter((value) => !options.some((option) => option.value === value));
  return [...missing.map((value) => ({ value })), ...options];
}

export function ChoiceFilter({ name, any, value, options, onChange, onOpen }: ChoiceProps) {
  const [text, setText] = useState("");
  const chosen = choices(value);
  const all = withChosen(options, chosen);
  const labelOf = (wanted: string) => options.find((option) => option.value === wanted)?.label ?? wanted;
  const shown = all.filter((option) => labelOf(option.value).toLowerCase().includes(text.toLowerCase()));
  const toggle = (one: string) => {
    const next = chosen.includes(one) ? chosen.filter((other) => other !== one) : [...chosen, one];
    onChange(next.length > 1 ? next : next[0]);
  };
  return (
    <Popover
      name={name}
      className={css.choice}
      button={
        <>
          <span className="visually-hidden">{name}: </span>
          {chosenWords(any, chosen, labelOf)}
          <ChevronDown size={14} aria-hidden="true" />
        </>
      }
      onOpen={onOpen}
      onClose={() => setText("")}
    >
      {all.length > MANY && (
        <input
          type="search"
          aria-label={`Find in ${name.toLowerCase()}s`}
          placeholder="Find"
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
      )}
      {shown.map(({ value, label, requests }) => (
        <label key={value}>
          <input type="checkbox" checked={chosen.includes(value)} onChange={() => toggle(value)} />
          <span>{label ?? value}</span>
          {requests !== undefined && <small>{count(requests)}</small>}
        </label>
      ))}
      {shown.length === 0 && (
        <p className="muted">{text === "" ? "No request of this time has one." : "None has this text."}</p>
      )}
      {chosen.length > 0 && (
        <Button small kind="quiet" onClick={() => onChange(undefined)}>
          Clear
        </Button>
      )}
    </Popover>
  );
}
