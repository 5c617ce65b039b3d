import type { Config } from '../config/config.ts';
import type { Finding } from '../config/finding.ts';

/** What a configuration says about routes that its mail will feel. */
export function lintRoutes(config: Config): readonly Finding[] {
  const routesAll = config.domains.some(
    ({ pattern, scope, settings }) =>
      pattern.kind === 'all' && scope.kind === 'global' && (settings.smtpHosts?.value.length ?? 0) > 0,
  );
  if (routesAll) return [];
  return [
    {
      level: 'warning',
      code: 'W-NO-ROUTE',
      message:
        'Mail for a domain without smtp-hosts waits until bounce-after: MX lookup is not part of this release.',
      origin: undefined,
      underline: 0,
      fix: 'name a relay: <domain *> smtp-hosts [192.0.2.1] </domain>',
      refusesRun: false,
    },
  ];
}
