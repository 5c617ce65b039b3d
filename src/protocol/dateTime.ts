/** RFC 5322 3.3 date-time. */
import { civilDate, localDay, timeText, zoneText } from '../base/calendar.ts';

const dayNames = ['Thu', 'Fri', 'Sat', 'Sun', 'Mon', 'Tue', 'Wed'];
const monthNames = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** `Mon, 23 Nov 2026 18:12:32 +0000`. `zoneOffsetMinutes` is what the local zone is ahead of UTC. */
export function formatDateTime(wallMs: number, zoneOffsetMinutes: number): string {
  const days = localDay(wallMs, zoneOffsetMinutes);
  const { year, month, day } = civilDate(days);
  const weekday = dayNames[((days % 7) + 7) % 7];
  const time = timeText(wallMs, zoneOffsetMinutes);
  return `${weekday}, ${day} ${monthNames[month - 1]} ${year} ${time} ${zoneText(zoneOffsetMinutes)}`;
}
