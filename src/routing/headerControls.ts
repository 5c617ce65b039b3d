/** What the header of a submission may direct (powermta c), as far as its source allows. */
import type { InjectionSourceSettings, Setting } from '../config/config.ts';
import type { ContentRange, HeaderField } from '../protocol/headerFields.ts';

/** Every source setting as it holds for one client. */
export type EffectiveSettings = {
  readonly [K in keyof InjectionSourceSettings]: Setting<InjectionSourceSettings[K]>;
};

/** What the header of one message says. */
export interface HeaderSays {
  /** X-Virtual-MTA without the blanks around it; undefined: it does not stand there, or is not obeyed. */
  readonly virtualMta: string | undefined;
  /** '' for none. */
  readonly jobId: string;
  /** '' for none. */
  readonly envId: string;
  /** Fields that do not leave with the message, in their order. */
  readonly cuts: readonly ContentRange[];
  /** A Message-ID, or a Date, of ours is to go before the content. */
  readonly addsMessageId: boolean;
  readonly addsDate: boolean;
}

export interface HeaderControls {
  /** Fields it has to see, in lower case. */
  readonly names: ReadonlySet<string>;
  /** Of several fields of one name the first counts, and all are cut. */
  read(fields: readonly HeaderField[]): HeaderSays;
}

const jobIdCharactersMax = 256;
/** RFC 3461 4.4. */
const envIdCharactersMax = 100;
const jobIdForm = /^[\x21-\x7e]+$/;
const envIdForm = /^[\x20-\x7e]+$/;

/** For a source that directs nothing by header `names` is empty. */
export function headerControls(effective: EffectiveSettings): HeaderControls {
  const is = (name: BooleanSetting): boolean => effective[name].value;
  const date = effective.addDateHeader.value;
  const jobidHeader = effective.jobidHeader.value;
  // Without AUTH there is no name to put before it.
  const jobidPrefix = effective.jobidPrefix.value === '{auth}' ? '' : effective.jobidPrefix.value;
  /** By field: whether it is looked at, and whether it goes. */
  const uses: readonly (readonly [name: string, isRead: boolean, isCut: boolean])[] = [
    ['x-virtual-mta', is('processXVirtualMta'), !is('retainXVirtualMta')],
    ['x-job', is('processXJob'), !is('retainXJob')],
    [jobidHeader, jobidHeader !== '', false],
    ['x-envid', is('processXEnvid'), true],
    ['received', is('removeReceivedHeaders'), true],
    ['message-id', is('addMessageIdHeader'), false],
    ['date', date !== 'no', date === 'override'],
    ...effective.removeHeader.value.map((name) => [name, true, true] as const),
  ];
  const read = uses.filter(([, isRead]) => isRead);
  const cut = new Set(read.flatMap(([name, , isCut]) => (isCut ? [name] : [])));
  const jobHeaders = [...(is('processXJob') ? ['x-job'] : []), ...(jobidHeader === '' ? [] : [jobidHeader])];
  return {
    names: new Set(read.map(([name]) => name)),
    read(fields) {
      const first = (name: string): string | undefined =>
        fields.find((field) => field.name === name)?.value.trim();
      const stays = (name: string): boolean => !cut.has(name) && first(name) !== undefined;
      // What cannot be a job's name is none: the next header may name it.
      const jobId = jobHeaders.map((name) => first(name) ?? '').find(isJobId) ?? '';
      const envId = is('processXEnvid') ? (first('x-envid') ?? '') : '';
      return {
        virtualMta: is('processXVirtualMta') ? first('x-virtual-mta') : undefined,
        jobId: jobId === '' ? '' : jobidPrefix + jobId,
        envId: envIdForm.test(envId) && envId.length <= envIdCharactersMax ? envId : '',
        cuts: cut.size === 0 ? [] : fields.filter(({ name }) => cut.has(name)),
        addsMessageId: is('addMessageIdHeader') && !stays('message-id'),
        addsDate: date !== 'no' && !stays('date'),
      };
    },
  };
}

type BooleanSetting = {
  readonly [K in keyof InjectionSourceSettings]: InjectionSourceSettings[K] extends boolean ? K : never;
}[keyof InjectionSourceSettings];

function isJobId(text: string): boolean {
  return text.length <= jobIdCharactersMax && jobIdForm.test(text);
}
