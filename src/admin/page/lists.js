// The lists of the page: connections, sessions, bans and revocations. Every change asks first.

import { askJson, change } from "./admin_api.js";
import { apart, byId, element, formatBytes, formatDuration, momentOf, say, visible } from "./base.js";

const SHOWN = 50;
const MAX_SHOWN_NAME = 48;

const ORDERS = {
  age: "the oldest",
  bytes: "most bytes",
  held: "most memory held",
  throttled: "most throttled",
};
const BAN_TIMES = { "10 minutes": 600, "1 hour": 3600, "1 day": 86_400, "30 days": 2_592_000 };
const REVOCATION_TIMES = { "1 hour": 3600, "1 day": 86_400, "30 days": 2_592_000, "1 year": 31_536_000 };

let order = "age";
/** The byte counts of each connection when it was last listed, and when that was. */
let moved = new Map();

/** A long name is cut; the row's title has all of it. */
function short(name) {
  const characters = [...name];
  return characters.length > MAX_SHOWN_NAME ? `${characters.slice(0, MAX_SHOWN_NAME).join("")}…` : name;
}

/** The bytes per second since the connection was last listed. */
function rateOf(id, field, bytes) {
  const before = moved.get(id);
  if (before === undefined) return undefined;
  return (bytes - before[field]) / Math.max(0.1, (performance.now() - before.atMs) / 1000);
}

function traffic(connection, direction) {
  const bytes = connection[`bytes_${direction}`];
  const rate = rateOf(connection.id, direction, bytes);
  return rate === undefined ? [formatBytes(bytes)] : [`${formatBytes(rate)}/s`, formatBytes(bytes)];
}

const CLOSE = {
  label: "Close",
  done: (answer) =>
    answer?.closed === false ? "Its node was asked to close it, and has not done so yet." : "Closed.",
};

const BAN = {
  label: "Ban",
  labelOf: ({ address }) => `Ban ${address}`,
  question: ({ address }) => {
    const what = address.includes("/") ? "network" : "address";
    return {
      title: `Ban this ${what}?`,
      text: `${apart(short(address))} may not connect for a time, and all its connections are closed.`,
      action: `Ban the ${what}`,
      times: BAN_TIMES,
    };
  },
  run: ({ address }, ttl_seconds) => change("POST", "/bans", { address, ttl_seconds }),
  done: ({ client, expires_at }) => `Banned ${client} until ${momentOf(new Date(expires_at))}.`,
};

