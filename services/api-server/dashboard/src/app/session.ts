/** Whether the control token is asked for. */

import { create } from "zustand";

interface Session {
  /** Whether requests are refused until the user signs in. */
  needed: boolean;
}

export const useSession = create<Session>(() => ({ needed: false }));

/** Shows the sign-in form over the page. What was entered below stays. */
export function askToSignIn(): void {
  if (!useSession.getState().needed) useSession.setState({ needed: true });
}
