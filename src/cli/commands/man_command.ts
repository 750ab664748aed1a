// The command `man`: the manual page of this program.

import type { Command } from "commander";

/** Adds `man` to `program`; the page has all commands that `program` has when it runs. */
export function addManCommand(program: Command): void {
  program.command("man").description("print the manual page, to be read with: wsward man | man -l -").action(
    async () => {
      const [{ createManPage }, { describeCommand }] = await Promise.all([
        import("../about/man_page.ts"),
        import("../command_tree.ts"),
      ]);
      console.log(createManPage(describeCommand(program), new Date()));
    },
  );
}
