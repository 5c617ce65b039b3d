import { readdirSync, readFileSync } from 'node:fs';

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  /** User and system time so far, that of children it has buried included, microseconds. */
  readonly cpuUs: number;
}

/** Linux counts in ticks of 10 ms wherever Node runs (USER_HZ, proc(5)). */
const tickUs = 10_000;

/** User and system time that the living processes of a group and their dead children have used, microseconds. */
export function groupCpuUs(group: number): number {
  return processes()
    .filter((one) => one.group === group)
    .reduce((sum, { cpuUs }) => sum + cpuUs, 0);
}

export function childPids(of = process.pid): number[] {
  return processes()
    .filter(({ parent }) => parent === of)
    .map(({ pid }) => pid);
}

/** What of a process is in memory now, and the most that ever was, bytes. */
export function memoryOf(pid: number): { readonly nowBytes: number; readonly mostBytes: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const bytesOf = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)![1]) * 1024;
  return { nowBytes: bytesOf('VmRSS'), mostBytes: bytesOf('VmHWM') };
}

function processes(): Process[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap(readProcess);
}

function readProcess(pid: string): Process[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // From the state on: the name before it, in parentheses, may hold anything.
    const fields = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const [parent, group] = [fields[1]!, fields[2]!];
    const [user, system, childrenUser, childrenSystem] = fields.slice(11, 15) as [
      number,
      number,
      number,
      number,
    ];
    const cpuUs = (user + system + childrenUser + childrenSystem) * tickUs;
    return [{ pid: Number(pid), parent, group, cpuUs }];
  } catch {
    // It has ended meanwhile.
    return [];
  }
}
