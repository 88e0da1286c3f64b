import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parse, stringify } from 'yaml';
import { Metrics } from '@keyturn/platform/metrics';
import { at, fieldsOf, listOf, type Fields } from './manifest';
import { k8sFolder } from './overlays';
import { selectorsOf } from './promql';
import { metricsInCode } from './source';
import { ofKind } from './workloads';

const folder = path.join(k8sFolder, 'monitoring');
const read = (file: string) => readFileSync(path.join(folder, file), 'utf8');

interface Rule {
  record?: string;
  alert?: string;
  expr: string;
  for?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}

const groups = (parse(read('rules.yaml')) as { spec: { groups: { name: string; interval?: string; rules: Rule[] }[] } })
  .spec.groups;
const rules = groups.flatMap((group) => group.rules);
const alerts = rules.filter((rule): rule is Rule & { alert: string } => rule.alert !== undefined);

/** What others measure: Prometheus itself, the kubelet, kube-state-metrics, the operator of Postgres. Metric → its labels. */
const ofOthers: Record<string, readonly string[]> = {
  up: [],
  kube_deployment_status_replicas_unavailable: ['deployment'],
  kube_statefulset_replicas: ['statefulset'],
  kube_statefulset_status_replicas_ready: ['statefulset'],
  kube_cronjob_status_last_successful_time: ['cronjob'],
  kube_cronjob_created: ['cronjob'],
  kube_job_status_failed: ['job_name'],
  kubelet_volume_stats_available_bytes: ['persistentvolumeclaim'],
  kubelet_volume_stats_capacity_bytes: ['persistentvolumeclaim'],
  cnpg_collector_last_available_backup_timestamp: [],
  barman_cloud_cloudnative_pg_io_last_available_backup_timestamp: [],
};
/** Added by Prometheus when it scrapes, and by our registry to everything in it. */
const labelsOfAll = ['namespace', 'job', 'pod', 'instance', 'service'];

/** Every series that can be asked for, with its labels. */
async function knownSeries(): Promise<Map<string, readonly string[]>> {
  const known = new Map<string, readonly string[]>();
  const add = (name: string, kind: string, labels: readonly string[]) => {
    if (kind === 'histogram') {
      known.set(`${name}_bucket`, [...labels, 'le']);
      known.set(`${name}_sum`, labels);
      known.set(`${name}_count`, labels);
    } else known.set(name, labels);
  };
  for (const [name, { kind, labels }] of metricsInCode()) add(name, kind, labels);
  for (const { name, type } of await new Metrics('a-service').registry.getMetricsAsJSON()) add(name, String(type), []);
  for (const { record } of rules) if (record) known.set(record, []);
  for (const [name, labels] of Object.entries(ofOthers)) known.set(name, labels);
  return known;
}

const dashboards = readdirSync(path.join(folder, 'dashboards')).map(
  (file) => [file, JSON.parse(read(`dashboards/${file}`)) as Fields] as const,
);

const expressions = [
  ...rules.map(({ record, alert, expr }) => [`rule ${record ?? alert}`, expr] as const),
  ...dashboards.flatMap(([file, dashboard]) =>
    listOf(dashboard.panels).flatMap(({ title, targets }) =>
      listOf(targets).map(({ expr }) => [`${file}: ${String(title)}`, String(expr)] as const),
    ),
  ),
  ...ofKind('production', 'ScaledObject').flatMap((scaled) =>
    listOf(at(scaled, 'spec.triggers')).map(
      (trigger) => [`scaler ${String(trigger.name)}`, String(at(trigger, 'metadata.query'))] as const,
    ),
  ),
];

