/** Errors of promises nobody waits for: of a simulated process they are bugs like any other. */
export class StrayErrors {
  readonly #errors: unknown[] = [];
  readonly #note = (error: unknown): void => {
    this.#errors.push(error);
  };
  #others: NodeJS.UnhandledRejectionListener[] = [];

  /** From now on they come here, and nowhere else. */
  listen(): void {
    this.#others = process.listeners('unhandledRejection');
    process.removeAllListeners('unhandledRejection');
    process.on('unhandledRejection', this.#note);
  }

  unlisten(): void {
    process.off('unhandledRejection', this.#note);
    for (const other of this.#others) process.on('unhandledRejection', other);
  }

  /** Those since the last call. They are told only between two turns of the event loop. */
  async take(): Promise<readonly unknown[]> {
    await new Promise((resolve) => setImmediate(resolve));
    return this.#errors.splice(0);
  }
}
