import type { DomainSettings } from '../config/config.ts';
import type { ReplyJudges } from './replyRules.ts';

/** What of its queue's settings decides what a reply means. */
export interface ReplySettings
  extends Pick<
    DomainSettings,
    | 'smtp421MeansMxUnavailable'
    | 'smtp553MeansInvalidMailbox'
    | 'replaceSmtp421ServiceResponse'
    | 'assumeDeliveryUponDataTerminationTimeout'
  > {
  readonly judges: ReplyJudges;
}
