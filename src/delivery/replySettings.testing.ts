import { domainDefaults } from '../config/config.ts';
import { noReplyRules } from './replyRules.ts';
import type { ReplySettings } from './replySettings.ts';

/** As a queue without any setting has them. */
export const replyDefaults: ReplySettings = { ...domainDefaults, judges: noReplyRules };
