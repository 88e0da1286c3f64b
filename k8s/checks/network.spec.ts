import { AddressPolicy } from '@keyturn/webhook-store';
import { at, fieldsOf, listOf, nameOf } from './manifest';
import { overlays } from './overlays';
import { lastingOf, ofKind, selects, workloadsOf } from './workloads';
import { edgesOf, formatted, passes } from './ip-block';

describe.each(overlays)('network of overlay %s', (overlay) => {
  const policies = ofKind(overlay, 'NetworkPolicy');
  const workloads = workloadsOf(overlay);

  it('is closed both ways unless a policy opens it', () => {
    const closed = policies.find(({ metadata }) => metadata.name === 'default-deny');
    expect(closed?.spec).toEqual({ podSelector: {}, policyTypes: ['Ingress', 'Egress'] });
  });

  it('has a policy of its own for every pod', () => {
    for (const { name, labels } of workloads) {
      const own = policies.filter(
        (policy) =>
          Object.keys(fieldsOf(at(policy, 'spec.podSelector'))).length > 0 &&
          selects(at(policy, 'spec.podSelector'), labels),
      );
      expect([name, own.map(({ spec }) => at(spec, 'policyTypes'))]).toEqual([name, [['Ingress', 'Egress']]]);
    }
  });

  it('speaks only of pods that are there', () => {
    // The operator of Postgres makes its pods, with the labels that the Cluster hands down.
    const operated = ofKind(overlay, 'Cluster').map((cluster) => at(cluster, 'spec.inheritedMetadata.labels'));
    const labels = [...workloads.map((workload) => workload.labels), ...operated.map((own) => fieldsOf(own))];
    const selectors = policies.flatMap(({ spec }) => [
      at(spec, 'podSelector'),
      ...[...listOf(at(spec, 'ingress')), ...listOf(at(spec, 'egress'))]
        .flatMap(({ from, to }) => [...listOf(from), ...listOf(to)])
        // Elsewhere, in the cluster's own namespaces, are pods that are not ours to know.
        .flatMap(({ podSelector, namespaceSelector }) => (podSelector && !namespaceSelector ? [podSelector] : [])),
    ]);
    for (const selector of selectors)
      expect([selector, labels.some((own) => selects(selector, own as Record<string, string>))]).toEqual([
        selector,
        true,
      ]);
  });

  it('opens only ports that the pod behind them has', () => {
    for (const { spec } of policies)
      for (const { labels, containers } of workloads.filter((workload) =>
        selects(at(spec, 'podSelector'), workload.labels),
      ))
        for (const { ports } of listOf(at(spec, 'ingress'))) {
          const here = containers.flatMap((container) => listOf(container.ports));
          for (const { port } of listOf(ports))
            if (here.length)
              expect([labels, here.flatMap((own) => [own.name, own.containerPort])]).toEqual([
                labels,
                expect.arrayContaining([port]),
              ]);
        }
  });

  it('lets the dispatcher out, Postgres to its API server and backups, and nobody else', () => {
    const outward = policies.filter(({ spec }) =>
      listOf(at(spec, 'egress')).some(({ to }) => to === undefined || listOf(to).some(({ ipBlock }) => ipBlock)),
    );
    expect(outward.map(({ metadata }) => metadata.name)).toEqual(
      overlay === 'production' ? ['dispatcher', 'postgres'] : ['dispatcher'],
    );
  });

  it('lets spans go to a collector in the cluster, in production', () => {
    const policy = policies.find(({ metadata }) => metadata.name === 'traces');
    expect(at(policy, 'spec.egress')).toEqual(
      overlay === 'production'
        ? [
            {
              to: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'observability' } } }],
              ports: [{ port: 4318, protocol: 'TCP' }],
            },
          ]
        : undefined,
    );
  });

  it('lets webhooks go exactly where the address guard of the code lets them go', () => {
    const guard = new AddressPolicy({ allowHttp: false, allowCidrs: [] });
    const policy = policies.find(({ metadata }) => metadata.name === 'dispatcher');
    const blocks = listOf(at(policy, 'spec.egress'))
      .flatMap(({ to }) => listOf(to))
      .flatMap(({ ipBlock }) => (ipBlock ? [ipBlock as { cidr: string; except?: string[] }] : []));
    expect(blocks.map(({ cidr }) => cidr)).toEqual(['0.0.0.0/0', '2000::/3']);
    // Both sides of each border of the policy, and addresses that are refused for reasons of their own.
    const asked = [
      ...blocks.flatMap(({ cidr, except }) => [cidr, ...(except ?? [])].flatMap(edgesOf)),
      ...[
        '169.254.169.254',
        '168.63.129.16',
        '100.64.0.1',
        '::1',
        'fd00::1',
        'fe80::1',
        '64:ff9b::a00:1',
        '2001:db8::1',
      ],
      ...['1.1.1.1', '8.8.8.8', '93.184.215.14', '2606:4700:4700::1111'],
    ].map(formatted);
    const disagreed = asked.filter((address) => {
      const allowedByGuard = guard.checkAddress(address).ok;
      return allowedByGuard !== blocks.some((block) => passes(block, address));
    });
    expect(asked.length).toBeGreaterThan(100);
    expect(disagreed).toEqual([]);
  });
});

