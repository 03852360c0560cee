/** What is shown where a page cannot be. */

import { Link } from "@tanstack/react-router";
import { buttonClass } from "../parts/button";
import { Empty, Failure, Loading, Page } from "../parts/layout";

export function NotFound() {
  return (
    <Page title="Page not found">
      <Empty
        title="There is no page at this address"
        action={
          <Link to="/" className={buttonClass()}>
            Go to the overview
          </Link>
        }
      >
        It may belong to a part that this version does not have.
      </Empty>
    </Page>
  );
}

/** Shows a page that failed. The rest of the console goes on. */
export function PageError({ error, reset }: { error: unknown; reset: () => void }) {
  // Parts of a page have the version in their names: after an update, those of the old page are gone.
  const stale =
    error instanceof Error && /dynamically imported module|Importing a module script failed/.test(error.message);
  return (
    <Page title="This page failed">
      {stale ? (
        <Failure
          title="This page could not be loaded."
          error={new Error("The server may have been updated. Reload the console.")}
          retry={() => location.reload()}
        />
      ) : (
        <Failure title="This page failed." error={error} retry={reset} />
      )}
    </Page>
  );
}

export function PagePending() {
  return <Loading rows={6} />;
}
