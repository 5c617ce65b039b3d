import { columns, cut } from '../io.ts';
import { plainTable } from '../plainTable.ts';
import type { TallyLine } from './tally.ts';

const head = ['isp', 'address', '>sent', '>dlvd', '>bncd', '>dfrd', '>1st%'];

/** A line for each ISP and sending address, as wide as a terminal. */
export function tallyTable(lines: readonly TallyLine[]): readonly string[] {
  const cells = lines.map((line) => [
    line.isp,
    line.address,
    line.recipients,
    line.delivered,
    line.bounced,
    line.deferrals,
    ((100 * line.firstDeferred) / line.recipients).toFixed(1),
  ]);
  const left = plainTable(head, cells);
  const indent = Math.max(...left.map((line) => line.length)) + 2;
  const replies = ['commonest other reply', ...lines.map((line) => tagFirst(line.commonestReply))];
  return left.map((line, i) => `${line.padEnd(indent)}${cut(replies[i]!, columns - indent)}`.trimEnd());
}

export const tallyLegend = 'dlvd delivered, bncd bounced, dfrd attempts deferred, 1st% of first attempts so';

/** Codes, then the ISP's own tag, which says more than its prose does. */
function tagFirst(reply: string): string {
  const [, codes = '', text = ''] = /^(\d{3} (?:\d\.\d+\.\d+ )?)(.*)$/.exec(reply) ?? [];
  const tag = /\(S\d+\)|\[[A-Z]+\d+\]|\bRP-\d+/.exec(text)?.[0];
  return tag === undefined ? reply : `${codes}${tag} ${text.replace(tag, '').trim()}`;
}
