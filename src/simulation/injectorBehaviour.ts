/** Chances from 0 to 1, per message. */
export interface InjectorBehaviour {
  /** Sends the envelope in one write, as PIPELINING allows. */
  readonly pipelineRate: number;
  /** Goes away in the middle of the content. */
  readonly abortRate: number;
  /** Resets the connection soon behind the end of the content. */
  readonly vanishRate: number;
  /** FIN behind the end of the content, and waits for the reply. */
  readonly halfCloseRate: number;
  /** RSET after the recipients. */
  readonly resetRate: number;
  /** Goes on with another message on the same connection. */
  readonly reuseRate: number;
  /** Content beyond 1 MiB. */
  readonly largeRate: number;
  /** BDAT instead of DATA, where the server offers it. */
  readonly chunkingRate: number;
}

export const politeInjector: InjectorBehaviour = {
  pipelineRate: 0.5,
  abortRate: 0,
  vanishRate: 0,
  halfCloseRate: 0,
  resetRate: 0,
  reuseRate: 0.8,
  largeRate: 0,
  chunkingRate: 0,
};
