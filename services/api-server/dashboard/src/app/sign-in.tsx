/** The sign-in form, over the page: what was entered there is still there afterwards. */

import { useState } from "react";
import { api, data } from "../api/client";
import { queryClient } from "../api/queries";
import { reconnect } from "../api/socket";
import { useAction } from "../parts/action";
import { Button } from "../parts/button";
import { Dialog, DialogBody } from "../parts/dialog";
import { SecretField } from "../parts/field";
import { Failure } from "../parts/layout";
import { useSession } from "./session";

export default function SignIn() {
  const [token, setToken] = useState("");
  const signIn = useAction(async () => {
    await data(api.POST("/api/session", { body: { token: token.trim() } }));
    // A browser that keeps no cookies would ask for ever.
    await data(api.GET("/api/activity/stats"));
    useSession.setState({ needed: false });
    reconnect();
    await queryClient.invalidateQueries();
  });
  return (
    <Dialog title="Sign in" stays onClose={() => {}}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          signIn.run();
        }}
      >
        <DialogBody
          title="Sign in"
          actions={
            <Button
              kind="primary"
              type="submit"
              pending={signIn.pending}
              disabledBecause={token.trim() === "" ? "Enter the control token" : undefined}
            >
              Sign in
            </Button>
          }
        >
          <p className="muted">
            This server asks for its control token. On the machine that it runs on, <code>api-server token</code> prints
            it.
          </p>
          <SecretField label="Control token" value={token} onChange={setToken} autoFocus />
          {signIn.problem && <Failure title="Not signed in." error={signIn.problem} />}
        </DialogBody>
      </form>
    </Dialog>
  );
}
