import { Client } from 'undici';

/** One kind of request, sent again and again. */
export interface LoadPlan {
  readonly origin: string;
  /** Taken in turn, so that a detail is not always the same record. */
  readonly paths: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
  readonly connections: number;
  readonly seconds: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  /** Bytes of the first body, to see that both sides send the same. */
  readonly bytes: number;
  readonly failures: number;
}

/** Keeps every connection busy with one request at a time for as long as the plan says. */
export async function runLoad(plan: LoadPlan): Promise<LoadResult> {
  const clients = Array.from({ length: plan.connections }, () => new Client(plan.origin));
  const latencies: number[] = [];
  let failures = 0;
  let bytes = 0;
  let turn = 0;
  const started = performance.now();
  const until = started + plan.seconds * 1_000;
  await Promise.all(
    clients.map(async (client) => {
      while (performance.now() < until) {
        const path = plan.paths[turn++ % plan.paths.length] as string;
        const sent = performance.now();
        const answer = await request(client, path, plan.headers);
        latencies.push(performance.now() - sent);
        if (answer.status !== 200) failures++;
        bytes ||= answer.bytes;
      }
    }),
  );
  const seconds = (performance.now() - started) / 1_000;
  await Promise.all(clients.map((client) => client.destroy()));
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0;
  return {
    requests: latencies.length,
    requestsPerSecond: latencies.length / seconds,
    p50Ms: at(0.5),
    p95Ms: at(0.95),
    p99Ms: at(0.99),
    bytes,
    failures,
  };
}

/** The lightest client there is: counts the body's bytes without keeping them, so that the load leaves the machine to the servers. */
function request(
  client: Client,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<{ status: number; bytes: number }> {
  return new Promise((resolve, reject) => {
    let status = 0;
    let bytes = 0;
    client.dispatch(
      { method: 'GET', path, headers },
      {
        onRequestStart: () => undefined,
        onResponseStart: (_controller, code) => {
          status = code;
        },
        onResponseData: (_controller, chunk) => {
          bytes += chunk.length;
        },
        onResponseEnd: () => resolve({ status, bytes }),
        onResponseError: (_controller, error) => reject(error),
      },
    );
  });
}
