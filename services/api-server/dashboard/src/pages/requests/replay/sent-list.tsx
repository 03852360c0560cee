/** The replays that this tab has sent. */

import { Link } from "@tanstack/react-router";
import { dollars } from "../../../format/numbers";
import { duration, UNKNOWN } from "../../../format/time";
import { Card, Table } from "../../../parts/layout";
import { StatusMark } from "../status-mark";
import { useLogged } from "./logged";

export function SentList({ ids, current }: { ids: string[]; current: string | undefined }) {
  return (
    <Card flush title="Replays">
      <Table
        label="Replays"
        head={
          <>
            <th>Model</th>
            <th>State</th>
            <th>Provider</th>
            <th className="numeric">First byte</th>
            <th className="numeric">Took</th>
            <th className="numeric">Cost</th>
            <th>
              <span className="visually-hidden">Comparison</span>
            </th>
          </>
        }
      >
        {ids.map((id) => (
          <SentRow key={id} id={id} isCurrent={id === current} />
        ))}
      </Table>
    </Card>
  );
}

function SentRow({ id, isCurrent }: { id: string; isCurrent: boolean }) {
  const { data } = useLogged(id);
  return (
    <tr>
      <td className="break">
        <Link to="/requests/$id" params={{ id }} data-row>
          {data?.model ?? id}
        </Link>
      </td>
      <td>{data && <StatusMark status={data.status} />}</td>
      <td className="break" data-label="Provider">
        {data?.provider_id ?? UNKNOWN}
      </td>
      <td className="numeric" data-label="First byte">
        {duration(data?.first_byte_ms)}
      </td>
      <td className="numeric" data-label="Took">
        {duration(data?.duration_ms)}
      </td>
      <td className="numeric" data-label="Cost">
        {dollars(data?.cost_nanos == null ? null : data.cost_nanos / 1e9)}
      </td>
      <td className="numeric">
        {isCurrent ? (
          <span className="muted">shown below</span>
        ) : (
          <Link to="." search={(old) => ({ ...old, with: id })} replace>
            Compare
          </Link>
        )}
      </td>
    </tr>
  );
}
