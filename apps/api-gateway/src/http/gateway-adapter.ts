import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { TrustProxy } from '../settings';
import { makeServer, type ServerParts } from './server';

/** Nest's adapter around our server. The gate and the failures are connected once the injector has made them. */
export class GatewayAdapter extends FastifyAdapter {
  private readonly holder: { parts?: ServerParts };

  constructor(trustProxy: TrustProxy) {
    const holder: { parts?: ServerParts } = {};
    super(
      makeServer(trustProxy, () => {
        if (!holder.parts) throw new Error('the server answers before its parts are connected');
        return holder.parts;
      }),
    );
    this.holder = holder;
  }

  connect(parts: ServerParts): void {
    this.holder.parts = parts;
  }

  /** There is no Nest middleware, so nothing of it is in a request's way. */
  override init(): Promise<void> {
    return Promise.resolve();
  }

  /** Nest would put handlers with shapes of its own in the place of ours. */
  override setErrorHandler(): ReturnType<FastifyAdapter['setErrorHandler']> {
    return this.getInstance();
  }

  override setNotFoundHandler(): ReturnType<FastifyAdapter['setNotFoundHandler']> {
    return this.getInstance();
  }
}
