/** Dates by arithmetic on the proleptic Gregorian calendar, so that pure files need no Date. */

/** A local calendar date as days since 1970-01-01. */
export type LocalDay = number;

export interface CivilDate {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  readonly day: number;
}

export const dayMs = 86_400_000;

/** The date at that wall time in a zone so many minutes ahead of UTC. */
export function localDay(wallMs: number, zoneOffsetMinutes: number): LocalDay {
  return Math.floor((wallMs + zoneOffsetMinutes * 60_000) / dayMs);
}

/** `18:12:32`, local. */
export function timeText(wallMs: number, zoneOffsetMinutes: number): string {
  const localMs = wallMs + zoneOffsetMinutes * 60_000;
  const second = Math.floor((localMs - Math.floor(localMs / dayMs) * dayMs) / 1000);
  return `${two(Math.floor(second / 3600))}:${two(Math.floor(second / 60) % 60)}:${two(second % 60)}`;
}

/** `+0100`. */
export function zoneText(zoneOffsetMinutes: number): string {
  const minutes = Math.abs(zoneOffsetMinutes);
  return `${zoneOffsetMinutes < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}${two(minutes % 60)}`;
}

/** Years are taken to begin on 1 March, so that the leap day is the last of its year. */
export function civilDate(day: LocalDay): CivilDate {
  const fromMarch0 = day + 719_468;
  const era = Math.floor(fromMarch0 / 146_097);
  const dayOfEra = fromMarch0 - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  return { year, month, day: dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1 };
}

/** The inverse of `civilDate`; a date that does not exist gives that of a later day. */
export function dayOf({ year, month, day }: CivilDate): LocalDay {
  const marchYear = month <= 2 ? year - 1 : year;
  const monthFromMarch = month > 2 ? month - 3 : month + 9;
  const era = Math.floor(marchYear / 400);
  const yearOfEra = marchYear - era * 400;
  const dayOfYear = Math.floor((153 * monthFromMarch + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

export function two(value: number): string {
  return value < 10 ? `0${value}` : `${value}`;
}
