import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { at, fieldsOf, isFields, listOf, type Manifest } from './manifest';
import { k8sFolder, objectsOf, overlays, type Overlay } from './overlays';
import { settingsInCode } from './source';
import { ofKind, quantity, workloadsOf } from './workloads';

interface Contract {
  made: Record<string, string[]>;
  fromElsewhere: Record<string, string[]>;
}

const contractOf = (overlay: Overlay) =>
  JSON.parse(
    execFileSync(process.execPath, [path.join(k8sFolder, 'make-secrets.mjs'), 'contract', overlay], {
      encoding: 'utf8',
    }),
  ) as Contract;

/** Every place where an object names a Secret, with the keys it takes (none named: all). */
function secretsNamed(value: unknown): { name: string; keys: string[] }[] {
  if (Array.isArray(value)) return value.flatMap(secretsNamed);
  if (!isFields(value)) return [];
  const here = Object.entries(value).flatMap(([field, inside]) => {
    if (field === 'secretName')
      return [{ name: String(inside), keys: listOf(value.items).map(({ key }) => String(key)) }];
    if (!isFields(inside)) return [];
    if (field === 'secretKeyRef' || /^(accessKeyId|secretAccessKey)$/.test(field))
      return [{ name: String(inside.name), keys: [String(inside.key)] }];
    if (field === 'passwordSecret') return [{ name: String(inside.name), keys: ['username', 'password'] }];
    if (field === 'secret' && inside.name !== undefined)
      return [{ name: String(inside.name), keys: listOf(inside.items).map(({ key }) => String(key)) }];
    return [];
  });
  return [...here, ...Object.values(value).flatMap(secretsNamed)];
}

