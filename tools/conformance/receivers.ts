import { HttpSink, type Answer, type ReceivedRequest } from '@keyturn/testing';

type Script = Answer | ((request: ReceivedRequest) => Answer | Promise<Answer>);

/** Subscribers' endpoints on one server, told apart by their path. */
export class Receivers {
  private readonly scripts = new Map<string, { script: Script; times: number }>();

  private constructor(private readonly sink: HttpSink) {}

  static async start(): Promise<Receivers> {
    const sink = await HttpSink.start();
    const receivers = new Receivers(sink);
    sink.answer((request) => receivers.answer(request));
    return receivers;
  }

  url(path: string): string {
    return this.sink.url(path);
  }

  /** What `path` answers from now on, or for so many requests; then 200. */
  script(path: string, script: Script, times = Infinity): void {
    this.scripts.set(path, { script, times });
  }

  requests(path: string): ReceivedRequest[] {
    return this.sink.requests.filter((request) => request.path === path);
  }

  received(path: string, count: number, timeoutMs = 15_000): Promise<ReceivedRequest[]> {
    return this.sink.received(count, (request) => request.path === path, timeoutMs);
  }

  stop(): Promise<void> {
    return this.sink.stop();
  }

  private answer(request: ReceivedRequest): Answer | Promise<Answer> {
    const scripted = this.scripts.get(request.path);
    if (!scripted || scripted.times <= 0) return {};
    scripted.times--;
    return typeof scripted.script === 'function' ? scripted.script(request) : scripted.script;
  }
}
