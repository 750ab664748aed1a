// Reads how much CPU time a process has used.

/** `USER_HZ`, the ticks a second in which `/proc` counts: 100 on every Linux that Deno runs on. */
const TICKS_PER_SECOND = 100;

/** User and system time of a process, without its children, in seconds; undefined where there is no `/proc`. */
export function cpuSeconds(pid: number): number | undefined {
  let stat: string;
  try {
    stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  } catch {
    return undefined;
  }
  // The second field is the program's name in parentheses and may contain anything, parentheses included.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
