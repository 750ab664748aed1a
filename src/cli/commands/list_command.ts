// The commands that show a list of a running server, as a table or as JSON.

import type { Command } from "commander";
import { addAdminOptions, AdminClient } from "../client/admin_client.ts";
import { escapeText, formatColumns, printJson } from "../client/printed.ts";

/** A list and how it is shown. */
export interface ListCommandOptions {
  /** The name of the list in its path and its answer: `sessions`. */
  readonly name: string;
  readonly description: string;
  /** Printed if the list is empty. */
  readonly none: string;
  readonly head: readonly string[];
  readonly row: (item: Readonly<Record<string, unknown>>) => readonly unknown[];
}

/** Makes `command` show a list, and gives it a subcommand `list` that does the same. */
export function addListCommand(command: Command, options: ListCommandOptions): void {
  addList(command, options);
  addList(command.command("list"), options);
}

function addList(command: Command, { name, description, none, head, row }: ListCommandOptions): void {
  addAdminOptions(command.description(description)).option("--json", "print one JSON object");
  command.action(async () => {
    let isPartial = false;
    let node: unknown;
    const items = await AdminClient.fromCommand(command).list(`/${name}`, name, (page) => {
      isPartial ||= page["partial"] === true;
      node = page["node"];
    });
    if (command.optsWithGlobals<{ json?: boolean }>().json) {
      return await printJson({
        [name]: items,
        ...isPartial ? { partial: true } : {},
        ...node === undefined ? {} : { node },
      });
    }
    // Without other nodes there is no such column.
    const hasNodes = items.some((item) => item["node"] !== undefined);
    const rows = items.map((item) => hasNodes ? [...row(item), item["node"]] : row(item));
    console.log(items.length === 0 ? none : formatColumns(hasNodes ? [...head, "NODE"] : head, rows));
    if (node !== undefined) {
      console.log(`These are of the node ${escapeText(String(node))} only: each node lists its own`);
    }
    if (isPartial) console.log("Redis is lost: this is what this node knows");
  });
}
