// What tests do with the files of scripts/deploy: read them, change them a little, and find the programs that use them.

/** The text of a file of scripts/deploy. */
export function readShipped(name: string): string {
  return Deno.readTextFileSync(new URL(`../../scripts/deploy/${name}`, import.meta.url));
}

/** `text` with each key of `changes`, which must be in it exactly once, replaced by its value. */
export function replaceOnce(text: string, changes: Readonly<Record<string, string>>): string {
  for (const [old, changed] of Object.entries(changes)) {
    const parts = text.split(old);
    if (parts.length !== 2) throw new Error(`Cannot replace "${old}": it is there ${parts.length - 1} times`);
    text = parts.join(changed);
  }
  return text;
}

/** Where a program is installed, or undefined. Servers are often not on the path of those who only use them. */
export function findProgram(name: string): string | undefined {
  const folders = [...Deno.env.get("PATH")?.split(":") ?? [], "/usr/sbin", "/sbin"];
  return folders.map((folder) => `${folder}/${name}`).find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
}
