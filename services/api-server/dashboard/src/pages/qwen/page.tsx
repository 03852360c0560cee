import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, data, type Schemas } from "../../api/client";
import { loginsQuery, queryClient } from "../../api/queries";
import { useConnection } from "../../api/socket";
import { address } from "../../app/base";
import { exactTime, fromSeconds, remaining, UNKNOWN } from "../../format/time";
import { attempt, useAction } from "../../parts/action";
import { Button, Row } from "../../parts/button";
import { Snippet } from "../../parts/copy";
import { ask } from "../../parts/dialog";
import { SecretField, TextField } from "../../parts/field";
import { Card, Empty, Facts, Failure, Grid, Loaded, Notice, Page, Stack } from "../../parts/layout";
import { Mark, Tag, type Tone } from "../../parts/mark";
import { toast } from "../../parts/toast";
import { useNow } from "../overview/service-card";
import { readCookies, validityOf } from "./cookies";

type Login = Schemas["StoredCredentials"]["credentials"][number];

export default function QwenLogins() {
  const query = useQuery(loginsQuery);
  return (
    <Page
      title="Qwen logins"
      about="Logins at chat.qwen.ai, which qwen-proxy uses. Their secrets are stored encrypted, and never shown."
    >
      <Loaded query={query} rows={4}>
        {({ credentials }) =>
          credentials.length === 0 ? (
            <Card>
              <Empty title="No login yet">
                Without one, models of chat.qwen.ai are not available. Add one in any of the ways below.
              </Empty>
            </Card>
          ) : (
            <Grid>
              {credentials.map((login) => (
                <LoginCard key={login.id} login={login} />
              ))}
            </Grid>
          )
        }
      </Loaded>
      <AddLogin />
    </Page>
  );
}

const WORDS: Record<ReturnType<typeof validityOf>, [Tone, string]> = {
  ok: ["ok", "valid"],
  soon: ["warn", "expires soon"],
  expired: ["bad", "expired"],
};

function LoginCard({ login }: { login: Login }) {
  const now = useNow(true);
  const expires = fromSeconds(login.expiresAt);
  const [tone, word] = WORDS[validityOf(login.expiresAt, now)];
  const cooldown = login.cooldownUntil == null ? null : remaining(login.cooldownUntil, now);
  const params = { params: { path: { id: login.id } } };
  const activate = () =>
    attempt(async () => {
      await data(api.POST("/api/qwen/credentials/{id}/activate", params));
      await queryClient.invalidateQueries({ queryKey: ["logins"] });
    });
  return (
    <Card title={login.label} actions={login.active ? <Tag tone="ok">active</Tag> : undefined}>
      <Stack>
        <Mark tone={tone}>{word}</Mark>
        <Facts
          facts={[
            [
              "Expires",
              expires === null
                ? "not known"
                : `${exactTime(expires)}${remaining(expires, now) ? `, in ${remaining(expires, now)}` : ""}`,
            ],
            ["Pause", cooldown === null ? "none" : `for ${cooldown}: chat.qwen.ai asked for fewer requests`],
            ["Last error", login.lastError ?? UNKNOWN],
          ]}
        />
        {tone === "bad" && <Notice tone="bad">Log in again at chat.qwen.ai, and add the new login below.</Notice>}
        <Row>
          {!login.active && <Button onClick={activate}>Make it active</Button>}
          <Button
            kind="danger"
            onClick={() =>
              ask({
                title: `Delete the login ${login.label}?`,
                text: login.active
                  ? "It is the active one: requests to chat.qwen.ai fail until another one is active."
                  : "It can be added again later.",
                action: "Delete",
                danger: true,
                run: async () => {
                  await data(api.DELETE("/api/qwen/credentials/{id}", params));
                  await queryClient.invalidateQueries({ queryKey: ["logins"] });
                },
              })
            }
          >
            Delete
          </Button>
        </Row>
      </Stack>
    </Card>
  );
}

function AddLogin() {
  const extension = useConnection((state) => state.extension);
  return (
    <Grid>
      <Card title="With the command line">
        <Stack>
          <p className="muted">It opens chat.qwen.ai in a browser, and takes the login over from there.</p>
          <Snippet text="qwen-proxy login" label="command" />
        </Stack>
      </Card>
      <Card title="With the browser extension">
        <Stack>
          <Mark tone={extension ? "ok" : "off"}>{extension ? "connected" : "not connected"}</Mark>
          <p className="muted">
            {extension
              ? "Log in at chat.qwen.ai in the browser with the extension: the login is sent here by itself."
              : `Open the extension in the browser where you use chat.qwen.ai, and enter ${location.origin + address("")} as its address.`}
          </p>
        </Stack>
      </Card>
      <PasteLogin />
    </Grid>
  );
}

function PasteLogin() {
  const [label, setLabel] = useState("");
  const [text, setText] = useState("");
  const pasted = readCookies(text);
  const save = useAction(
    () =>
      data(
        api.POST("/api/qwen/credentials", {
          body: {
            token: pasted.token ?? "",
            cookies: pasted.cookies,
            expiresAt: pasted.expiresAt,
            ...(label.trim() && { label: label.trim() }),
          },
        }),
      ),
    {
      after: async () => {
        setText("");
        setLabel("");
        await queryClient.invalidateQueries({ queryKey: ["logins"] });
        toast("The login was added", { kind: "ok" });
      },
    },
  );
  const expires = fromSeconds(pasted.expiresAt);
  return (
    <Card title="By pasting its cookies">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          save.run();
        }}
      >
        <Stack>
          <p className="muted">
            In the browser where you are logged in at chat.qwen.ai: developer tools, Network, any request, Request
            headers, Cookie.
          </p>
          <SecretField
            label="Cookie header"
            value={text}
            onChange={setText}
            mistakes={pasted.mistake === null ? undefined : [pasted.mistake]}
            placeholder="token=…; …"
          />
          {pasted.token !== null && (
            <Mark tone="ok">
              {expires === null ? "The token was found." : `The token was found. It expires ${exactTime(expires)}.`}
            </Mark>
          )}
          <TextField label="Label" value={label} onChange={setLabel} placeholder="default" />
          {save.problem && <Failure title="Not added." error={save.problem} />}
          <Row>
            <Button
              kind="primary"
              type="submit"
              pending={save.pending}
              disabledBecause={pasted.token === null ? (pasted.mistake ?? "Paste the header first") : undefined}
            >
              Add the login
            </Button>
          </Row>
        </Stack>
      </form>
    </Card>
  );
}
