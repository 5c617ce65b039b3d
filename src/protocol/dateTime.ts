/** RFC 5322 3.3 date-time, by arithmetic on the civil calendar. */

const dayNames = ['Thu', 'Fri', 'Sat', 'Sun', 'Mon', 'Tue', 'Wed'];
const monthNames = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const dayMs = 86_400_000;

/** `Mon, 23 Nov 2026 18:12:32 +0000`. `zoneOffsetMinutes` is what the local zone is ahead of UTC. */
export function formatDateTime(wallMs: number, zoneOffsetMinutes: number): string {
  const localMs = wallMs + zoneOffsetMinutes * 60_000;
  const days = Math.floor(localMs / dayMs);
  const seconds = Math.floor((localMs - days * dayMs) / 1000);
  const { year, month, day } = civilDate(days);
  const weekday = dayNames[((days % 7) + 7) % 7];
  const time = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  const offset = Math.abs(zoneOffsetMinutes);
  const zone = `${zoneOffsetMinutes < 0 ? '-' : '+'}${two(Math.floor(offset / 60))}${two(offset % 60)}`;
  return `${weekday}, ${day} ${monthNames[month - 1]} ${year} ${time} ${zone}`;
}

/**
 * The proleptic Gregorian date of a day counted from 1970-01-01. Years are taken to begin on
 * 1 March, so that the leap day is the last of its year.
 */
export function civilDate(days: number): { year: number; month: number; day: number } {
  const fromMarch0 = days + 719_468;
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

function two(value: number): string {
  return value < 10 ? `0${value}` : `${value}`;
}