describe('expressions of rules, dashboards and scalers', () => {
  it('ask for metrics that exist, by labels that they have', async () => {
    const known = await knownSeries();
    const wrong = expressions.flatMap(([where, expr]) =>
      selectorsOf(expr).flatMap(({ metric, labels }) => {
        const own = known.get(metric);
        if (!own) return [`${where}: there is no ${metric}`];
        return labels
          .filter((label) => !own.includes(label) && !labelsOfAll.includes(label))
          .map((label) => `${where}: ${metric} has no ${label}`);
      }),
    );
    expect(expressions.length).toBeGreaterThan(60);
    expect(wrong).toEqual([]);
  });

  it('look at one namespace only', () => {
    const everywhere = expressions.filter(([, expr]) =>
      selectorsOf(expr).some(({ metric, labels }) => !metric.startsWith('keyturn:') && !labels.includes('namespace')),
    );
    expect(everywhere).toEqual([]);
  });

  it('ask histograms for borders that they have', () => {
    const buckets = (metric: string) => {
      const borders = new Set<string>();
      for (const [, expr] of expressions)
        for (const [, name, border] of expr.matchAll(/(\w+)_bucket\{[^}]*\ble=~?"([^"]+)"/g))
          if (name === metric) borders.add(border as string);
      return [...borders];
    };
    expect(buckets('http_server_request_duration_seconds')).toEqual(['0.25']);
    // A whole number is "5" to Prometheus 2 and "5.0" to Prometheus 3.
    expect(buckets('webhook_commit_to_first_attempt_seconds')).toEqual([String.raw`5|5\\.0`]);
    const code = metricsInCode();
    expect(code.get('http_server_request_duration_seconds')?.buckets).toContain(0.25);
    expect(code.get('webhook_commit_to_first_attempt_seconds')?.buckets).toContain(5);
  });
});

describe('promises', () => {
  const ratios = ['reads_failed', 'deliveries_late'] as const;
  const windows = ['5m', '30m', '1h', '2h', '6h', '1d', '3d'];

  it.each(ratios)('%s is recorded over every window, by the same expression', (ratio) => {
    const recorded = rules.filter(({ record }) => record?.startsWith(`keyturn:${ratio}:`));
    expect(recorded.map(({ record }) => record)).toEqual(
      windows.map((window) => `keyturn:${ratio}:ratio_rate${window}`),
    );
    const forms = recorded.map(({ record, expr }) => {
      const window = (record as string).slice(`keyturn:${ratio}:ratio_rate`.length);
      expect(new Set([...expr.matchAll(/\[(\w+)\]/g)].map(([, range]) => range))).toEqual(new Set([window]));
      return expr.replaceAll(`[${window}]`, '[…]');
    });
    expect(new Set(forms).size).toBe(1);
  });

  // How fast a budget of 30 days may burn: 2 % of it in an hour, 5 % in six, 10 % in a day, all of it at the pace of three days.
  it.each([
    ['KeyturnReadsBurn', 'reads_failed', '0.001'],
    ['KeyturnDeliveriesBurn', 'deliveries_late', '0.01'],
  ])('%s fires by a long window and a short one together', (alert, ratio, budget) => {
    const both = (factor: string, long: string, short: string) =>
      `(keyturn:${ratio}:ratio_rate${long} > ${factor} * ${budget} and keyturn:${ratio}:ratio_rate${short} > ${factor} * ${budget})`;
    const exprOf = (name: string) =>
      rules
        .find((rule) => rule.alert === name)
        ?.expr.replace(/\s+/g, ' ')
        .trim();
    expect(exprOf(`${alert}Fast`)).toBe(`${both('14.4', '1h', '5m')} or ${both('6', '6h', '30m')}`);
    expect(exprOf(`${alert}Slow`)).toBe(`${both('3', '1d', '2h')} or ${both('1', '3d', '6h')}`);
  });
});

