/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Draws an answer of api/v1/status. Elements are made once and their text is changed where it differs, so that focus,
 * selection and a screen reader's place survive. Called by app.js. Text only ever enters by textContent.
 */
import * as format from "./format.js";
import * as history from "./history.js";
import { plot, plotDraw } from "./plot.js";

const $ = (id) => document.getElementById(id);
const TROUBLES_MAX = 20;
const OPEN_MAX = 12; /* so many backends are open from the start; of more, those in trouble */

const made = new Map();   /* key -> what was made for it */
const opened = new Map(); /* backend -> opened or closed by hand */
let filter = "";

function element(name, classes, ...children) {
	const e = document.createElement(name);

	if (classes)
		e.className = classes;
	e.append(...children);
	return e;
}

function set(e, text) {
	if (e.textContent !== text)
		e.textContent = text;
}

function setClass(e, name) {
	if (e.className !== name)
		e.className = name;
}

/* The parent's children become these, in this order; those that are there stay in place. */
function arrange(parent, children) {
	children.forEach((child, i) => {
		if (parent.children[i] !== child)
			parent.insertBefore(child, parent.children[i] ?? null);
	});
	while (parent.children.length > children.length)
		parent.lastElementChild.remove();
}

function once(key, make) {
	let e = made.get(key);

	if (!e) {
		e = make();
		made.set(key, e);
	}
	e.used = true;
	return e;
}

/* What nothing has asked for in this drawing is forgotten. */
function forget() {
	for (const [key, e] of made) {
		if (!e.used)
			made.delete(key);
		e.used = false;
	}
}

/* ---- states: a word, a shape and a colour ---- */

function serverState(s) {
	if (s.admin === "maint")
		return { word: "maint", kind: "off" };
	if (s.misplaced)
		return { word: s.role, kind: "off" };
	if (s.state === "down")
		return { word: s.held ? "down, kept in service" : s.damped ? "down, flaps" : "down", kind: "bad" };
	if (s.state === "init")
		return { word: "first check", kind: "wait" };
	if (!s.next_hop_resolved)
		return { word: "no way to it", kind: "bad" };
	if (!s.accepting)
		return { word: s.admin === "drain" ? "drain" : "weight 0", kind: "wait" };
	return { word: s.state === "unchecked" ? "no check" : "up", kind: "good" };
}

function badge() {
	const mark = element("span", "dot"), word = element("span");

	return { root: element("span", "state", mark, word), word };
}

function setBadge(b, { word, kind }) {
	setClass(b.root, `state ${kind}`);
	set(b.word, word);
}

/* ---- the head ---- */

const TILES = [
	{ key: "open", title: "Open connections", value: (t) => format.count(t.connections) },
	{ key: "new", title: "New connections", counter: "connections_total", show: format.rate },
	{ key: "in", title: "From clients", counter: "bytes_in", show: format.bits },
	{ key: "out", title: "To clients", counter: "bytes_out", show: format.bits },
	{ key: "dropped", title: "Packets dropped", counter: "dropped_packets", show: format.rate },
	{ key: "table", title: "Flow table", room: true },
];

function tile(title) {
	const value = element("p", "value"), note = element("p", "muted small"), graph = plot();

	return { root: element("div", "tile", element("h3", "", title), value, graph, note), value, note, graph };
}

function drawTile(t, d) {
	const e = once(`tile ${t.key}`, () => tile(t.title));

	if (t.room) {
		const used = d.flows.v4.used + d.flows.v6.used, capacity = d.flows.v4.capacity + d.flows.v6.capacity;

		set(e.value, format.percent(capacity ? used / capacity : null));
		set(e.note, `${format.count(used)} of ${format.count(capacity)} entries`);
		e.graph.style.display = "none";
	} else if (t.counter) {
		set(e.value, t.show(history.rate("totals", t.counter)));
		plotDraw(e.graph, history.rates("totals", t.counter));
	} else {
		set(e.value, t.value(d.totals));
		set(e.note, `${format.count(d.totals.connections_total)} since the start`);
		e.graph.style.display = "none";
	}
	return e.root;
}

function troublesOf(d) {
	const all = [];

	if (!d.ready)
		all.push("Not ready yet: the first round of checks is under way.");
	for (const i of d.interfaces)
		if (i.mode === "detached")
			all.push(`Interface ${i.name} is not steered on.`);
	if (d.last_reload && !d.last_reload.ok)
		all.push(`The last reload failed: ${d.last_reload.error}`);
	for (const s of d.services)
		if (s.state !== "up")
			all.push(`Service ${s.name} has no server: new connections are refused.`);
	for (const b of d.backends) {
		if (b.conflict)
			all.push(`Backend ${b.name}: more servers take writes than may.`);
		for (const s of b.servers)
			if (s.admin !== "maint" && serverState(s).kind === "bad")
				all.push(`Server ${b.name}/${s.name} is ${serverState(s).word}` +
					`${s.last_result && s.state === "down" ? `: ${s.last_result}` : "."}`);
	}
	return all;
}

