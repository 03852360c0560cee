import { useQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useCallback, useRef } from "react";
import { pricesQuery } from "../../api/queries";
import { Loaded, Page } from "../../parts/layout";
import { type Overriding, OwnPrices } from "./editor";
import { PricesInForce } from "./table";

const route = getRouteApi("/prices");

export default function Prices() {
  const { q = "", layer } = route.useSearch();
  const navigate = useNavigate({ from: "/prices" });
  const query = useQuery(pricesQuery);
  const form = useRef<Overriding>(null);
  const search = useCallback(
    (text: string) => void navigate({ search: (old) => ({ ...old, q: text || undefined }), replace: true }),
    [navigate],
  );
  return (
    <Page
      title="Prices"
      about={
        <>
          Dollars per million tokens. The cost of each request is computed from them when it ends
          {query.data && <>; the table in force is {query.data.version}</>}.
        </>
      }
    >
      <Loaded query={query} rows={10}>
        {(table) => (
          <>
            <OwnPrices table={table} handle={form} />
            <PricesInForce
              table={table}
              wanted={q}
              layer={layer}
              onSearch={search}
              onLayer={(layer) => void navigate({ search: (old) => ({ ...old, layer }) })}
              onOverride={({ price, id }) => form.current?.override(price, id)}
            />
          </>
        )}
      </Loaded>
    </Page>
  );
}
