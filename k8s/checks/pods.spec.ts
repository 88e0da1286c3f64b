import { at, fieldsOf, listOf, nameOf } from './manifest';
import { objectsOf, overlays, type Overlay } from './overlays';
import { lastingOf, ofKind, quantity, selects, workloadsOf, type Workload } from './workloads';

/** One line for each workload, or container of one, that breaks the rule; none is right. */
const breaches = (overlay: Overlay, rule: (workload: Workload) => readonly string[]) =>
  workloadsOf(overlay).flatMap((workload) => rule(workload).map((what) => `${nameOf(workload.object)}: ${what}`));

const eachContainer = (rule: (container: Record<string, unknown>) => string | undefined) => (workload: Workload) =>
  workload.containers.flatMap((container) => {
    const what = rule(container);
    return what === undefined ? [] : [`container ${String(container.name)} ${what}`];
  });

// The rules that kube-score and kube-linter check, and Pod Security "restricted", each under a name of its own.
describe.each(overlays)('pods of overlay %s', (overlay) => {
  it('run as a numbered user that is not root, with a high number that no user of a node has', () => {
    expect(
      breaches(overlay, ({ pod }) => {
        const { runAsNonRoot, runAsUser, runAsGroup } = fieldsOf(pod.securityContext);
        return runAsNonRoot === true && Number(runAsUser) >= 10_000 && Number(runAsGroup) >= 10_000
          ? []
          : [`user ${String(runAsUser)}, group ${String(runAsGroup)}, runAsNonRoot ${String(runAsNonRoot)}`];
      }),
    ).toEqual([]);
  });

  it('are confined by the default seccomp profile', () => {
    expect(
      breaches(overlay, ({ pod }) =>
        at(pod, 'securityContext.seccompProfile.type') === 'RuntimeDefault' ? [] : ['no seccomp profile'],
      ),
    ).toEqual([]);
  });

  it('drop every capability, cannot gain privileges, see /proc as everybody and cannot write to their root file system', () => {
    expect(
      breaches(
        overlay,
        eachContainer(({ securityContext }) => {
          const rights = fieldsOf(securityContext);
          const drop = at(rights, 'capabilities.drop');
          const add = at(rights, 'capabilities.add');
          return rights.allowPrivilegeEscalation === false &&
            rights.readOnlyRootFilesystem === true &&
            rights.privileged !== true &&
            rights.procMount === undefined &&
            add === undefined &&
            JSON.stringify(drop) === '["ALL"]'
            ? undefined
            : `has ${JSON.stringify(rights)}`;
        }),
      ),
    ).toEqual([]);
  });

  it('share nothing with their node: no host network, process table, IPC, port, path or kernel setting', () => {
    expect(
      breaches(overlay, ({ pod, containers }) => [
        ...['hostNetwork', 'hostPID', 'hostIPC'].filter((field) => pod[field] === true),
        ...['sysctls', 'windowsOptions'].filter((field) => at(pod, `securityContext.${field}`) !== undefined),
        ...listOf(pod.volumes).flatMap(({ name, hostPath }) => (hostPath ? [`volume ${String(name)}`] : [])),
        ...containers.flatMap(({ ports }) => listOf(ports).flatMap(({ hostPort }) => (hostPort ? ['host port'] : []))),
      ]),
    ).toEqual([]);
  });

  it('have a service account of their own and carry no token of it', () => {
    const accounts = ofKind(overlay, 'ServiceAccount');
    const users = workloadsOf(overlay).map(({ pod }) => pod.serviceAccountName);
    expect(new Set(users).size).toBe(users.length);
    expect(
      breaches(overlay, ({ pod }) => {
        const account = accounts.find(({ metadata }) => metadata.name === pod.serviceAccountName);
        if (!account) return [`there is no service account ${String(pod.serviceAccountName)}`];
        // The old name of the same field, and the back door to a token.
        if (pod.serviceAccount !== undefined) return ['names its account by the deprecated field'];
        const sources = listOf(pod.volumes).flatMap((volume) => listOf(at(volume, 'projected.sources')));
        if (sources.some(({ serviceAccountToken }) => serviceAccountToken)) return ['a token is in a volume'];
        return account.automountServiceAccountToken === false && pod.automountServiceAccountToken === false
          ? []
          : ['the token is mounted'];
      }),
    ).toEqual([]);
  });

  it('ask for a name with two dots or more as it is, not in five search domains first', () => {
    expect(
      breaches(overlay, ({ pod }) => {
        const [option] = listOf(at(pod, 'dnsConfig.options')).filter(({ name }) => name === 'ndots');
        return option?.value === '2' ? [] : [`ndots ${String(option?.value)}`];
      }),
    ).toEqual([]);
  });

  it('get no environment variables for the services around them', () => {
    expect(breaches(overlay, ({ pod }) => (pod.enableServiceLinks === false ? [] : ['enableServiceLinks']))).toEqual(
      [],
    );
  });

  it('ask for CPU, memory and ephemeral storage, are limited in each, and ask for no more than the limit', () => {
    expect(
      breaches(
        overlay,
        eachContainer(({ resources }) => {
          const { requests, limits } = fieldsOf(resources);
          const wrong = ['cpu', 'memory', 'ephemeral-storage'].filter((resource) => {
            const [asked, most] = [fieldsOf(requests)[resource], fieldsOf(limits)[resource]];
            return asked === undefined || most === undefined || quantity(asked) > quantity(most);
          });
          return wrong.length ? `has no fitting request and limit of ${wrong.join(', ')}` : undefined;
        }),
      ),
    ).toEqual([]);
  });

  it('keep the heap of Node below the memory limit', () => {
    const settings = objectsOf(overlay).find(({ metadata }) => metadata.name.startsWith('keyturn-settings'));
    const heap = /--max-old-space-size=(\d+)/.exec(String(fieldsOf(settings?.data).NODE_OPTIONS));
    const heapBytes = Number(heap?.[1]) * 2 ** 20;
    expect(
      breaches(
        overlay,
        eachContainer(({ image, resources }) =>
          !String(image).includes('keyturn/') || heapBytes < 0.75 * quantity(at(resources, 'limits.memory'))
            ? undefined
            : 'has too little memory for its heap',
        ),
      ),
    ).toEqual([]);
  });

  it('name their image exactly', () => {
    const exact = overlay === 'production' ? /^[\w./-]+@sha256:[0-9a-f]{64}$/ : /^[\w./-]+:(?!latest$)[\w.-]+$/;
    expect(
      breaches(
        overlay,
        eachContainer(({ image, imagePullPolicy }) =>
          exact.test(String(image)) && imagePullPolicy === 'IfNotPresent' ? undefined : `has image ${String(image)}`,
        ),
      ),
    ).toEqual([]);
  });

  it('mount only volumes that they have, and use every volume', () => {
    expect(
      breaches(overlay, ({ object, pod, containers }) => {
        const claims = listOf(at(object, 'spec.volumeClaimTemplates')).map(({ metadata }) => at(metadata, 'name'));
        const volumes = [...listOf(pod.volumes).map(({ name }) => name), ...claims];
        const mounts = containers.flatMap(({ volumeMounts }) => listOf(volumeMounts).map(({ name }) => name));
        return [
          ...mounts.filter((name) => !volumes.includes(name)).map((name) => `mounts ${String(name)}`),
          ...volumes.filter((name) => !mounts.includes(name)).map((name) => `does not use ${String(name)}`),
        ];
      }),
    ).toEqual([]);
  });

  it('limit every scratch volume', () => {
    expect(
      breaches(overlay, ({ pod }) =>
        listOf(pod.volumes).flatMap(({ name, emptyDir }) =>
          emptyDir !== undefined && at(emptyDir, 'sizeLimit') === undefined ? [`volume ${String(name)}`] : [],
        ),
      ),
    ).toEqual([]);
  });

  it('have more ephemeral storage than their scratch volumes and logs may fill', () => {
    // What the kubelet keeps of the output of a container before it rotates it away: five files of 10 Mi.
    const logs = 5 * quantity('10Mi');
    expect(
      breaches(overlay, ({ pod, containers }) => {
        const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
        const scratch = listOf(pod.volumes).flatMap(({ emptyDir }) =>
          emptyDir === undefined ? [] : [quantity(at(emptyDir, 'sizeLimit'))],
        );
        const most = sum(containers.map(({ resources }) => quantity(at(resources, 'limits.ephemeral-storage'))));
        return most > sum(scratch) + containers.length * logs ? [] : [`${most} bytes`];
      }),
    ).toEqual([]);
  });

  it('name each environment variable and each port once', () => {
    expect(
      breaches(
        overlay,
        eachContainer(({ env, ports }) => {
          const names = [...listOf(env), ...listOf(ports)].map(({ name }) => name);
          const twice = names.filter((name, index) => names.indexOf(name) !== index);
          return twice.length ? `has ${twice.join(', ')} twice` : undefined;
        }),
      ),
    ).toEqual([]);
  });

  it('listen on no port that needs a privilege', () => {
    expect(
      breaches(
        overlay,
        eachContainer(({ ports }) =>
          listOf(ports).every(({ containerPort }) => Number(containerPort) > 1024) ? undefined : 'listens below 1024',
        ),
      ),
    ).toEqual([]);
  });

  it('carry the labels by which people and policies find them', () => {
    expect(
      breaches(overlay, ({ name, labels, object }) => {
        const wanted = { 'app.kubernetes.io/name': name, 'app.kubernetes.io/part-of': 'keyturn' };
        return Object.entries(wanted).flatMap(([label, value]) =>
          labels[label] === value && object.metadata.labels?.[label] === value ? [] : [`no ${label}=${value}`],
        );
      }),
    ).toEqual([]);
  });
});

