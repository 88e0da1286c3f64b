import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';

/** A reply as a consumer of the REST API gets it. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly bytes: Buffer;
  /** The body as JSON; undefined when there is none. */
  readonly json: Body;
}

export interface Row {
  readonly id: number;
  readonly [field: string]: unknown;
}

interface Body {
  readonly success: boolean;
  readonly data: never;
  readonly error: { readonly code: string; readonly message: string };
  readonly pagination: {
    readonly page: number;
    readonly pageSize: number;
    readonly total: number;
    readonly totalPages: number;
    readonly nextCursor?: string | null;
    readonly hasMore?: boolean;
  };
}

export interface Sending {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON; text and bytes as they are. */
  readonly body?: unknown;
}

/**
 * The public door: plain `node:http`, because what is sent must be exactly what a test says (odd paths, hosts and headers
 * that `fetch` would mend or refuse).
 */
export class Door {
  constructor(
    readonly baseUrl: string,
    private readonly headers: Readonly<Record<string, string>> = {},
  ) {}

  with(headers: Readonly<Record<string, string>>): Door {
    return new Door(this.baseUrl, { ...this.headers, ...headers });
  }

  get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    return this.send(path, { headers });
  }

  post(path: string, body: unknown): Promise<Answer> {
    return this.send(path, { method: 'POST', body });
  }

  patch(path: string, body: unknown): Promise<Answer> {
    return this.send(path, { method: 'PATCH', body });
  }

  delete(path: string): Promise<Answer> {
    return this.send(path, { method: 'DELETE' });
  }

  /** The rows of a list, which must have succeeded. */
  async rows(path: string): Promise<Row[]> {
    return (await this.page(path)).rows;
  }

  async page(path: string): Promise<{ rows: Row[]; pagination: Body['pagination'] }> {
    const { status, json, text } = await this.get(path);
    if (status !== 200) throw new Error(`GET ${path}: ${status} ${text}`);
    return { rows: json.data as Row[], pagination: json.pagination };
  }

  send(path: string, { method = 'GET', headers = {}, body }: Sending = {}): Promise<Answer> {
    const asJson = body !== undefined && typeof body !== 'string' && !Buffer.isBuffer(body);
    const payload = asJson ? JSON.stringify(body) : (body as string | Buffer | undefined);
    const { hostname, port } = new URL(this.baseUrl);
    return new Promise((resolve, reject) => {
      const outgoing = httpRequest(
        {
          hostname,
          port,
          path,
          method,
          agent: false,
          headers: {
            ...(payload === undefined
              ? {}
              : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(payload)) }),
            ...this.headers,
            ...headers,
          },
        },
        (incoming) => {
          const chunks: Buffer[] = [];
          incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
          incoming.on('error', reject);
          incoming.on('end', () => {
            const bytes = Buffer.concat(chunks);
            const text = bytes.toString('utf8');
            const isJson = incoming.headers['content-type']?.includes('json') && !incoming.headers['content-encoding'];
            resolve({
              status: incoming.statusCode ?? 0,
              headers: incoming.headers,
              text,
              bytes,
              json: (isJson && text ? JSON.parse(text) : undefined) as Body,
            });
          });
        },
      );
      outgoing.on('error', reject);
      outgoing.end(payload);
    });
  }
}