describe('alerts', () => {
  it('have a runbook page each, and there is no page without an alert', () => {
    const pages = readdirSync(path.join(folder, 'runbooks')).map((file) => file.replace(/\.md$/, ''));
    expect(pages.sort()).toEqual(alerts.map(({ alert }) => alert).sort());
  });

  it.each(alerts.map((alert) => [alert.alert, alert] as const))(
    '%s says how bad it is, what is wrong and what to do',
    (name, alert) => {
      expect(['page', 'ticket']).toContain(alert.labels?.severity);
      expect(alert.for).toMatch(/^\d+m$/);
      expect(alert.annotations).toEqual({
        summary: expect.any(String),
        description: expect.any(String),
        runbook: `k8s/monitoring/runbooks/${name}.md`,
      });
      const headings = [...read(`runbooks/${name}.md`).matchAll(/^##? (.+)$/gm)].map(([, heading]) => heading);
      expect(headings).toEqual([name, 'What it means', 'What callers see', 'Where to look', 'What to do']);
    },
  );

  const testFiles = ['rules.test.yaml', 'rules.days.test.yaml'] as const;

  it('are each tested to fire and to stay quiet', () => {
    const tests = testFiles.flatMap((file) =>
      listOf(fieldsOf(parse(read(file))).tests).flatMap(({ alert_rule_test: asked }) => listOf(asked)),
    );
    const tested = (fires: boolean) =>
      new Set(
        tests
          .filter(({ exp_alerts: expected }) => listOf(expected).length > 0 === fires)
          .map(({ alertname }) => alertname),
      );
    for (const fires of [true, false])
      expect(alerts.map(({ alert }) => alert).filter((name) => !tested(fires).has(name))).toEqual([]);
  });

  const promtool = process.env['PROMTOOL'] || 'promtool';
  const present = spawnSync(promtool, ['--version']).error === undefined;
  if (present)
    it('do what they say: promtool runs their tests (present on this machine)', () => {
      const temporary = mkdtempSync(path.join(tmpdir(), 'keyturn-rules-'));
      try {
        writeFileSync(path.join(temporary, 'rules.yaml'), stringify({ groups }));
        expect(run(promtool, ['check', 'rules', path.join(temporary, 'rules.yaml')])).toContain('SUCCESS');
        // The tests are about when an alert fires; its sentences are checked above, and by "check rules".
        const plain = groups.map(({ name, rules: own }) => ({
          name,
          rules: own.map((rule) => ({ ...rule, annotations: undefined })),
        }));
        writeFileSync(path.join(temporary, 'rules.plain.yaml'), stringify({ groups: plain }));
        for (const file of testFiles) {
          writeFileSync(path.join(temporary, file), read(file));
          expect(run(promtool, ['test', 'rules', path.join(temporary, file)])).toContain('SUCCESS');
        }
      } finally {
        rmSync(temporary, { recursive: true });
      }
    }, 300_000);
  else
    it('are not run here: promtool (Debian package prometheus) is not on this machine', () => {
      expect(present).toBe(false);
    });
});

function run(command: string, words: string[]): string {
  const { stdout, stderr } = spawnSync(command, words, { encoding: 'utf8' });
  return `${stdout}${stderr}`;
}

describe.each(dashboards)('dashboard %s', (_, dashboard) => {
  const panels = listOf(dashboard.panels);

  it('names itself, its panels and their units', () => {
    expect(dashboard.uid).toMatch(/^keyturn-/);
    expect(dashboard.title).toMatch(/^Keyturn: /);
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    for (const panel of panels.filter(({ type }) => type !== 'row')) {
      expect(panel.title).not.toBe('');
      expect(at(panel, 'fieldConfig.defaults.unit')).toEqual(expect.any(String));
    }
  });

  it('takes data source and namespace from its variables', () => {
    expect(listOf(at(dashboard, 'templating.list')).map(({ name }) => name)).toEqual(['datasource', 'namespace']);
    for (const { targets } of panels)
      for (const target of listOf(targets)) expect(at(target, 'datasource.uid')).toBe('${datasource}');
  });

  it('lays no panel over another', () => {
    const cells = new Set<string>();
    for (const { gridPos } of panels) {
      const { x, y, w, h } = gridPos as Record<'x' | 'y' | 'w' | 'h', number>;
      expect(x + w).toBeLessThanOrEqual(24);
      for (let column = x; column < x + w; column++)
        for (let row = y; row < y + h; row++) {
          expect(cells.has(`${column},${row}`)).toBe(false);
          cells.add(`${column},${row}`);
        }
    }
  });
});
