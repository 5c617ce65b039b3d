/** One line of JSON each way over the control socket. A request is answered before the next is read. */
export const controlSchema = 'penstock.control/1';

export interface ControlRequest {
  readonly schema: typeof controlSchema;
  readonly verb: string;
  readonly options: Readonly<Record<string, unknown>>;
}

/** `result` is the whole answer; or any number of `item` lines and then `end`. */
export type ControlLine =
  | { readonly schema: typeof controlSchema; readonly result: unknown }
  | { readonly schema: typeof controlSchema; readonly item: unknown }
  | { readonly schema: typeof controlSchema; readonly end: true }
  | { readonly schema: typeof controlSchema; readonly error: ControlError };

export interface ControlError {
  /** Stable: UNKNOWN_VERB, BAD_REQUEST, LINE_TOO_LONG, FAILED, or the handler's own. */
  readonly code: string;
  readonly message: string;
}

/** What a handler returns to refuse with a code of its own. What it throws becomes FAILED. */
export class ControlRefusal implements ControlError {
  readonly code: string;
  readonly message: string;

  constructor(code: string, message: string) {
    this.code = code;
    this.message = message;
  }
}

/** undefined: not a request of this schema. */
export function parseRequest(line: string): ControlRequest | undefined {
  const value = parseJson(line);
  if (!isRecord(value) || value.schema !== controlSchema || typeof value.verb !== 'string') return undefined;
  const options = value.options ?? {};
  return isRecord(options) ? { schema: controlSchema, verb: value.verb, options } : undefined;
}

/** undefined: not a line of an answer. */
export function parseAnswerLine(line: string): ControlLine | undefined {
  const value = parseJson(line);
  return isRecord(value) && value.schema === controlSchema ? (value as unknown as ControlLine) : undefined;
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
