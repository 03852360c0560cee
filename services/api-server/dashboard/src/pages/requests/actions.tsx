/** What can be done with a logged request. */

import { Link, useNavigate } from "@tanstack/react-router";
import { useCallback } from "react";
import { api, data } from "../../api/client";
import { queryClient } from "../../api/queries";
import { bodyText, type RequestDetail } from "../../api/request";
import { useKey } from "../../app/keys";
import { attempt } from "../../parts/action";
import { Button, buttonClass } from "../../parts/button";
import { askToCancel } from "../../parts/cancel";
import { CopyButton, copy } from "../../parts/copy";
import { ask } from "../../parts/dialog";
import { FlaskConical, RotateCw, Trash2 } from "../../parts/icons";
import { Menu, type MenuItem } from "../../parts/menu";
import { toast } from "../../parts/toast";
import { useBase } from "../connect/base";
import { asCurl, needsFile } from "./curl";
import { handoverOf, keepHandover } from "./handover";

export function RequestActions({ request }: { request: RequestDetail }) {
  const navigate = useNavigate();
  const base = useBase();
  const id = request.request_id;
  const isPending = request.status === "pending";
  const replay = useCallback(() => void navigate({ to: "/requests/$id/replay", params: { id } }), [navigate, id]);
  const curl = () => commandOf(base, request);
  useKey("r", replay);
  useKey(
    "c",
    useCallback(() => void copied(async () => id, "The id was copied"), [id]),
  );
  useKey(
    "u",
    useCallback(() => void copied(() => commandOf(base, request), "The command was copied"), [base, request]),
  );
  useKey(
    "w",
    useCallback(
      () => void navigate({ to: "/requests/$id", params: { id }, search: { tab: "raw" }, replace: true }),
      [navigate, id],
    ),
  );
  const items: MenuItem[] = [
    {
      label: "Open in the playground",
      icon: FlaskConical,
      run: () =>
        void attempt(() => openInPlayground(request, (model) => navigate({ to: "/playground", search: { a: model } }))),
    },
    {
      label: "Show its session",
      run: () => void navigate({ to: "/sessions/$id", params: { id: request.session_id } }),
    },
    {
      label: "Requests with this model",
      run: () => void navigate({ to: "/requests", search: { model: request.model } }),
    },
    {
      label: "Delete from the log",
      icon: Trash2,
      danger: true,
      run: () => askToDelete(id, () => navigate({ to: "/requests" })),
    },
  ];
  return (
    <>
      {isPending && (
        <Button kind="danger" onClick={() => askToCancel(request)}>
          Cancel
        </Button>
      )}
      <Link
        to="/requests/$id/replay"
        params={{ id }}
        className={buttonClass()}
        title="Send it again, and compare the answers (r)"
        aria-keyshortcuts="r"
      >
        <RotateCw size={16} aria-hidden="true" />
        Replay
      </Link>
      <CopyButton worded label="Copy as curl" text={curl} />
      <Menu label="More" items={items} />
    </>
  );
}

/** Copies what a key asks for, and says so. */
async function copied(text: () => Promise<string>, done: string): Promise<void> {
  await attempt(async () => {
    if (await copy(await text())) toast(done, { kind: "ok" });
    else toast("The browser does not permit copying here.", { kind: "bad" });
  });
}

async function commandOf(base: string, request: RequestDetail): Promise<string> {
  const body = await bodyText(request.request_id, "asked");
  if (needsFile(body)) toast(`The command reads ${request.request_id}-asked.json: save it from the tab Raw.`);
  return asCurl(base, request, body);
}

async function openInPlayground(request: RequestDetail, open: (model: string) => Promise<void>): Promise<void> {
  const body: unknown = JSON.parse(await bodyText(request.request_id, "asked"));
  const handover = handoverOf(request.model, body);
  if (handover === null) toast("The request has no messages that the playground could show.", { kind: "bad" });
  else if (keepHandover(handover)) await open(request.model);
  else toast("The conversation is too long for the playground. Replay sends it as it is.", { kind: "bad" });
}

function askToDelete(id: string, leave: () => Promise<unknown>): void {
  ask({
    title: "Delete this request?",
    text: "The request and its answer are removed from the log, and from all sums.",
    action: "Delete",
    danger: true,
    run: async () => {
      await data(api.DELETE("/api/requests/{id}", { params: { path: { id } } }));
      await leave();
      void queryClient.invalidateQueries({ queryKey: ["requests"] });
      toast("The request was deleted", { kind: "ok" });
    },
  });
}
