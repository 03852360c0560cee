/** The line below the title of a request. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { keysQuery } from "../../api/access-queries";
import type { RequestDetail } from "../../api/request";
import { plural } from "../../format/numbers";
import { age, exactTime } from "../../format/time";
import { CopyButton } from "../../parts/copy";
import css from "./requests.module.css";
import { StatusMark } from "./status-mark";

export function Summary({ request }: { request: RequestDetail }) {
  const { provider_id: provider, request_id: id, replay_of: original, attempts, key_id: key } = request;
  return (
    <>
      <StatusMark status={request.status} />
      {provider && (
        <>
          {" by "}
          <Link to="/providers/$id" params={{ id: provider }}>
            {provider}
          </Link>
        </>
      )}{" "}
      · <time title={exactTime(request.timestamp)}>{age(request.timestamp)}</time> · <code>{request.path}</code> ·{" "}
      {request.stream ? "streamed" : "whole"}
      {attempts != null && attempts > 1 && (
        <>
          {" · "}
          <Link to="/requests/$id" params={{ id }} search={{ tab: "timing" }} replace>
            {plural(attempts, "attempt")}
          </Link>
        </>
      )}
      {key && (
        <>
          {" · key "}
          <KeyName id={key} />
        </>
      )}
      {original && (
        <>
          {" · replay of "}
          <Link to="/requests/$id" params={{ id: original }}>
            an earlier request
          </Link>
          {" ("}
          <Link to="/requests/$id/replay" params={{ id: original }} search={{ with: id }}>
            compare
          </Link>
          )
        </>
      )}{" "}
      ·{" "}
      <span className={css.withCopy}>
        <code className="break">{id}</code> <CopyButton small text={id} label="Copy request id" />
      </span>
    </>
  );
}

/** Id under which the requests of the console itself are counted. */
const SERVICE = "service";

function KeyName({ id }: { id: string }) {
  const keys = useQuery({ ...keysQuery, enabled: id !== SERVICE }).data;
  if (id === SERVICE) return "of the console";
  const found = keys?.find((key) => key.id === id);
  if (found)
    return (
      <Link to="/keys/$id" params={{ id }}>
        {found.name}
      </Link>
    );
  return (
    <>
      <code className="break">{id}</code>
      {id.startsWith("config-") ? " of the configuration" : keys && " (deleted)"}
    </>
  );
}
