// Which connection loses its place when another needs one.
import assert from "node:assert/strict";
import { Newcomers } from "../../../src/firewall/admission/newcomers.ts";

function newcomersOf(...all: readonly string[]): Newcomers<string> {
  const newcomers = new Newcomers<string>();
  for (const name of all) newcomers.add(name, name[0]!);
  return newcomers;
}

function drain(newcomers: Newcomers<string>): string {
  const order: string[] = [];
  for (let worst = newcomers.takeWorst(); worst !== undefined; worst = newcomers.takeWorst()) {
    order.push(worst);
  }
  return order.join(" ");
}

Deno.test("the oldest of who has most goes first, and of two who have as many neither goes twice in a row", () => {
  const newcomers = newcomersOf("a1", "b1", "a2", "c1", "a3", "b2");
  assert.equal(newcomers.size, 6);
  assert.equal(drain(newcomers), "a1 b1 a2 c1 b2 a3");
  assert.equal(newcomers.size, 0);
});

Deno.test("who has gone is nobody's turn, and a client that comes back begins anew", () => {
  const newcomers = newcomersOf("a1", "a2", "a3", "b1");
  assert.ok(newcomers.delete("a1"));
  assert.ok(!newcomers.delete("a1"));
  assert.ok(newcomers.delete("a3"));
  assert.ok(newcomers.delete("a2"));
  newcomers.add("a4", "a");
  newcomers.add("b2", "b");
  assert.equal(drain(newcomers), "b1 a4 b2");
});

Deno.test("who turns out to be another client's is counted there, and who is not here is left alone", () => {
  const newcomers = newcomersOf("p1", "p2", "p3", "b1");
  newcomers.move("p1", "b");
  newcomers.move("p2", "p");
  newcomers.move("gone", "b");
  assert.equal(newcomers.size, 4);
  newcomers.move("p3", "b");
  assert.equal(drain(newcomers), "b1 p1 p2 p3");
});

Deno.test("twenty thousand newcomers are found as fast as a few, of one client or of as many, for as long as they come", () => {
  const round = (size: number, clients: number) => {
    const newcomers = new Newcomers<number>();
    for (let i = 0; i < size; i++) newcomers.add(i, String(i % clients));
    const startedMs = performance.now();
    for (let i = 0; i < 60_000; i++) {
      newcomers.takeWorst();
      newcomers.add(size + i, String(i % clients));
    }
    return performance.now() - startedMs;
  };
  for (const clients of [1, 7, Infinity]) {
    const few = Math.min(round(100, clients), round(100, clients), round(100, clients));
    const many = Math.min(round(20_000, clients), round(20_000, clients), round(20_000, clients));
    assert.ok(many < 20 * few + 5, `${few} ms with a hundred, ${many} ms`);
  }
});
