/** Typed client of the control API. */

import createClient from "openapi-fetch";
import { address, BASE } from "../app/base";
import { askToSignIn } from "../app/session";
import { asProblem, problemOf } from "./problem";
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];

export const api = createClient<paths>({ baseUrl: BASE.slice(0, -1) });

export interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** Returns the data of an answer, or throws a {@link Problem}. */
export async function data<T>(answer: Promise<Answer<T>>): Promise<T> {
  let got: Answer<T>;
  try {
    got = await answer;
  } catch (error) {
    throw asProblem(error);
  }
  const { response } = got;
  if (response.ok) return got.data as T;
  throw refused(response, got.error);
}

/** Sends a request that the types do not describe, such as one with a body of text, and returns the response. */
export async function send(path: string, init?: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(address(path), init);
  } catch (error) {
    throw asProblem(error);
  }
  if (response.ok) return response;
  throw await problemIn(response);
}

/** Returns why a request was refused. */
export async function problemIn(response: Response) {
  return refused(response, parsed(await response.text()));
}

function refused(response: Response, body: unknown) {
  if (response.status === 401) askToSignIn();
  return problemOf(response.status, body, response.headers.get("x-request-id") ?? undefined);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
