import type { Finding } from '../config/finding.ts';
import { checkReport, renderFindings } from '../config/render.ts';
import { configurationOf } from './configuration.ts';
import type { ExitName } from './exitCodes.ts';
import type { Verb } from './verb.ts';

export const check: Verb = {
  name: 'check',
  summary: 'read a configuration, say all that is wrong with it, prove that it is no open relay',
  argument: ['FILE', 'the configuration file'],
  options: [{ flags: '--strict', meaning: 'warnings count: exit 1' }],
  async run(io, { argument, options }) {
    const { findings, proof } = await configurationOf(argument);
    if (options.json) io.out(JSON.stringify({ ...checkReport(argument, findings), proof }));
    else {
      for (const line of renderFindings(findings).trimEnd().split('\n')) io.out(line);
      for (const line of proof) io.out(line);
    }
    return exitOf(findings, options.strict === true);
  },
};

function exitOf(findings: readonly Finding[], strict: boolean): ExitName {
  if (findings.some(({ level }) => level === 'error')) return 'error';
  return strict && findings.some(({ level }) => level === 'warning') ? 'refused' : 'ok';
}
