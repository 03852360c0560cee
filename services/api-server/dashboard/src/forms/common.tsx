import { Fold, Section } from "./fold";
import { Input } from "./inputs";

const ACTIONS = [
  ["redact", "redact: it is replaced"],
  ["refuse", "refuse: the request ends with an error"],
] as const;

/** The rules for contents, which routes and keys have alike. */
export function GuardFields() {
  return (
    <Fold title="Guardrails" of={["guard"]}>
      <Section at="guard">
        <Input at="guard.secrets" label="Credentials in requests" options={ACTIONS} unset="let through" />
        <Input at="guard.cards" label="Card numbers in requests" options={ACTIONS} unset="let through" />
        <Input at="guard.answer_secrets" label="Credentials in answers" options={ACTIONS} unset="let through" />
        <Input at="guard.answer_cards" label="Card numbers in answers" options={ACTIONS} unset="let through" />
        <Input at="guard.max_request_bytes" label="Largest request" unset="no limit" />
        <Input at="guard.max_answer_bytes" label="Largest answer" unset="no limit" />
        <Input at="guard.hook" label="Ask the hook" />
      </Section>
    </Fold>
  );
}

/** The limits of the rate. */
export function RateFields() {
  return (
    <>
      <Input at="limits.rpm" label="Requests per minute" unset="no limit" hint="" />
      <Input at="limits.tpm" label="Tokens per minute" unset="no limit" hint="Input and output together." />
      <Input at="limits.concurrency" label="Requests at once" unset="no limit" hint="" />
    </>
  );
}

/** The queue of requests beyond the limits. */
export function QueueFields() {
  return (
    <Section at="limits.queue" title="Queue">
      <Input at="limits.queue.max_waiting" label="Waiting requests" unset="refused at once" />
      <Input at="limits.queue.timeout_ms" label="Longest wait" />
    </Section>
  );
}
