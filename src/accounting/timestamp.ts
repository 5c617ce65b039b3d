import {
  civilDate,
  dayMs,
  dayOf,
  type LocalDay,
  localDay,
  timeText,
  two,
  zoneText,
} from '../base/calendar.ts';

/** Rows of one flush name few distinct seconds: a small direct-mapped cache answers nearly all. */
const cacheSlots = 64;

export interface Timestamps {
  /** `YYYY-MM-DD HH:MM:SS+hhmm`, local (powermta d.1). */
  text(wallMs: number): string;
}

/** @param zoneOffsetMinutes minutes the zone is ahead of UTC at a wall time (`Clock`). */
export function timestamps(zoneOffsetMinutes: (wallMs: number) => number): Timestamps {
  const seconds = new Float64Array(cacheSlots).fill(-1);
  const texts = new Array<string>(cacheSlots).fill('');
  return {
    text(wallMs) {
      const second = Math.floor(wallMs / 1000);
      const slot = second & (cacheSlots - 1);
      if (seconds[slot] !== second) {
        seconds[slot] = second;
        texts[slot] = formatTimestamp(wallMs, zoneOffsetMinutes(wallMs));
      }
      return texts[slot]!;
    },
  };
}

export function formatTimestamp(wallMs: number, zoneOffsetMinutes: number): string {
  const day = formatDay(localDay(wallMs, zoneOffsetMinutes));
  return `${day} ${timeText(wallMs, zoneOffsetMinutes)}${zoneText(zoneOffsetMinutes)}`;
}

/** Milliseconds until the local date changes, by the zone offset of now. */
export function untilMidnightMs(wallMs: number, zoneOffsetMinutes: number): number {
  return (localDay(wallMs, zoneOffsetMinutes) + 1) * dayMs - zoneOffsetMinutes * 60_000 - wallMs;
}

/** `YYYY-MM-DD`. */
export function formatDay(day: LocalDay): string {
  const date = civilDate(day);
  return `${String(date.year).padStart(4, '0')}-${two(date.month)}-${two(date.day)}`;
}

/** The day that `formatDay` writes as `text`; undefined for anything else, `2026-02-30` included. */
export function parseDay(text: string): LocalDay | undefined {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text);
  if (match === null) return undefined;
  const day = dayOf({ year: Number(match[1]), month: Number(match[2]), day: Number(match[3]) });
  return formatDay(day) === text ? day : undefined;
}
