import { spawn, type ChildProcess } from 'node:child_process';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { WebSocket } from 'undici';
import { waitFor } from '@keyturn/testing';

/** A Chromium on the PATH; undefined where this machine has none. */
export function findBrowser(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(path.delimiter);
  const programs = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
  return programs.flatMap((name) => folders.map((folder) => path.join(folder, name))).find(isProgram);
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { request?: { url: string }; entry?: { text: string }; exceptionDetails?: { text: string } };
  readonly result?: { result?: { value?: unknown }; exceptionDetails?: unknown };
}

/** One page of a headless browser that can reach this machine only. */
export class BrowserPage {
  /** Addresses that the page asked for. */
  readonly requested: string[] = [];
  /** What the browser complained about: blocked by policy, failed, thrown. */
  readonly complaints: string[] = [];
  private readonly answers = new Map<number, (message: Message) => void>();
  private lastId = 0;

  private constructor(
    private readonly browser: ChildProcess,
    private readonly profile: string,
    private readonly socket: WebSocket,
  ) {
    socket.addEventListener('message', ({ data }) => this.hear(JSON.parse(String(data)) as Message));
  }

  static async open(program: string): Promise<BrowserPage> {
    const profile = mkdtempSync(path.join(tmpdir(), 'keyturn-browser-'));
    const options = [
      ...['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'],
      ...['--disable-background-networking', '--disable-component-update', '--remote-debugging-port=0'],
      ...['--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1', `--user-data-dir=${profile}`, 'about:blank'],
    ];
    const browser = spawn(program, options, { stdio: ['ignore', 'ignore', 'pipe'], detached: true });
    const debuggerHost = await new Promise<string>((resolve, reject) => {
      browser.once('exit', () => reject(new Error(`${program} does not start`)));
      createInterface({ input: browser.stderr }).on('line', (line) => {
        const host = /DevTools listening on ws:\/\/([^/]+)/.exec(line)?.[1];
        if (host) resolve(host);
      });
    });
    const target = await waitFor('a page of the browser', async () => {
      const targets = (await (await fetch(`http://${debuggerHost}/json/list`)).json()) as {
        type: string;
        webSocketDebuggerUrl: string;
      }[];
      return targets.find(({ type }) => type === 'page');
    });
    const socket = new WebSocket(target.webSocketDebuggerUrl);
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve);
      socket.addEventListener('error', reject);
    });
    const page = new BrowserPage(browser, profile, socket);
    for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await page.command(`${domain}.enable`);
    return page;
  }

  async goTo(url: string): Promise<void> {
    await this.command('Page.navigate', { url });
  }

  /** The value of an expression in the page. */
  async evaluate(expression: string): Promise<unknown> {
    const { result } = await this.command('Runtime.evaluate', { expression, returnByValue: true, awaitPromise: true });
    if (result?.exceptionDetails) throw new Error(`the page threw: ${JSON.stringify(result.exceptionDetails)}`);
    return result?.result?.value;
  }

  async close(): Promise<void> {
    const gone = new Promise((resolve) => this.browser.once('exit', resolve));
    // Its many processes are one group; the last of them may still write for a moment.
    process.kill(-(this.browser.pid as number), 'SIGKILL');
    await gone;
    this.socket.close();
    await waitFor('the profile to go', () => {
      rmSync(this.profile, { recursive: true, force: true });
      return true;
    });
  }

  private command(method: string, params: object = {}): Promise<Message> {
    const id = ++this.lastId;
    return new Promise((resolve) => {
      this.answers.set(id, resolve);
      this.socket.send(JSON.stringify({ id, method, params }));
    });
  }

  private hear({ id, method, params, ...rest }: Message): void {
    if (id !== undefined) {
      this.answers.get(id)?.({ id, ...rest });
      this.answers.delete(id);
    } else if (method === 'Network.requestWillBeSent' && params?.request) this.requested.push(params.request.url);
    else if (method === 'Log.entryAdded' && params?.entry) this.complaints.push(params.entry.text);
    else if (method === 'Runtime.exceptionThrown' && params?.exceptionDetails)
      this.complaints.push(params.exceptionDetails.text);
  }
}