/** Each cell is a text, or a text and a smaller one below it. */
const LISTS = [
  {
    name: "connections",
    title: "Connections",
    path: () => `/connections?limit=${SHOWN}&order=${order}`,
    empty: "No connection is open.",
    columns: ["Client", "Open for", "In", "Out", "Held", "Throttled"],
    keyOf: ({ id }) => id,
    titleOf: ({ id, address, user }) =>
      `${user === undefined ? "no session" : apart(user)}, ${address}, connection ${id}`,
    tool: makeOrder,
    cells: (connection) => [
      [
        connection.user === undefined ? connection.address : short(connection.user),
        [connection.user === undefined ? "" : connection.address, connection.endpoint]
          .filter(Boolean).join(", ") + (connection.closing ? ", closing" : ""),
      ],
      [formatDuration((Date.now() - Date.parse(connection.opened_at)) / 1000)],
      traffic(connection, "in"),
      traffic(connection, "out"),
      [formatBytes(connection.held_bytes)],
      [connection.throttled_seconds > 0 ? `${connection.throttled_seconds.toFixed(1)} s` : "no"],
    ],
    after(connections) {
      const atMs = performance.now();
      moved = new Map(
        connections.map(({ id, bytes_in, bytes_out }) => [id, { in: bytes_in, out: bytes_out, atMs }]),
      );
    },
    actions: [
      {
        ...CLOSE,
        labelOf: ({ address }) => `Close the connection of ${address}`,
        question: ({ id, address }) => ({
          title: "Close this connection?",
          text: `The connection ${id} of ${address} ends with the close code 1008.`,
          action: "Close the connection",
        }),
        run: ({ id }) => change("DELETE", `/connections/${encodeURIComponent(id)}`),
      },
      BAN,
    ],
  },
  {
    name: "sessions",
    title: "Sessions",
    path: () => `/sessions?limit=${SHOWN}`,
    empty: "No session is open.",
    columns: ["User", "Since", "Token until", "In / out"],
    keyOf: ({ id }) => id,
    titleOf: ({ id, user, connection }) => `${apart(user)}, session ${id}, connection ${connection}`,
    cells: (session) => [
      [
        short(session.user),
        session.node === undefined ? session.address : `${session.address}, node ${session.node}`,
      ],
      [momentOf(new Date(session.started_at))],
      [momentOf(new Date(session.expires_at))],
      // Only its own node counts them.
      [session.messages_in === null ? "" : `${session.messages_in} / ${session.messages_out}`],
    ],
    actions: [
      {
        ...CLOSE,
        labelOf: ({ user }) => `Close the session of ${user}`,
        question: ({ id, user }) => ({
          title: "Close this session?",
          text: `The session ${id} of ${apart(short(user))} ends with the close code 1008.`,
          action: "Close the session",
        }),
        run: ({ id }) => change("DELETE", `/sessions/${encodeURIComponent(id)}`),
      },
      {
        label: "Revoke",
        labelOf: ({ user }) => `Revoke the tokens of ${user}`,
        question: ({ user }) => ({
          title: "Revoke this user's tokens?",
          text: `No token of ${
            apart(short(user))
          } that was made until now is good any more, and all sessions with one end.`,
          action: "Revoke the tokens",
          times: REVOCATION_TIMES,
        }),
        run: ({ user }, ttl_seconds) =>
          change("POST", "/revocations", { kind: "user", value: user, ttl_seconds }),
        done: () => "Revoked.",
      },
    ],
  },
  {
    name: "bans",
    title: "Bans",
    path: () => `/bans?limit=${SHOWN}`,
    empty: "Nobody is banned.",
    columns: ["Client", "Until"],
    keyOf: ({ client }) => client,
    titleOf: ({ client }) => client,
    tool: makeBanForm,
    cells: ({ client, expires_at }) => [[client], [momentOf(new Date(expires_at))]],
    actions: [{
      label: "Lift",
      labelOf: ({ client }) => `Lift the ban of ${client}`,
      question: ({ client }) => ({
        title: "Lift this ban?",
        text: `${client} may connect again at once.`,
        action: "Lift the ban",
      }),
      run: ({ client }) => change("DELETE", `/bans/${encodeURIComponent(client)}`),
      done: () => "Lifted.",
    }],
  },
  {
    name: "revocations",
    title: "Revocations",
    path: () => `/revocations?limit=${SHOWN}`,
    empty: "Nothing is revoked.",
    columns: ["What", "Since", "Until"],
    keyOf: ({ id }) => id,
    titleOf: ({ kind, value }) => `${kind} ${apart(value)}`,
    cells: ({ kind, value, revoked_at, expires_at }) => [
      [
        short(value),
        { jti: "one token", user: "all tokens of a user", session: "the tokens of a session" }[kind],
      ],
      [momentOf(new Date(revoked_at))],
      [momentOf(new Date(expires_at))],
    ],
    actions: [{
      label: "Take back",
      labelOf: ({ value }) => `Take back the revocation of ${value}`,
      question: ({ value }) => ({
        title: "Take this revocation back?",
        text: `What it revoked of ${apart(short(value))} is good again, as long as it has not expired.`,
        action: "Take it back",
      }),
      run: ({ id }) => change("DELETE", `/revocations/${encodeURIComponent(id)}`),
      done: () => "Taken back.",
    }],
  },
];

/** Rows by list and key. */
const rows = new Map();

/** Fills in the lists as they are now. */
export async function refreshLists() {
  await Promise.all(LISTS.map(async (list) => {
    const answer = await askJson(list.path());
    showList(list, answer[list.name]);
    showNotes(list, answer);
  }));
}

/** What there is besides: more of them, or some that this node can't tell of. */
function showNotes(list, { next, partial, node }) {
  const notes = [
    next === undefined ? "" : `There are more than these ${SHOWN}.`,
    node === undefined ? "" : `These are of the node ${node} only: each node lists its own.`,
    partial ? "Redis is lost: this is what this node knows." : "",
  ].filter(Boolean);
  byId(`${list.name}-notes`).hidden = notes.length === 0;
  byId(`${list.name}-notes`).textContent = notes.join(" ");
}

/** Rows stay where they are; a button keeps its focus, and when its row has gone the list gets it. */
function showList(list, items) {
  const focused = document.activeElement;
  const body = byId(`${list.name}-rows`);
  const known = rows.get(list.name);
  const keys = new Set(items.map(list.keyOf));
  for (const [key, row] of known) {
    if (keys.has(key)) continue;
    row.remove();
    known.delete(key);
  }
  items.forEach((item, index) => {
    const key = list.keyOf(item);
    const row = known.get(key) ?? makeRow(list, item);
    known.set(key, row);
    row.item = item;
    list.cells(item).forEach(([text, more = ""], column) => {
      const [main, small] = row.cells[column].children;
      main.textContent = visible(text);
      small.textContent = visible(more);
    });
    if (body.children[index] !== row) body.insertBefore(row, body.children[index] ?? null);
  });
  list.after?.(items);
  byId(`${list.name}-area`).hidden = items.length === 0;
  byId(`${list.name}-empty`).hidden = items.length > 0;
  if (document.activeElement !== focused) focusOn(focused.isConnected ? focused : headingOf(list));
}