describe.each(overlays)('secrets of overlay %s', (overlay) => {
  it('are none of the manifests', () => {
    expect(ofKind(overlay, 'Secret')).toEqual([]);
    const telling = /(PASSWORD|TOKEN|KEY|URL)$/;
    for (const { containers, name } of workloadsOf(overlay))
      for (const { env } of containers)
        for (const { name: variable, value } of listOf(env))
          if (telling.test(String(variable))) expect([name, variable, value]).toEqual([name, variable, undefined]);
  });

  it('are, name by name and key by key, those of the contract', () => {
    const { made, fromElsewhere } = contractOf(overlay);
    const contract = { ...made, ...fromElsewhere };
    const named = objectsOf(overlay).flatMap((object) => secretsNamed(object));
    for (const { name, keys } of named)
      expect([name, contract[name] ?? []]).toEqual([name, expect.arrayContaining(keys)]);
    const used = new Set(named.map(({ name }) => name));
    expect(Object.keys(contract).filter((name) => !used.has(name))).toEqual([]);
  });

  it('reach every program, Postgres and NATS too, as files that only it can read, and never as variables', () => {
    for (const { name, containers, pod } of workloadsOf(overlay)) {
      for (const { env, envFrom } of containers) {
        expect([name, listOf(env).filter(({ valueFrom }) => at(valueFrom, 'secretKeyRef'))]).toEqual([name, []]);
        expect([name, listOf(envFrom).filter(({ secretRef }) => secretRef)]).toEqual([name, []]);
      }
      const holders = listOf(pod.volumes).flatMap(({ secret, projected }) =>
        (secret ?? projected) ? [secret ?? projected] : [],
      );
      expect([name, holders.length > 0]).toEqual([name, true]);
      expect([name, holders.map((holder) => at(holder, 'defaultMode'))]).toEqual([name, holders.map(() => 0o440)]);
    }
  });

  it('are not in a ConfigMap either', () => {
    const telling =
      /-----BEGIN [A-Z ]*PRIVATE KEY|:\/\/[^\s/:@]+:[^\s/@]+@|^\s*"?\w*(password|token|secret)\w*"?\s*[:=]\s*["']?[^\s$"'{[]/im;
    for (const { metadata, data } of ofKind(overlay, 'ConfigMap'))
      for (const [key, text] of Object.entries(fieldsOf(data)))
        expect([metadata.name, key, telling.exec(`${key}=${String(text)}`)?.[0]]).toEqual([
          metadata.name,
          key,
          undefined,
        ]);
  });
});

describe.each(overlays)('settings of overlay %s', (overlay) => {
  const known = settingsInCode();
  const settings = ofKind(overlay, 'ConfigMap').find(({ metadata }) => metadata.name.startsWith('keyturn-settings'));

  it('are settings of the code', () => {
    const ours = Object.keys(fieldsOf(settings?.data)).filter((name) => name !== 'NODE_OPTIONS');
    expect(ours.filter((name) => !known.has(name))).toEqual([]);
  });

  it('name a file for each secret that a service needs', () => {
    for (const { name, kind, containers } of workloadsOf(overlay))
      for (const { env, volumeMounts } of containers.filter(({ image }) => String(image).includes('keyturn/'))) {
        const files = listOf(env).map((entry) => [String(entry.name), String(entry.value)] as const);
        for (const [variable, file] of files) {
          expect(known.get(variable.replace(/_FILE$/, ''))).toBe('secret');
          expect(listOf(volumeMounts).some(({ mountPath }) => file.startsWith(`${String(mountPath)}/`))).toBe(true);
        }
        if (kind !== 'CronJob')
          expect([name, files.map(([variable]) => variable)]).toEqual([
            name,
            [
              ...['DATABASE_URL_FILE', 'NATS_URL_FILE', 'SECRETS_KEY_FILE', 'ADMIN_TOKEN_FILE'],
              ...(overlay === 'production' && name === 'data-service' ? ['DATABASE_READ_URL_FILE'] : []),
            ],
          ]);
      }
  });

  it('that a file holds are in the volume under that name', () => {
    for (const { name, containers, pod } of workloadsOf(overlay)) {
      const [volume] = listOf(pod.volumes);
      const files = listOf(at(volume, 'projected.sources')).flatMap(({ secret }) =>
        listOf(at(secret, 'items')).map((item) => `/run/keyturn/${String(item.path)}`),
      );
      for (const { env } of containers.filter(({ image }) => String(image).includes('keyturn/')))
        for (const { value } of listOf(env)) expect([name, files]).toEqual([name, expect.arrayContaining([value])]);
    }
  });

  it('name ConfigMaps that are there', () => {
    const names = ofKind(overlay, 'ConfigMap').map(({ metadata }) => metadata.name);
    for (const { containers, pod } of workloadsOf(overlay)) {
      const named = [
        ...containers.flatMap(({ envFrom }) => listOf(envFrom).map((from) => at(from, 'configMapRef.name'))),
        ...listOf(pod.volumes).map((volume) => at(volume, 'configMap.name')),
      ].filter((name) => name !== undefined);
      for (const name of named) expect(names).toContain(name);
    }
  });
});

describe('what belongs together', () => {
  const only = (overlay: Overlay, kind: string, name: string) =>
    ofKind(overlay, kind).find(({ metadata }) => metadata.name === name) as Manifest;
  const settingOf = (overlay: Overlay, name: string) =>
    fieldsOf(ofKind(overlay, 'ConfigMap').find(({ metadata }) => metadata.name.startsWith('keyturn-settings'))?.data)[
      name
    ];

  it.each(overlays)('%s: streams have as many replicas as NATS has servers', (overlay) => {
    expect(Number(settingOf(overlay, 'STREAM_REPLICAS'))).toBe(
      at(only(overlay, 'StatefulSet', 'nats'), 'spec.replicas'),
    );
  });

  it('production: Postgres keeps a commit on a second machine, and more connections than its roles may take', () => {
    const cluster = only('production', 'Cluster', 'postgres');
    expect(cluster.spec).toMatchObject({ instances: 3, enablePDB: true, postgresql: { synchronous: { number: 1 } } });
    const limits = listOf(at(cluster, 'spec.managed.roles')).map(({ connectionLimit }) => Number(connectionLimit));
    const room = Number(at(cluster, 'spec.postgresql.parameters.max_connections'));
    // The migration, backups, the operator and whoever looks for a fault come on top.
    expect(limits.reduce((sum, limit) => sum + limit, 0) + 30).toBeLessThan(room);
  });

  it('production: every replica that a scaler may make finds its connections', () => {
    // Pools of one replica: the one that every service has, and those of its settings (README), at their defaults.
    const pools = { 'api-gateway': 10 + 8, 'data-service': 10 + 8 + 4, 'webhook-service': 10 + 2 * 4, dispatcher: 10 };
    const roles = listOf(at(only('production', 'Cluster', 'postgres'), 'spec.managed.roles'));
    for (const [name, connections] of Object.entries(pools)) {
      const most =
        at(only('production', 'HorizontalPodAutoscaler', name), 'spec.maxReplicas') ??
        at(only('production', 'ScaledObject', name), 'spec.maxReplicaCount');
      const limit = Number(roles.find((role) => String(role.name).replaceAll('_', '-') === name)?.connectionLimit);
      expect([name, limit >= (Number(most) + 1) * connections]).toEqual([name, true]);
    }
  });

  it('production: there are never fewer than three of anything, and room to grow', () => {
    const scalers = [
      ...ofKind('production', 'HorizontalPodAutoscaler').map(({ spec }) => [
        at(spec, 'minReplicas'),
        at(spec, 'maxReplicas'),
      ]),
      ...ofKind('production', 'ScaledObject').map(({ spec }) => [
        at(spec, 'minReplicaCount'),
        at(spec, 'maxReplicaCount'),
      ]),
    ];
    expect(scalers).toHaveLength(ofKind('production', 'Deployment').length);
    for (const [least, most] of scalers) {
      expect(Number(least)).toBeGreaterThanOrEqual(3);
      expect(Number(most)).toBeGreaterThan(Number(least));
    }
    for (const { spec } of ofKind('production', 'StatefulSet')) expect(Number(at(spec, 'replicas'))).toBeGreaterThan(2);
  });

  it('production: dispatchers follow what is due and how old it is, not the stream, and nothing else scales them', () => {
    const scaled = only('production', 'ScaledObject', 'dispatcher');
    const triggers = listOf(at(scaled, 'spec.triggers'));
    expect(triggers.map(({ type, name }) => [type, name])).toEqual([
      ['prometheus', 'due'],
      ['prometheus', 'age'],
    ]);
    // What a replica cannot know is NaN, which must not be taken for an empty queue.
    for (const { metadata } of triggers) {
      expect(String(at(metadata, 'query'))).toMatch(/^max\(webhook_\w+\{namespace="keyturn"\} >= 0\)$/);
      expect(at(metadata, 'ignoreNullValues')).toBe('false');
    }
    expect(at(scaled, 'spec.fallback.replicas')).toBeGreaterThan(Number(at(scaled, 'spec.minReplicaCount')));
    expect(only('production', 'HorizontalPodAutoscaler', 'dispatcher')).toBeUndefined();
  });

  it('production: Prometheus finds every program and believes its own labels', () => {
    const monitor = only('production', 'ServiceMonitor', 'keyturn');
    expect(at(monitor, 'spec.selector')).toEqual({ matchLabels: { 'keyturn-scrape': 'management' } });
    expect(at(monitor, 'spec.endpoints')).toEqual([expect.objectContaining({ port: 'management', honorLabels: true })]);
  });

  it('production: Prometheus finds every instance of Postgres, under the name that the alerts ask for', () => {
    const monitor = only('production', 'PodMonitor', 'postgres');
    const cluster = only('production', 'Cluster', 'postgres');
    expect(at(monitor, 'spec.selector.matchLabels')).toMatchObject({ 'cnpg.io/cluster': cluster.metadata.name });
    // The operator names the port of its exporter; the policy beside the Cluster opens it to scrapes.
    expect(at(monitor, 'spec.podMetricsEndpoints')).toEqual([expect.objectContaining({ port: 'metrics' })]);
    const job = `${monitor.metadata.namespace}/${monitor.metadata.name}`;
    const degraded = listOf(at(only('production', 'PrometheusRule', 'keyturn'), 'spec.groups'))
      .flatMap(({ rules }) => listOf(rules))
      .find(({ alert }) => alert === 'KeyturnStoreDegraded');
    expect(degraded?.expr).toContain(
      `${String(at(cluster, 'spec.instances'))} - (sum(up{namespace="keyturn",job="${job}"})`,
    );
  });

  it('production: NATS collects its garbage before the kernel ends it', () => {
    const server = only('production', 'StatefulSet', 'nats');
    const [container] = listOf(at(server, 'spec.template.spec.containers'));
    const most = listOf(container?.env).find(({ name }) => name === 'GOMEMLIMIT');
    const share = quantity(String(most?.value).replace(/B$/, '')) / quantity(at(container, 'resources.limits.memory'));
    expect(share).toBeGreaterThan(0.7);
    expect(share).toBeLessThan(0.95);
  });

  it.each(overlays)('%s: everything is in one namespace, which enforces the restricted standard', (overlay) => {
    const [namespace, ...others] = ofKind(overlay, 'Namespace');
    expect(others).toEqual([]);
    expect(namespace?.metadata.labels).toMatchObject({ 'pod-security.kubernetes.io/enforce': 'restricted' });
    const elsewhere = objectsOf(overlay).filter(
      ({ kind, metadata }) => kind !== 'Namespace' && metadata.namespace !== namespace?.metadata.name,
    );
    expect(elsewhere).toEqual([]);
  });
});