describe.each(overlays)('services of overlay %s', (overlay) => {
  const services = ofKind(overlay, 'Service');

  it('lead to pods that listen where the service says', () => {
    for (const service of services) {
      const selector = { matchLabels: fieldsOf(at(service, 'spec.selector')) };
      const behind = lastingOf(overlay).filter(({ labels }) => selects(selector, labels));
      expect([nameOf(service), behind.length]).toEqual([nameOf(service), 1]);
      const names = behind[0]?.containers.flatMap(({ ports }) => listOf(ports).map(({ name }) => name));
      for (const { targetPort } of listOf(at(service, 'spec.ports'))) expect(names).toContain(targetPort);
    }
  });

  it('name the members of every StatefulSet, one by one', () => {
    for (const { metadata, spec } of ofKind(overlay, 'StatefulSet')) {
      const service = services.find((one) => one.metadata.name === at(spec, 'serviceName'));
      const template = { matchLabels: fieldsOf(at(service, 'spec.selector')) };
      const own = selects(template, fieldsOf(at(spec, 'template.metadata.labels')) as Record<string, string>);
      expect([metadata.name, at(service, 'spec.clusterIP'), own]).toEqual([metadata.name, 'None', true]);
    }
  });

  it('stay inside the cluster', () => {
    for (const service of services) expect(at(service, 'spec.type')).toBeUndefined();
  });

  it('show every program to the scraper, by pod', () => {
    const scraped = services.filter(({ metadata }) => metadata.labels?.['keyturn-scrape'] === 'management');
    expect(
      scraped
        .map((service) => at(service, 'spec.selector'))
        .map((labels) => fieldsOf(labels)['app.kubernetes.io/name']),
    ).toEqual(ofKind(overlay, 'Deployment').map(({ metadata }) => metadata.name));
    for (const service of scraped) expect(at(service, 'spec.clusterIP')).toBe('None');
  });
});

describe('the way in', () => {
  it('is the gateway alone, over TLS, for every host', () => {
    const [ingress, ...others] = ofKind('production', 'Ingress');
    expect(others).toEqual([]);
    const rules = listOf(at(ingress, 'spec.rules'));
    const certified = listOf(at(ingress, 'spec.tls')).flatMap(({ hosts }) => hosts as string[]);
    expect(rules.map(({ host }) => host)).toEqual(certified);
    for (const rule of rules)
      for (const { backend } of listOf(at(rule, 'http.paths')))
        expect(backend).toEqual({ service: { name: 'api-gateway', port: { name: 'http' } } });
  });

  it('is open to the Ingress alone, and so is nothing else but to scrapes', () => {
    const policy = ofKind('production', 'NetworkPolicy').find(({ metadata }) => metadata.name === 'api-gateway');
    expect(at(policy, 'spec.ingress')).toEqual([
      {
        from: [{ namespaceSelector: { matchLabels: { 'network.keyturn/ingress': 'allowed' } } }],
        ports: [{ port: 'http', protocol: 'TCP' }],
      },
      {
        from: [{ namespaceSelector: { matchLabels: { 'network.keyturn/scrape': 'allowed' } } }],
        ports: [{ port: 'management', protocol: 'TCP' }],
      },
    ]);
  });
});