describe.each(overlays)('the cluster API and overlay %s', (overlay) => {
  it('have nothing to do with one another: no role, no binding, no admission hook', () => {
    const kinds = /^(Cluster)?Role(Binding)?$|WebhookConfiguration$|^ValidatingAdmissionPolicy/;
    expect(
      objectsOf(overlay)
        .filter(({ kind }) => kinds.test(kind))
        .map(nameOf),
    ).toEqual([]);
  });
});

describe.each(overlays)('long-running pods of overlay %s', (overlay) => {
  const lasting = lastingOf(overlay);

  it.each(lasting.map((workload) => [nameOf(workload.object), workload] as const))(
    '%s has three probes that differ, and none that a dependency can turn into a restart',
    (_, { containers }) => {
      for (const { startupProbe, readinessProbe, livenessProbe } of containers) {
        expect([startupProbe, readinessProbe, livenessProbe].every((probe) => probe !== undefined)).toBe(true);
        const ask = (probe: unknown) =>
          JSON.stringify([at(probe, 'httpGet'), at(probe, 'exec'), at(probe, 'tcpSocket')]);
        expect(ask(livenessProbe)).not.toBe(ask(readinessProbe));
        expect(String(at(livenessProbe, 'httpGet.path'))).not.toContain('readyz');
        // Half an hour, or as long as a store may take to recover.
        const patience = Number(at(startupProbe, 'failureThreshold')) * Number(at(startupProbe, 'periodSeconds'));
        expect(patience).toBeGreaterThanOrEqual(300);
      }
    },
  );

  it('are asked by their probes on ports that they have', () => {
    for (const { name, containers } of lasting)
      for (const container of containers) {
        const ports = listOf(container.ports).map((port) => port.name);
        const asked = ['startupProbe', 'readinessProbe', 'livenessProbe'].flatMap((probe) =>
          ['httpGet', 'tcpSocket'].map((way) => at(container, `${probe}.${way}.port`)),
        );
        expect([name, asked.filter((port) => port !== undefined && !ports.includes(port))]).toEqual([name, []]);
      }
  });

  it('have a disruption budget that takes one at a time and lets sick pods go', () => {
    const budgets = ofKind(overlay, 'PodDisruptionBudget');
    for (const { name, labels } of lasting) {
      const own = budgets.filter((budget) => selects(at(budget, 'spec.selector'), labels));
      expect([name, own.map(({ spec }) => spec)]).toEqual([
        name,
        [expect.objectContaining({ maxUnavailable: 1, unhealthyPodEvictionPolicy: 'AlwaysAllow' })],
      ]);
    }
    expect(budgets).toHaveLength(lasting.length);
  });

  it('are spread over nodes and zones where there can be more than one', () => {
    const alone = lasting.filter(({ kind, object }) => kind === 'StatefulSet' && at(object, 'spec.replicas') === 1);
    for (const { name, pod, labels } of lasting.filter((workload) => !alone.includes(workload))) {
      const spread = listOf(pod.topologySpreadConstraints);
      for (const { labelSelector } of spread) expect([name, selects(labelSelector, labels)]).toEqual([name, true]);
      const apart = listOf(at(pod, 'affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution'));
      expect([...spread, ...apart].map(({ topologyKey }) => topologyKey)).toEqual(
        expect.arrayContaining(['topology.kubernetes.io/zone', 'kubernetes.io/hostname']),
      );
    }
  });

  it('select exactly their own pods', () => {
    for (const { name, object } of lasting) {
      const selected = workloadsOf(overlay).filter(({ labels }) => selects(at(object, 'spec.selector'), labels));
      expect(selected.map((workload) => workload.name)).toEqual([name]);
    }
  });
});

