/** One line per phase on stderr: rewritten in place on a terminal, else a plain line now and then. `NO_COLOR` is honoured. */
export class Progress {
  readonly #terminal = process.stderr.isTTY === true;
  readonly #color = this.#terminal && process.env.NO_COLOR === undefined;
  readonly #start = performance.now();
  #shown = -Infinity;

  constructor(
    readonly title: string,
    readonly steps: number,
    readonly imagesPerStep: number,
  ) {}

  /** Call after each step; draws at most ten times a second (every two seconds without a terminal). */
  step(done: number, loss: number): void {
    const now = performance.now();
    if (done < this.steps && now - this.#shown < (this.#terminal ? 100 : 2000)) return;
    this.#shown = now;
    const seconds = (now - this.#start) / 1000;
    const rate = (done * this.imagesPerStep) / seconds;
    const left = ((this.steps - done) * seconds) / done;
    const text = `step ${String(done).padStart(String(this.steps).length)}/${this.steps}  loss ${loss.toFixed(4)}  ${Math.round(rate).toLocaleString("en-US")} images/s  ${left.toFixed(0)} s left`;
    const title = this.#color ? `\u001b[36m${this.title}\u001b[0m` : this.title;
    process.stderr.write(
      this.#terminal ? `\r\u001b[2K${title}  ${text}${done === this.steps ? "\n" : ""}` : `${title}  ${text}\n`,
    );
  }
}
