// The commit of a source tree, read from what git itself wrote.

import assert from "node:assert/strict";
import { readCommit } from "../../src/cli/about/commit.ts";
import { findProgram } from "../support/deploy.ts";

const withoutGit = findProgram("git") === undefined;

class Repository implements Disposable {
  readonly folder = Deno.makeTempDirSync();

  constructor() {
    this.git("init", "--quiet", "--initial-branch=a#b/c");
    this.git("-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "--allow-empty", "--message=x");
  }

  git(...args: readonly string[]): string {
    const { success, stdout, stderr } = new Deno.Command("git", { args: ["-C", this.folder, ...args] })
      .outputSync();
    assert.ok(success, new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout).trim();
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.folder, { recursive: true });
  }
}

Deno.test({
  name: "reads the commit of a branch, of a packed branch, of none, and of a worktree (git)",
  ignore: withoutGit,
  fn() {
    using repository = new Repository();
    const { folder } = repository;
    const hash = repository.git("rev-parse", "HEAD");
    assert.equal(readCommit(folder), hash);
    repository.git("worktree", "add", "--quiet", "-b", "other", `${folder}/worktree`);
    assert.equal(readCommit(`${folder}/worktree`), hash);
    repository.git("pack-refs", "--all");
    assert.equal(readCommit(folder), hash);
    assert.equal(readCommit(`${folder}/worktree`), hash);
    repository.git("checkout", "--quiet", "--detach");
    assert.equal(readCommit(folder), hash);
  },
});

Deno.test("knows no commit where there is none, or where it is not understood", () => {
  const folder = Deno.makeTempDirSync();
  assert.equal(readCommit(folder), undefined);
  Deno.mkdirSync(`${folder}/.git`);
  assert.equal(readCommit(folder), undefined);
  for (const head of ["", "ref: refs/heads/unborn", "ref: ", "abc", "0".repeat(41), "\0"]) {
    Deno.writeTextFileSync(`${folder}/.git/HEAD`, head);
    assert.equal(readCommit(folder), undefined, head);
  }
  Deno.removeSync(`${folder}/.git`, { recursive: true });
  Deno.writeTextFileSync(`${folder}/.git`, "gitdir: ../nowhere\0");
  assert.equal(readCommit(folder), undefined);
  Deno.removeSync(folder, { recursive: true });
});

Deno.test({
  name: "knows no commit where it may not read, and does not ask",
  permissions: { read: false },
  fn() {
    assert.equal(readCommit("/"), undefined);
  },
});
