/** States of a request, with their meaning. */
export const STATUSES = {
  pending: "it is being answered",
  completed: "it was answered completely",
  failed: "it was answered with an error",
  truncated: "the answer broke off, and the client was told",
  cancelled: "it was cancelled before there was an answer",
  client_disconnected: "the client left before the end",
  interrupted: "the router was killed while it was being answered",
} as const;