function drawHead(d) {
	const troubles = troublesOf(d);
	const servers = d.backends.reduce((n, b) => n + b.servers_total, 0);
	const up = d.backends.reduce((n, b) => n + b.servers_up, 0);
	const said = troubles.length ? `${troubles.length} ${troubles.length === 1 ? "thing needs" : "things need"} attention` :
		`All is well: ${d.services.length} ${d.services.length === 1 ? "service" : "services"}, ` +
		`${up} of ${servers} servers up`;

	set($("instance"), `${d.name} · up ${format.duration(d.now_ms - d.started_at_ms)} · ` +
		d.interfaces.map((i) => `${i.name} ${i.mode}`).join(", "));
	set($("build"), `Always On ${d.version}`);
	document.title = `${troubles.length ? `(${troubles.length}) ` : ""}${d.name} · Always On`;
	setClass($("verdict"), `verdict ${troubles.length ? "bad" : "good"}`);
	set($("verdict"), said);
	arrange($("troubles"), troubles.slice(0, TROUBLES_MAX).map((text) =>
		once(`trouble ${text}`, () => element("li", "", text))));
	arrange($("tiles"), TILES.map((t) => drawTile(t, d)));
}

/* ---- services ---- */

/* A cell; its column's name is shown beside it where the table has no room for a head. */
function cell(label, classes, ...children) {
	const e = element("td", classes, ...children);

	e.dataset.label = label;
	return e;
}

function serviceRow(s) {
	const state = badge(), graph = plot(), rate = element("span");
	const head = element("th", "", element("strong", "", s.name),
		element("span", "muted small", `${s.protocol} ${s.address.includes(":") && s.address !== "::" ?
			`[${s.address}]` : s.address}:${s.ports} → ${s.backend}`));
	const row = {
		state, graph, rate,
		servers: cell("Servers up", "number"), open: cell("Open", "number"), in: cell("In", "number"),
		out: cell("Out", "number"), refused: cell("Refused", "number"),
	};

	head.scope = "row";
	row.root = element("tr", "", head, cell("State", "", state.root), row.servers, row.open,
		cell("New", "number", rate, graph), row.in, row.out, row.refused);
	return row;
}

function drawService(s, backends) {
	const key = `service ${s.name}`, row = once(`${key} ${s.address} ${s.ports} ${s.backend}`, () => serviceRow(s));
	const b = backends.get(s.backend);

	setBadge(row.state, s.state === "up" ? { word: "up", kind: "good" } : { word: "no server", kind: "bad" });
	set(row.servers, b ? `${b.servers_up} / ${b.servers_total}` : "");
	set(row.open, format.count(s.connections));
	set(row.rate, format.rate(history.rate(key, "connections_total")));
	plotDraw(row.graph, history.rates(key, "connections_total"));
	set(row.in, format.bits(history.rate(key, "bytes_in")));
	set(row.out, format.bits(history.rate(key, "bytes_out")));
	set(row.refused, format.count(s.refused_total));
	row.root.classList.toggle("bad", s.state !== "up");
	return row.root;
}

/* ---- backends ---- */

function bar(title) {
	const fill = element("span", "fill"), mark = element("span", "mark"), text = element("span", "small");

	return { root: element("div", "share", element("span", "muted small", title),
		element("span", "bar", fill, mark), text), fill, mark, text };
}

function setBar(b, ratio, expected) {
	b.fill.style.width = `${Math.min(100, (ratio ?? 0) * 100)}%`;
	b.mark.style.display = expected == null ? "none" : "";
	b.mark.style.left = `${Math.min(100, (expected ?? 0) * 100)}%`;
	set(b.text, format.percent(ratio));
}

function serverRow(s) {
	const state = badge(), since = element("span", "muted small"), result = element("span", "result");
	const detail = element("span", "muted small"), graph = plot(), rate = element("span");
	const connections = bar("conn"), bytes = bar("bytes"), note = element("span", "muted small");
	const head = element("th", "", element("strong", "", s.name), element("span", "muted small", s.address), note);
	const row = { state, since, result, detail, graph, rate, connections, bytes, note,
		open: cell("Open", "number"), in: cell("In", "number"), out: cell("Out", "number") };

	head.scope = "row";
	row.root = element("tr", "", head, cell("State", "", state.root, since), cell("Last check", "", result, detail),
		row.open, cell("New", "number", rate, graph), cell("Share", "shares", connections.root, bytes.root),
		row.in, row.out);
	return row;
}

