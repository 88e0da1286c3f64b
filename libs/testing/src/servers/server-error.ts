/** A server cannot be had or does not start. The message is one sentence for the person who started us. */
export class ServerError extends Error {
  override readonly name = 'ServerError';
}
