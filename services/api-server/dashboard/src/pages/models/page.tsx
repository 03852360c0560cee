import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useCallback, useEffect, useRef, useState } from "react";
import { type Links, linksQuery } from "../../api/links";
import { type ListedModel, modelListQuery } from "../../api/model-list";
import { providersQuery } from "../../api/queries";
import { count, plural } from "../../format/numbers";
import { Button, buttonClass, Row } from "../../parts/button";
import { SearchField, Select } from "../../parts/field";
import { Plus, Star } from "../../parts/icons";
import { Card, Empty, Loaded, Page, Table } from "../../parts/layout";
import { Mark, Tag } from "../../parts/mark";
import css from "../requests/requests.module.css";
import { capabilitiesOf } from "./capabilities";
import { FetchAll } from "./fetch-all";
import { choicesOf, foundIn } from "./found";
import { ModelDialog } from "./model-dialog";
import type { ModelsSearch } from "./search";

const route = getRouteApi("/models");

/** Models of one answer: to look at, and to be searched, which is done here. */
const PAGE = 100;
const SEARCHED_PAGE = 1000;

export default function Models() {
  const search = route.useSearch();
  const navigate = useNavigate({ from: "/models" });
  const [adding, setAdding] = useState(false);
  const change = useCallback(
    (changes: ModelsSearch, replace = false) => void navigate({ search: (old) => ({ ...old, ...changes }), replace }),
    [navigate],
  );
  return (
    <Page
      title="Models"
      about="Names that clients can ask for. Every model of a provider can also be called as provider/model."
      actions={
        <>
          <Button icon={Plus} onClick={() => setAdding(true)}>
            Add a model
          </Button>
          <FetchAll />
        </>
      }
    >
      {adding && <ModelDialog onClose={() => setAdding(false)} />}
      <ModelList search={search} change={change} />
    </Page>
  );
}

/** Reads page after page while a text is searched: the server knows capabilities and providers only. */
function useModels({ q, capability, provider }: ModelsSearch) {
  const query = useInfiniteQuery({
    ...modelListQuery({ capability, provider }, q === undefined ? PAGE : SEARCHED_PAGE),
    placeholderData: keepPreviousData,
  });
  const { hasNextPage, isFetching, isError, fetchNextPage } = query;
  const goesOn = q !== undefined && hasNextPage && !isFetching && !isError;
  useEffect(() => {
    if (goesOn) void fetchNextPage();
  }, [goesOn, fetchNextPage]);
  return query;
}

interface ListProps {
  search: ModelsSearch;
  change: (changes: ModelsSearch, replace?: boolean) => void;
}

function ModelList({ search, change }: ListProps) {
  const { q, capability, provider } = search;
  const query = useModels(search);
  const providers = useQuery(providersQuery).data ?? [];
  const links = useQuery({
    ...linksQuery(providers.map(({ id }) => id)),
    enabled: providers.length > 0,
    placeholderData: keepPreviousData,
  });
  const [shown, setShown] = useState(PAGE);
  const models = query.data?.pages.flatMap((page) => page.models) ?? [];
  const total = query.data?.pages[0]?.total ?? 0;
  const seen = useRef<string[]>([]);
  seen.current = choicesOf(models, seen.current, capability);
  const find = useCallback((text: string) => change({ q: text || undefined }, true), [change]);
  const found = q === undefined ? models : foundIn(models, q);
  const more = q === undefined ? query.hasNextPage : found.length > shown;
  const names = providers.map(({ id, name }): [string, string] => [id, name]);
  return (
    <>
      <div className={css.filters}>
        <SearchField label="Search models" value={q ?? ""} onCommit={find} />
        {seen.current.length > 1 && (
          <Select
            aria-label="Capability"
            value={capability ?? ""}
            onChange={(value) => change({ capability: value || undefined })}
            options={[["", "Any capability"], ...seen.current.map((one): [string, string] => [one, one])]}
          />
        )}
        {(names.length > 1 || provider !== undefined) && (
          <Select
            aria-label="Provider"
            value={provider ?? ""}
            onChange={(value) => change({ provider: value || undefined })}
            options={[
              ["", "Any provider"],
              ...names,
              ...(provider === undefined || names.some(([id]) => id === provider)
                ? []
                : [[provider, provider] as [string, string]]),
            ]}
          />
        )}
        {query.data && (
          <span className="muted" role="status">
            {q === undefined
              ? `${count(models.length)} of ${plural(total, "model")}`
              : `${count(found.length)} found in ${count(models.length)} of ${plural(total, "model")}`}
          </span>
        )}
      </div>
      <Card flush>
        <Loaded query={query} rows={6}>
          {() =>
            found.length > 0 ? (
              <ModelTable models={q === undefined ? found : found.slice(0, shown)} links={links.data} />
            ) : (
              <NoModel filtered={[q, capability, provider].some((one) => one !== undefined)} clear={change} />
            )
          }
        </Loaded>
      </Card>
      {more && (
        <Row>
          <Button
            pending={query.isFetchingNextPage}
            onClick={() => (q === undefined ? void query.fetchNextPage() : setShown(shown + PAGE))}
          >
            Show more
          </Button>
        </Row>
      )}
    </>
  );
}

function NoModel({ filtered, clear }: { filtered: boolean; clear: ListProps["change"] }) {
  return filtered ? (
    <Empty
      title="Nothing matches"
      action={
        <Button onClick={() => clear({ q: undefined, capability: undefined, provider: undefined })}>
          Clear filters
        </Button>
      }
    >
      No model is named like this, and has this capability and provider.
    </Empty>
  ) : (
    <Empty
      title="No model yet"
      action={
        <Link to="/providers" className={buttonClass()}>
          Go to the providers
        </Link>
      }
    >
      Fetch the models of your providers, or add one by its name.
    </Empty>
  );
}

function ModelTable({ models, links }: { models: ListedModel[]; links: Links | undefined }) {
  return (
    <Table
      label="Models"
      head={
        <>
          <th>Model</th>
          <th>Served by</th>
          <th>Capabilities</th>
          <th>Description</th>
        </>
      }
    >
      {models.map((model) => (
        <tr key={model.id}>
          <td className="break">
            <Link to="/models/$id" params={{ id: model.id }} data-row>
              {model.id}
            </Link>
            {model.name !== model.id && <span className="muted"> {model.name}</span>}
          </td>
          <td>{links && <ServedBy id={model.id} links={links} />}</td>
          <td>
            {capabilitiesOf(model.capabilities).map((one) => (
              <Tag key={one}>{one}</Tag>
            ))}
          </td>
          <td className="muted break">{model.description}</td>
        </tr>
      ))}
    </Table>
  );
}

function ServedBy({ id, links }: { id: string; links: Links }) {
  const providers = links.byModel.get(id) ?? [];
  if (providers.length === 0) return <Mark tone="warn">no provider</Mark>;
  return providers.map(({ provider, isDefault }) => (
    <div key={provider} className="break">
      <Link to="/providers/$id" params={{ id: provider }}>
        {provider}
      </Link>
      {isDefault && (
        <span title="The default model of this provider">
          {" "}
          <Star size={14} color="var(--warn)" role="img" aria-label="its default" style={{ verticalAlign: "-2px" }} />
        </span>
      )}
    </div>
  ));
}
