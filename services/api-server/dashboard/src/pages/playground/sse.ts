/** Reads a stream of server-sent events, whatever the pieces are in which it arrives. */
export class EventReader {
  #rest = "";
  #data: string[] = [];

  /** Returns the data of the events that are complete now. */
  push(piece: string): string[] {
    const lines = (this.#rest + piece).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? "";
    const events: string[] = [];
    for (const line of lines) {
      if (line === "") {
        if (this.#data.length > 0) events.push(this.#data.join("\n"));
        this.#data = [];
      } else if (line.startsWith("data:")) {
        this.#data.push(line.slice(line.startsWith("data: ") ? 6 : 5));
      }
    }
    return events;
  }

  /** Returns the data of an event that the stream ended in. */
  end(): string[] {
    return this.push("\n\n");
  }
}
