// The log: events go in; readable lines come out on the terminal and, from level error up, in a file.

import { Containment } from "./containment.ts";
import { LOG_LEVELS, type LogLevel } from "./event_declaration.ts";
import { type EventName, EVENTS, type LogFields } from "./events.ts";
import { type FileSink, openFileSink } from "./file_sink.ts";
import { PRIORITIES } from "./journal.ts";
import { formatJsonLine, formatLine, inColour } from "./line.ts";
import { Terminal } from "./terminal.ts";

export type { LogFields };

/**
 * Records that an event happened, with fields from its declaration. Never throws. An event whose level is off costs one
 * look-up, besides making `fields`. Values may come from a peer: they are escaped, cut at 256 characters and cleaned of
 * tokens.
 */
export interface Log {
  <Event extends EventName>(event: Event, fields?: LogFields<Event>): void;
}

/** How a log is written. */
export interface LogOptions {
  /** The terminal shows this level and above. */
  readonly level: LogLevel;
  /** Level error and above are appended to this file; a new one gets mode 0640. Undefined for none. */
  readonly file: string | undefined;
  /** The form of a record in both places; text if left out. */
  readonly format?: "text" | "json";
  /** Whether the text on the terminal has colours; not if left out. */
  readonly isColoured?: boolean;
  /** The size in bytes at which the file is rotated; never if left out. */
  readonly maxSize?: number;
  /** How many rotated files are kept; 5 if left out. */
  readonly maxFiles?: number;
  /** Whether the records of the file become a chain (see `Chain`), which takes the format json; false if left out. */
  readonly chain?: boolean;
  /**
   * Whether stderr is a journal that reads priorities; called before the first line. Not if left out.
   */
  readonly isJournal?: () => boolean;
  /** Takes one line without its line break; stderr, see `Terminal`, if left out. */
  readonly writeTerminal?: (line: string) => void;
}

/** An open log. None of its methods throws. */
export interface OpenLog {
  readonly log: Log;
  /** Records a fault of whoever stands before the log. */
  contain(fault: unknown): void;
  /** How many records were lost, by the file and by the terminal. */
  lost(): number;
  /** Writes what is buffered for the file before it returns: call it in signal and error handlers. */
  flush(): void;
  /** Writes what is buffered for the file and the terminal before it returns: for the very last handler. */
  flushAll(): void;
  /** Opens the file by its name again: for a log rotation that sends a signal after it has renamed the file. */
  reopen(): void;
  /** Flushes and closes the file; events after that are ignored. */
  close(): void;
  /**
   * As `close`, and resolves when the terminal has everything too, or when the time for that (half a second if left
   * out) is over.
   */
  finish(withinMs?: number): Promise<void>;
}

/** The file keeps this level and above, whatever the terminal shows. */
const FILE_LEVEL: LogLevel = "error";

/**
 * Opens a log.
 *
 * @throws {StartError} when the file can't be opened, or its chain can't be continued
 */
export function openLog(options: LogOptions): OpenLog {
  const { maxSize = Infinity, maxFiles = 5, chain = false } = options;
  const isJson = options.format === "json";
  const paint = options.isColoured ? inColour : undefined;
  const terminalTime = isJson ? isoTime : clockTime;

  function formatEvent(event: EventName, fields: LogFields, time: string, paint?: typeof inColour): string {
    const record = { time, level: EVENTS[event].level, text: EVENTS[event].text, event, fields };
    return isJson ? formatJsonLine(record) : formatLine(record, paint);
  }

  function formatShown(event: EventName, fields: LogFields, timeMs = Date.now()): string {
    return priorityOf(event) + formatEvent(event, fields, terminalTime(timeMs), paint);
  }

  let withPriorities: boolean | undefined;
  function priorityOf(event: EventName): string {
    withPriorities ??= options.isJournal?.() ?? false;
    return withPriorities ? PRIORITIES[EVENTS[event].level] : "";
  }

  const file = options.file === undefined ? NO_FILE : openFileSink({
    path: options.file,
    maxSize,
    maxFiles,
    chain,
    describeLoss: (count) => formatEvent("log.records_lost", { count }, isoTime(Date.now())),
    onFailure: (error, what) => {
      const event = what === "write" ? "log.write_failed" : "log.rotation_failed";
      writeTerminal(formatShown(event, { error: String(error) }));
    },
  });

  const terminal = new Terminal({
    describeLoss: (count) => formatShown("log.records_lost", { count }),
    onFailure: (error) => file.write(formatEvent("log.terminal_failed", { error }, isoTime(Date.now()))),
  });
  const writeTerminal = options.writeTerminal ?? ((line) => terminal.write(line));

  const onTerminal = eventsFrom(options.level);
  const inFile = eventsFrom(FILE_LEVEL);

  const log: Log = (event, fields = {}) => {
    const isShown = onTerminal.has(event);
    const isKept = inFile.has(event);
    if (!isShown && !isKept) return;
    const timeMs = Date.now();
    // A record that can't be written to one place must not end the process, nor be missing in the other.
    if (isShown) attempt(() => writeTerminal(formatShown(event, fields, timeMs)));
    if (isKept) attempt(() => file.write(formatEvent(event, fields, isoTime(timeMs))));
  };

  const containment = new Containment(log);
  let isContaining = false;
  function attempt(write: () => void): void {
    try {
      write();
    } catch (fault) {
      contain(fault);
    }
  }

  function contain(fault: unknown): void {
    // One in the record of a fault: there is no other place that could tell about it.
    if (isContaining) return;
    isContaining = true;
    try {
      containment.record(fault);
    } finally {
      isContaining = false;
    }
  }

  function close(): void {
    file.close();
    onTerminal.clear();
    inFile.clear();
  }

  return {
    log,
    contain,
    lost: () => file.lost + terminal.lost,
    flush: () => file.flush(),
    flushAll: () => {
      file.flush();
      terminal.flush();
    },
    reopen: () => file.reopen(),
    close,
    finish: (withinMs) => {
      close();
      return terminal.finish(withinMs);
    },
  };
}

const NO_FILE: FileSink = { lost: 0, write() {}, flush() {}, reopen() {}, close() {} };

/** The events of this level and above. */
function eventsFrom(level: LogLevel): Set<EventName> {
  const names = Object.keys(EVENTS) as EventName[];
  const lowest = LOG_LEVELS.indexOf(level);
  return new Set(names.filter((name) => LOG_LEVELS.indexOf(EVENTS[name].level) >= lowest));
}

/** Date and time in UTC: a file is read later and elsewhere. */
function isoTime(timestamp: number): string {
  return new Date(timestamp).toISOString();
}

/** Local time of day, with milliseconds: a terminal is read now. */
function clockTime(timestamp: number): string {
  const date = new Date(timestamp);
  return `${date.toTimeString().slice(0, 8)}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}
