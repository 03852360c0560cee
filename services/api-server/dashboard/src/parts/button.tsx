import type { LucideIcon } from "lucide-react";
import type { ComponentProps, ReactNode } from "react";
import { useAway } from "../api/connection";
import css from "./parts.module.css";

type Kind = "default" | "primary" | "danger" | "quiet";

interface ButtonProps extends Omit<ComponentProps<"button">, "disabled"> {
  kind?: Kind;
  small?: boolean;
  icon?: LucideIcon;
  /** Whether its action is under way: it cannot be pressed again, and keeps its focus. */
  pending?: boolean;
  /** Reason why it cannot be pressed. It stays reachable, so that the reason can be read. */
  disabledBecause?: string | undefined;
  /** Whether it needs the server, as primary and dangerous ones do unless they say otherwise. */
  sends?: boolean;
}

export function buttonClass(kind: Kind = "default", small = false, iconOnly = false): string {
  return classes(css.button, kind !== "default" && css[kind], small && css.small, iconOnly && css.icon);
}

/** Joins the names of classes, leaving out those that are false. */
export function classes(...names: (string | false | null | undefined)[]): string {
  return names.filter(Boolean).join(" ");
}

export function Button({
  kind,
  small,
  icon: Icon,
  pending,
  disabledBecause,
  sends = kind === "primary" || kind === "danger",
  children,
  onClick,
  ...rest
}: ButtonProps) {
  const away = useAway();
  const reason = disabledBecause ?? (sends ? away : undefined);
  const disabled = pending || reason !== undefined;
  return (
    <button
      type="button"
      {...rest}
      className={classes(buttonClass(kind, small), rest.className)}
      aria-disabled={disabled}
      aria-busy={pending}
      title={reason ?? rest.title}
      onClick={(event) => {
        if (disabled) event.preventDefault();
        else onClick?.(event);
      }}
    >
      {pending ? <span className={css.spinner} aria-hidden="true" /> : Icon && <Icon size={16} aria-hidden="true" />}
      {children}
    </button>
  );
}

interface IconButtonProps extends Omit<ButtonProps, "children" | "icon" | "sends"> {
  icon: LucideIcon;
  /** Name for screen readers, also shown as a tooltip. */
  label: string;
}

export function IconButton({
  icon: Icon,
  label,
  kind = "quiet",
  small,
  pending,
  disabledBecause,
  onClick,
  ...rest
}: IconButtonProps) {
  const disabled = pending || disabledBecause !== undefined;
  return (
    <button
      type="button"
      {...rest}
      className={classes(buttonClass(kind, small, true), rest.className)}
      aria-label={label}
      aria-disabled={disabled}
      title={disabledBecause ?? label}
      onClick={(event) => {
        if (!disabled) onClick?.(event);
      }}
    >
      {pending ? <span className={css.spinner} aria-hidden="true" /> : <Icon size={16} aria-hidden="true" />}
    </button>
  );
}

export function Spinner() {
  return <span className={css.spinner} aria-hidden="true" />;
}

export function Row({ children, className }: { children: ReactNode; className?: string }) {
  return <div className={classes(css.row, className)}>{children}</div>;
}
