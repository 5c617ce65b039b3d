import type { Config } from '../config/config.ts';
import type { EffectiveDomainSettings } from '../config/domainSettings.ts';
import { type BounceCategories, compileBounceCategories } from '../delivery/bounceCategory.ts';
import { compileReplyJudges, noReplyRules, type ReplyJudges } from '../delivery/replyRules.ts';
import type { ReplySettings } from '../delivery/replySettings.ts';

/** What replies mean in this configuration: its patterns, compiled once. */
export class ReplyPolicies {
  readonly categoryOf: BounceCategories;
  /** By name in lower case. */
  readonly #judges: ReadonlyMap<string, ReplyJudges>;

  constructor({ smtpPatternLists, bounceCategoryRules }: Config) {
    this.categoryOf = compileBounceCategories(bounceCategoryRules);
    this.#judges = new Map(
      smtpPatternLists.map((list) => [list.name.toLowerCase(), compileReplyJudges(list)]),
    );
  }

  /** For the connections of a queue with these settings. */
  settingsOf(settings: EffectiveDomainSettings): ReplySettings {
    return {
      judges: this.#judges.get(settings.smtpPatternList.value.toLowerCase()) ?? noReplyRules,
      smtp421MeansMxUnavailable: settings.smtp421MeansMxUnavailable.value,
      smtp553MeansInvalidMailbox: settings.smtp553MeansInvalidMailbox.value,
      replaceSmtp421ServiceResponse: settings.replaceSmtp421ServiceResponse.value,
      assumeDeliveryUponDataTerminationTimeout: settings.assumeDeliveryUponDataTerminationTimeout.value,
    };
  }
}