function notesOf(s) {
	const notes = [];

	if (s.weight !== 1 || s.weight_configured !== 1)
		notes.push(s.weight === s.weight_configured ? `weight ${s.weight}` :
			`weight ${s.weight}, file says ${s.weight_configured}`);
	if (s.backup)
		notes.push("backup");
	if (s.role)
		notes.push(s.role_text || s.role);
	if (s.lag_ms != null)
		notes.push(`lag ${format.took(s.lag_ms * 1000)}`);
	if (s.admin_override)
		notes.push("set by hand");
	return notes.join(" · ");
}

function drawServer(b, s, sums, now) {
	const key = `server ${b.name}/${s.name}`, row = once(`${key} ${s.address}`, () => serverRow(s));
	const connections = history.mean(key, "connections_total");
	const bytes = (history.mean(key, "bytes_in") ?? 0) + (history.mean(key, "bytes_out") ?? 0);

	setBadge(row.state, serverState(s));
	set(row.since, s.since_ms ? `for ${format.duration(now - s.since_ms)}` : "");
	set(row.result, s.last_result ?? "none yet");
	set(row.detail, [format.took(s.last_duration_us), s.failures ? `${format.count(s.failures)} of ` +
		`${format.count(s.checks)} failed` : ""].filter(Boolean).join(" · "));
	set(row.note, notesOf(s));
	set(row.open, format.count(s.connections));
	set(row.rate, format.rate(history.rate(key, "connections_total")));
	plotDraw(row.graph, history.rates(key, "connections_total"));
	setBar(row.connections, sums.connections > 0 ? connections / sums.connections : null, s.share);
	setBar(row.bytes, sums.bytes > 0 ? bytes / sums.bytes : null, null);
	set(row.in, format.bits(history.rate(key, "bytes_in")));
	set(row.out, format.bits(history.rate(key, "bytes_out")));
	setClass(row.root, serverState(s).kind);
	return row.root;
}

const SERVER_HEADS = [["Server"], ["State"], ["Last check"], ["Open", "number"], ["New", "number"],
	["Share of new"], ["In", "number"], ["Out", "number"]];

function backendPanel(b, onOpen) {
	const body = element("tbody"), up = element("span", "muted"), name = element("span", "name", b.name);
	const heads = SERVER_HEADS.map(([text, classes]) => {
		const th = element("th", classes ?? "", text);

		th.scope = "col";
		return th;
	});
	const table = element("table", "rows", element("caption", "quiet", `Servers of backend ${b.name}`),
		element("thead", "", element("tr", "", ...heads)), body);
	const summary = element("summary", "", name, up, element("span", "muted small", `${b.balance} · ${b.forward}`));
	const root = element("details", "panel", summary, table);

	/* By hand: `open` is set by scripts too, clicks and keys are not. */
	summary.addEventListener("click", () => {
		opened.set(b.name, !root.open);
		setTimeout(onOpen, 0);
	});
	return { root, body, up };
}

function drawBackend(b, d, onOpen) {
	const e = once(`backend ${b.name} ${b.balance} ${b.forward}`, () => backendPanel(b, onOpen));
	const trouble = b.servers.some((s) => serverState(s).kind === "bad");
	const sums = { connections: 0, bytes: 0 };

	e.root.open = opened.get(b.name) ?? (d.backends.length <= OPEN_MAX || trouble || filter !== "");
	set(e.up, `${b.servers_up} of ${b.servers_total} up`);
	e.root.classList.toggle("bad", trouble);
	if (!e.root.open) {
		arrange(e.body, []);
		return e.root;
	}
	for (const s of b.servers) {
		const key = `server ${b.name}/${s.name}`;

		sums.connections += history.mean(key, "connections_total") ?? 0;
		sums.bytes += (history.mean(key, "bytes_in") ?? 0) + (history.mean(key, "bytes_out") ?? 0);
	}
	arrange(e.body, b.servers.filter((s) => matches(b.name, s.name, s.address))
		.map((s) => drawServer(b, s, sums, d.now_ms)));
	return e.root;
}

/* ---- verdicts, events ---- */

