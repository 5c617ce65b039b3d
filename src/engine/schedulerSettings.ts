import type { Config } from '../config/config.ts';
import type { DomainSettingsLookup } from '../config/domainSettings.ts';
import { type QueueSettings, queueSettingNames } from '../queue/queue.ts';
import type { VmtaSettings } from '../queue/sendingVmta.ts';
import type { Routing } from '../routing/routing.ts';

/** What the scheduler keeps of the settings of a queue. Queues with the same settings share one object. */
export function queueSettings(
  settingsFor: DomainSettingsLookup,
): (domain: string, vmta: string) => QueueSettings {
  const known = new Map<string, QueueSettings>();
  return (domain, vmta) => {
    const effective = settingsFor(domain, vmta);
    const entries = queueSettingNames.map((name) => [name, effective[name].value] as const);
    // The names stand in their order, so the values alone tell them apart; null is what undefined becomes.
    const key = JSON.stringify(entries.map(([, value]) => value));
    const settings = known.get(key) ?? (Object.fromEntries(entries) as unknown as QueueSettings);
    known.set(key, settings);
    return settings;
  };
}

/** The same of a virtual MTA. */
export function vmtaSettings({ virtualMtas }: Config, routing: Routing): (vmta: string) => VmtaSettings {
  return (vmta) => {
    const hosts = routing.sourceHosts(vmta);
    const configured = virtualMtas.find(({ name }) => name.toLowerCase() === vmta.toLowerCase());
    return {
      // Without any the engine says so when a connection is to be opened.
      sourceAddresses: hosts.length === 0 ? [undefined] : hosts.map(({ localAddress }) => localAddress),
      maxSmtpOut: configured?.maxSmtpOut.value ?? 0,
      maxSmtpMsgRate: configured?.maxSmtpMsgRate.value,
      maxSmtpDataVolumeRate: configured?.maxSmtpDataVolumeRate.value,
    };
  };
}
