import { expect, test } from 'vitest';
import { compileDomainSettings } from '../config/domainSettings.ts';
import { SeededRandom } from './seededRandom.ts';
import { drawConfig } from './worldConfig.ts';

test('what is drawn is what the configuration says', () => {
  for (let seed = 1; seed <= 50; seed++) {
    const { config, domains, vmtas, totalMaxSmtpOut } = drawConfig(
      new SeededRandom(seed),
      new SeededRandom(-seed),
    );
    expect(config.totalMaxSmtpOut.value).toBe(totalMaxSmtpOut);
    const settingsFor = compileDomainSettings(config);
    for (const domain of domains) {
      const settings = settingsFor(domain.name, vmtas[0]!.name);
      expect(settings.maxSmtpOut.value).toBe(domain.maxSmtpOut);
      expect(settings.retryAfterMs.value).toEqual(domain.retryAfterMs);
      expect(settings.bounceAfterMs.value).toBe(domain.bounceAfterMs);
      expect(settings.maxMsgRate.value).toEqual(domain.maxMsgRate);
      expect(settings.maxConnectRate.value).toEqual(domain.maxConnectRate);
      const isNamed = domain.route === 'address' || domain.route === 'named';
      expect(settings.smtpHosts.value).toHaveLength(isNamed ? 1 : 0);
    }
  }
});
