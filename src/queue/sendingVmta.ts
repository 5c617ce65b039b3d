import type { Rate } from '../config/config.ts';
import { RateGate } from './rateGate.ts';
import { RateSet } from './rateSet.ts';
import { SlotGroup } from './slotGroup.ts';

/** What the scheduler asks of a virtual MTA. */
export interface VmtaSettings {
  /** Local addresses that take turns; undefined: the system's choice. Never empty. */
  readonly sourceAddresses: readonly (string | undefined)[];
  /** Of all its queues together, here and below; 0: no limit. */
  readonly maxSmtpOut: number;
  readonly maxSmtpMsgRate: Rate;
  readonly maxSmtpDataVolumeRate: Rate;
}

/** One address of the system's choice and no limits. */
export const plainVmta: VmtaSettings = {
  sourceAddresses: [undefined],
  maxSmtpOut: 0,
  maxSmtpMsgRate: undefined,
  maxSmtpDataVolumeRate: undefined,
};

const directives = { msg: 'max-smtp-msg-rate', connect: '', data: 'max-smtp-data-volume-rate' };

/** What all queues of one virtual MTA share. */
export class SendingVmta {
  readonly sourceAddresses: readonly (string | undefined)[];
  readonly slots: SlotGroup | undefined;
  readonly gate: RateGate | undefined;
  /** Whose turn it is among the source addresses. */
  #turn = 0;

  constructor({ sourceAddresses, maxSmtpOut, maxSmtpMsgRate, maxSmtpDataVolumeRate }: VmtaSettings) {
    this.sourceAddresses = sourceAddresses;
    this.slots = maxSmtpOut > 0 ? new SlotGroup(maxSmtpOut) : undefined;
    const rates = { msg: maxSmtpMsgRate, connect: undefined, data: maxSmtpDataVolumeRate };
    const [shared] = RateSet.of(rates, directives);
    this.gate = shared && new RateGate(shared);
  }

  /** The next source host in turn that is good enough; undefined: none is. */
  nextSourceHost(isGood: (sourceHost: number) => boolean): number | undefined {
    const { length } = this.sourceAddresses;
    for (let i = 0; i < length; i++) {
      const sourceHost = (this.#turn + i) % length;
      if (!isGood(sourceHost)) continue;
      this.#turn = (sourceHost + 1) % length;
      return sourceHost;
    }
    return undefined;
  }
}