describe.each(overlays)('deployments of overlay %s', (overlay) => {
  const deployments = ofKind(overlay, 'Deployment');

  it('never have fewer pods than before while they roll', () => {
    for (const deployment of deployments)
      expect(at(deployment, 'spec.strategy')).toEqual({
        type: 'RollingUpdate',
        rollingUpdate: { maxUnavailable: 0, maxSurge: 1 },
      });
  });

  it('are scaled by one scaler at most, and leave their number to it', () => {
    const scalers = [...ofKind(overlay, 'HorizontalPodAutoscaler'), ...ofKind(overlay, 'ScaledObject')];
    const targets = scalers.map((scaler) => at(scaler, 'spec.scaleTargetRef.name'));
    expect(new Set(targets).size).toBe(targets.length);
    for (const { metadata, spec } of deployments)
      if (targets.includes(metadata.name))
        expect([metadata.name, at(spec, 'replicas')]).toEqual([metadata.name, undefined]);
    for (const target of targets) expect(deployments.map(({ metadata }) => metadata.name)).toContain(target);
  });

  it('have time to finish: the drain fits into the grace period, and outlasts the readiness probe', () => {
    const settings = objectsOf(overlay).find(({ metadata }) => metadata.name.startsWith('keyturn-settings'));
    const drain = Number(/^(\d+)s$/.exec(String(fieldsOf(settings?.data).DRAIN_DELAY))?.[1]);
    for (const { pod, containers, kind } of lastingOf(overlay)) {
      if (kind !== 'Deployment') continue;
      // A service is gone 30 s after SIGTERM at the latest (DESIGN §5).
      expect(Number(pod.terminationGracePeriodSeconds)).toBeGreaterThan(30);
      for (const { readinessProbe } of containers) {
        const unreadyAfter =
          Number(at(readinessProbe, 'failureThreshold')) * Number(at(readinessProbe, 'periodSeconds'));
        expect(drain).toBeGreaterThan(unreadyAfter);
      }
    }
    expect(drain).toBeLessThan(20);
  });
});

describe.each(overlays)('jobs of overlay %s', (overlay) => {
  it('end, are tried again a few times, and clean up after themselves', () => {
    const jobs = workloadsOf(overlay).filter(({ lasting }) => !lasting);
    expect(jobs.map(({ name }) => name).sort()).toEqual(['migrate', 'retention']);
    for (const { object, kind, pod } of jobs) {
      const spec = fieldsOf(kind === 'CronJob' ? at(object, 'spec.jobTemplate.spec') : object.spec);
      expect(Object.keys(spec)).toEqual(
        expect.arrayContaining(['activeDeadlineSeconds', 'backoffLimit', 'ttlSecondsAfterFinished']),
      );
      expect(['OnFailure', 'Never']).toContain(pod.restartPolicy);
    }
  });

  it('on a schedule never overlap and say how late they may start', () => {
    for (const job of ofKind(overlay, 'CronJob'))
      expect(job.spec).toMatchObject({ concurrencyPolicy: 'Forbid', startingDeadlineSeconds: expect.any(Number) });
  });
});
