/** Bounds how many requests run at once. */
export class Pool {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(size: number) {
    this.#free = size;
  }

  /** Runs `work` as soon as there is room, in the order of the calls. An aborted one runs at once: it ends by itself. */
  async run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const hasPlace = await this.#enter(signal);
    try {
      return await work();
    } finally {
      if (hasPlace) this.#leave();
    }
  }

  async #enter(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return false;
    if (this.#free > 0) {
      this.#free -= 1;
      return true;
    }
    return new Promise((resolve) => {
      const admitted = () => {
        signal.removeEventListener("abort", left);
        resolve(true);
      };
      const left = () => {
        this.#waiting.splice(this.#waiting.indexOf(admitted), 1);
        resolve(false);
      };
      this.#waiting.push(admitted);
      signal.addEventListener("abort", left, { once: true });
    });
  }

  /** Gives the place to the next one, so that no later call can take it first. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free += 1;
  }
}