function verdictRow(v) {
	const fill = element("span", "fill"), head = element("th", "", element("strong", "", v.name.replaceAll("_", " ")),
		element("span", "muted small", v.help));
	const row = { fill, rate: element("td", "number"), total: element("td", "number") };

	head.scope = "row";
	row.root = element("tr", v.action === "drop" ? "drop" : v.action, head,
		element("td", "share", element("span", "bar", fill)), row.rate, row.total);
	return row;
}

function drawVerdicts(d) {
	/* Dropped ones first: they are what is looked for. */
	const seen = d.verdicts.filter((v) => v.packets > 0)
		.sort((a, b) => (b.action === "drop") - (a.action === "drop") || b.packets - a.packets);
	const top = Math.max(1, ...seen.map((v) => v.packets));
	const rest = d.verdicts.length - seen.length;

	arrange(document.querySelector("#verdict-table tbody"), seen.map((v) => {
		const row = once(`verdict ${v.name}`, () => verdictRow(v));

		row.fill.style.width = `${Math.max(1, v.packets / top * 100)}%`;
		set(row.rate, format.rate(history.rate(`verdict ${v.name}`, "packets")));
		set(row.total, format.count(v.packets));
		return row.root;
	}));
	set($("verdict-rest"), rest ? `${rest} other ${rest === 1 ? "verdict" : "verdicts"}: no packet since the start.` : "");
}

const GRAVE = ["emerg", "alert", "crit", "err", "warning"];

function eventText(e) {
	const f = e.fields, who = f.backend && f.server ? `${f.backend}/${f.server} ` : "";
	const what = e.event.replaceAll("_", " ").replace(/^server /, who ? "" : "server ");
	const rest = Object.entries(f).filter(([k]) => !["backend", "server", "reason", "text", "error", "check", "admin",
		"weight"].includes(k)).map(([k, v]) => `${k.replaceAll("_", " ")} ${v}`).join(", ");

	return { head: `${who}${what}`, tail: f.reason ?? f.text ?? f.error ?? rest };
}

function eventItem(e, now) {
	const { head, tail } = eventText(e), time = element("time", "muted small", format.clock(e.at_ms, now));
	const kind = e.event === "server_up" ? "good" : GRAVE.includes(e.level) ? "bad" : "plain";

	time.dateTime = new Date(e.at_ms).toISOString();
	return element("li", kind, element("span", "dot"), time, element("span", "", element("strong", "", head),
		tail ? ` ${tail}` : ""));
}

function drawEvents(events, now) {
	const first = events[0]?.number ?? 0, list = $("event-list");

	if (list.dataset.first === `${first} ${events.length}`)
		return;
	list.dataset.first = `${first} ${events.length}`;
	list.replaceChildren(...events.map((e) => eventItem(e, now)));
}

/* ---- what app.js calls ---- */

function matches(...names) {
	return !filter || names.some((n) => n.toLowerCase().includes(filter)) || names.join("/").toLowerCase().includes(filter);
}

let actions = {};

export function draw(d, events) {
	const backends = new Map(d.backends.map((b) => [b.name, b]));

	drawHead(d);
	arrange(document.querySelector("#service-table tbody"), d.services
		.filter((s) => matches(s.name, s.address, s.backend)).map((s) => drawService(s, backends)));
	arrange($("backend-list"), d.backends.filter((b) => matches(b.name) ||
		b.servers.some((s) => matches(b.name, s.name, s.address))).map((b) => drawBackend(b, d, actions.onOpen)));
	drawVerdicts(d);
	drawEvents(events, d.now_ms);
	document.body.classList.add("drawn");
	forget();
}

/* How the page stands with the balancer: live, paused or lost. */
export function link(state, text) {
	setClass($("link"), `link ${state}`);
	set($("link-text"), text);
	document.body.classList.toggle("stale", state === "lost");
}

export function start(given) {
	const pause = $("pause"), search = $("filter");

	actions = given;
	pause.addEventListener("click", () => {
		const now = pause.getAttribute("aria-pressed") !== "true";

		pause.setAttribute("aria-pressed", String(now));
		pause.textContent = now ? "Go on" : "Pause";
		given.onPause(now);
	});
	search.addEventListener("input", () => {
		filter = search.value.trim().toLowerCase();
		given.onFilter();
	});
	document.addEventListener("keydown", (e) => {
		if (e.key === "/" && document.activeElement !== search && !e.ctrlKey && !e.metaKey && !e.altKey) {
			e.preventDefault();
			search.focus();
		} else if (e.key === "Escape" && document.activeElement === search) {
			search.value = "";
			search.dispatchEvent(new Event("input"));
			search.blur();
		}
	});
}