function focusOn(target) {
  target.focus({ preventScroll: true });
}

function headingOf({ name }) {
  return byId(`${name}-title`);
}

function makeRow(list, item) {
  const cells = list.columns.map((column) => {
    const cell = element("td", {}, element("bdi", {}), element("small", {}));
    cell.dataset.label = column;
    return cell;
  });
  const buttons = list.actions.map((action) => {
    const button = element("button", { type: "button" }, action.label);
    button.setAttribute("aria-label", action.labelOf(item));
    button.addEventListener("click", () => confirmAndRun(list, action, row.item));
    return button;
  });
  const row = element(
    "tr",
    { title: list.titleOf(item) },
    ...cells,
    element("td", { className: "actions" }, ...buttons),
  );
  return row;
}

/** Asks whether it is meant, and does it; what the server says against it stands in the dialog. */
function confirmAndRun(list, action, item) {
  const { title, text, action: label, times } = action.question(item);
  const dialog = byId("confirm");
  const select = byId("confirm-time");
  byId("confirm-title").textContent = title;
  byId("confirm-text").textContent = text;
  byId("confirm-error").textContent = "";
  say(`${list.name}-state`, "");
  byId("confirm-do").textContent = label;
  byId("confirm-time-field").hidden = times === undefined;
  select.replaceChildren(
    ...Object.entries(times ?? {}).map(([name, value]) => element("option", { value }, name)),
  );
  byId("confirm-form").onsubmit = async (event) => {
    if (event.submitter?.value !== "do") return;
    event.preventDefault();
    try {
      const answer = await action.run(item, times === undefined ? undefined : Number(select.value));
      dialog.close();
      const rest = answer?.everywhere === false
        ? " Not everywhere yet: the other nodes are told when Redis is back."
        : "";
      say(`${list.name}-state`, `${action.done(answer)}${rest}`, "good");
      await refreshLists().catch(() => {});
    } catch (error) {
      byId("confirm-error").textContent = `The server did not do this: ${error.message}`;
    }
  };
  const opener = document.activeElement;
  dialog.onclose = () => {
    // The row that the question came from has gone meanwhile.
    if (!opener.isConnected) focusOn(headingOf(list));
  };
  dialog.showModal();
}

function makeList(list) {
  const { name, title, empty, columns, tool } = list;
  const heading = element(
    "div",
    { className: "row spread" },
    element("h3", { id: `${name}-title`, tabIndex: -1 }, title),
  );
  if (tool !== undefined) heading.append(tool(list));
  const head = [...columns, element("span", { className: "unseen" }, "Actions")]
    .map((column) => element("th", { scope: "col" }, column));
  const area = element(
    "div",
    { id: `${name}-area`, className: "scroll", hidden: true, tabIndex: 0 },
    element(
      "table",
      {},
      element("thead", {}, element("tr", {}, ...head)),
      element("tbody", { id: `${name}-rows` }),
    ),
  );
  area.setAttribute("role", "region");
  area.setAttribute("aria-label", title);
  rows.set(name, new Map());
  const done = element("p", { id: `${name}-state`, className: "state" });
  done.setAttribute("role", "status");
  return element(
    "div",
    { className: "card" },
    heading,
    done,
    element("p", { id: `${name}-empty`, className: "note" }, empty),
    area,
    element("p", { id: `${name}-notes`, className: "note", hidden: true }),
  );
}

/** For somebody who is not connected, or a whole network. */
function makeBanForm(list) {
  const field = element("input", { autocapitalize: "off", spellcheck: false, required: true });
  const form = element(
    "form",
    { id: "ban-form", className: "inline", autocomplete: "off" },
    element("label", { className: "inline" }, "Address or network ", field),
    element("button", {}, "Ban"),
  );
  const run = async (item, ttl_seconds) => {
    const ban = await BAN.run(item, ttl_seconds);
    form.reset();
    return ban;
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    confirmAndRun(list, { ...BAN, run }, { address: field.value.trim() });
  });
  return form;
}

function makeOrder() {
  const options = Object.entries(ORDERS).map(([value, text]) => element("option", { value }, text));
  const select = element("select", {}, ...options);
  select.addEventListener("change", () => {
    order = select.value;
    void refreshLists().catch(() => {});
  });
  return element("label", { className: "inline" }, "First ", select);
}

export function startLists() {
  byId("lists").append(...LISTS.map(makeList));
}
