/** The turns of a conversation: of each request, only what is new in it. Pure, but for the reader: the worker calls it. */

import { answeredMessages, askedMessages, type Message } from "../pages/requests/conversation";

/** The addresses of the bodies of a turn; `null` for those that are not kept. */
export interface TurnToRead {
  asked: string | null;
  answered: string | null;
  /** The request of the turn before. */
  before: string | null;
}

export interface Turn {
  /** Messages at the beginning that are those of the turn before. */
  known: number;
  fresh: Message[];
  answer: Message[];
}

/** Returns how many messages at the beginning are the same; each is known by its text. */
export function sameMessages(before: readonly string[], asked: readonly string[]): number {
  let known = 0;
  while (known < before.length && known < asked.length && before[known] === asked[known]) known++;
  // The same conversation sent again is shown, and not left empty.
  return known === asked.length ? Math.max(0, asked.length - 1) : known;
}

/** Maximum requests whose messages are kept for comparison. */
const KEPT = 40;

/** Reads turns, each body once. */
export class TurnReader {
  /** Of each address, the text of each message. */
  readonly #known = new Map<string, Promise<Message[]>>();

  constructor(private readonly read: (url: string) => Promise<unknown>) {}

  async turn({ asked, answered, before }: TurnToRead): Promise<Turn> {
    const [messages, earlier, answer] = await Promise.all([
      asked === null ? [] : this.#messages(asked),
      before === null ? [] : this.#messages(before).catch(() => []),
      answered === null ? null : this.read(answered),
    ]);
    const texts = (list: Message[]) => list.map((message) => JSON.stringify(message));
    const known = sameMessages(texts(earlier), texts(messages));
    return { known, fresh: messages.slice(known), answer: answeredMessages(answer) };
  }

  #messages(url: string): Promise<Message[]> {
    const found = this.#known.get(url);
    if (found) return found;
    const read = this.read(url).then(askedMessages);
    this.#known.set(url, read);
    read.catch(() => this.#known.delete(url));
    const [oldest] = this.#known.keys();
    if (this.#known.size > KEPT && oldest !== undefined) this.#known.delete(oldest);
    return read;
  }
}
