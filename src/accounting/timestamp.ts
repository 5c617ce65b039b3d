/** A local calendar date as days since 1970-01-01. */
export type LocalDay = number;

const dayMs = 86_400_000;
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
  const day = localDay(wallMs, zoneOffsetMinutes);
  const second = Math.floor((wallMs + zoneOffsetMinutes * 60_000 - day * dayMs) / 1000);
  const zone = Math.abs(zoneOffsetMinutes);
  const time = `${two(Math.floor(second / 3600))}:${two(Math.floor(second / 60) % 60)}:${two(second % 60)}`;
  const sign = zoneOffsetMinutes < 0 ? '-' : '+';
  return `${formatDay(day)} ${time}${sign}${two(Math.floor(zone / 60))}${two(zone % 60)}`;
}

export function localDay(wallMs: number, zoneOffsetMinutes: number): LocalDay {
  return Math.floor((wallMs + zoneOffsetMinutes * 60_000) / dayMs);
}

/** Milliseconds until the local date changes, by the zone offset of now. */
export function untilMidnightMs(wallMs: number, zoneOffsetMinutes: number): number {
  return (localDay(wallMs, zoneOffsetMinutes) + 1) * dayMs - zoneOffsetMinutes * 60_000 - wallMs;
}

/** `YYYY-MM-DD` in the proleptic Gregorian calendar, counted in 400-year eras that begin on 1 March. */
export function formatDay(day: LocalDay): string {
  const shifted = day + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const marchMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const dayOfMonth = dayOfYear - Math.floor((153 * marchMonth + 2) / 5) + 1;
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  return `${String(year).padStart(4, '0')}-${two(month)}-${two(dayOfMonth)}`;
}

/** The day that `formatDay` writes as `text`; undefined for anything else, `2026-02-30` included. */
export function parseDay(text: string): LocalDay | undefined {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text);
  if (match === null) return undefined;
  const [year, month, dayOfMonth] = [Number(match[1]), Number(match[2]), Number(match[3])];
  const marchYear = month <= 2 ? year - 1 : year;
  const marchMonth = month > 2 ? month - 3 : month + 9;
  const era = Math.floor(marchYear / 400);
  const yearOfEra = marchYear - era * 400;
  const dayOfYear = Math.floor((153 * marchMonth + 2) / 5) + dayOfMonth - 1;
  const day =
    era * 146_097 +
    yearOfEra * 365 +
    Math.floor(yearOfEra / 4) -
    Math.floor(yearOfEra / 100) +
    dayOfYear -
    719_468;
  return formatDay(day) === text ? day : undefined;
}

function two(value: number): string {
  return value < 10 ? `0${value}` : `${value}`;
}
