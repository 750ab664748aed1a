// The lock file: code that does not match it does not run.

import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };

const LOCK = new URL("../../deno.lock", import.meta.url);

async function runWith(
  configText: string,
): Promise<{ code: number; stderr: string; isLockUntouched: boolean }> {
  const folder = await Deno.makeTempDir();
  try {
    const lock = await Deno.readTextFile(LOCK);
    await Deno.writeTextFile(`${folder}/deno.json`, configText);
    await Deno.writeTextFile(`${folder}/deno.lock`, lock);
    await Deno.writeTextFile(`${folder}/main.ts`, `import "valibot";`);
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "main.ts"],
      cwd: folder,
      env: { NO_COLOR: "1" },
    }).output();
    const isLockUntouched = await Deno.readTextFile(`${folder}/deno.lock`) === lock;
    return { code, stderr: new TextDecoder().decode(stderr), isLockUntouched };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("runs with the dependencies that the lock file has", async () => {
  const { code, isLockUntouched } = await runWith(JSON.stringify(config));
  assert.deepEqual({ code, isLockUntouched }, { code: 0, isLockUntouched: true });
});

Deno.test("does not run with other dependencies, and does not write the lock file anew by itself", async () => {
  const { ws: _, ...imports } = config.imports;
  const { code, stderr, isLockUntouched } = await runWith(JSON.stringify({ ...config, imports }));
  assert.match(stderr, /The lockfile is out of date/);
  assert.deepEqual({ code, isLockUntouched }, { code: 1, isLockUntouched: true });
});
