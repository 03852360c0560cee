/** Ways to a first provider: models of one's own, a login at chat.qwen.ai, or a service. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { providerTypesQuery } from "../../api/queries";
import css from "./overview.module.css";
import { localServers } from "./steps";

interface ChoicesProps {
  /** Providers that are there, and have not answered yet. */
  waiting: readonly { id: string; name: string }[];
}

export function ProviderChoices({ waiting }: ChoicesProps) {
  const { data: types } = useQuery(providerTypesQuery);
  return (
    <>
      {waiting[0] ? (
        <p>
          {waiting[0].name} is there, and has not answered yet.{" "}
          <Link to="/providers/$id" params={{ id: waiting[0].id }}>
            Test it, and fetch its models
          </Link>
          .
        </p>
      ) : (
        <p>Until then, the model echo repeats what you say: it works without a key.</p>
      )}
      <ul className={css.choices} aria-label="Providers to begin with">
        <li>
          <Link to="/providers/new" className={css.choice}>
            <strong>Add a provider</strong>
            <span>A service such as OpenAI or Anthropic, with your key.</span>
          </Link>
        </li>
        <li>
          <Link to="/qwen" className={css.choice}>
            <strong>Qwen</strong>
            <span>chat.qwen.ai with your own login, without a key.</span>
          </Link>
        </li>
        {localServers(types ?? []).map(({ type, label, address }) => (
          <li key={type}>
            <Link to="/providers/new" search={{ type }} className={css.choice}>
              <strong>{label}</strong>
              <span>On this machine, usually at {address}.</span>
            </Link>
          </li>
        ))}
      </ul>
    </>
  );
}
